"""Short cuts to the paths that are asked thousands of times a second: no router before them.

A path leads to the same resource as by the router (a test compares them); methods, keys, bodies and
answers are the resource's business, so the way of a request is the same from there on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reservation.api.exchange import Exchange
    from reservation.api.pipeline import Resource

_RESERVATIONS: Final = "/v1/reservations"
_MOVES: Final = ("confirm", "release")


class ShortCuts:
    """The resources of the hot paths, as far as an application has them."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        whole = (_RESERVATIONS, f"{_RESERVATIONS}/batch")
        self._whole = {path: resources[path] for path in whole if path in resources}
        templates = {verb: f"{_RESERVATIONS}/{{reservation_id}}/{verb}" for verb in _MOVES}
        self._moves = {
            verb: resources[path] for verb, path in templates.items() if path in resources
        }

    def find(self, path: str, exchange: Exchange) -> Resource | None:
        """Find the resource of a path as it came over the wire; None where the router must.

        The id of a move is put into the exchange's parameters.
        """
        resource = self._whole.get(path)
        if resource is not None:
            return resource
        place, _, verb = path.rpartition("/")
        resource = self._moves.get(verb)
        if resource is None:
            return None
        collection, _, reservation_id = place.rpartition("/")
        if collection != _RESERVATIONS or not reservation_id:
            return None
        exchange.parameters = {"reservation_id": reservation_id}
        return resource
