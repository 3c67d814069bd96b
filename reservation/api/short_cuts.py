"""Short cuts to the paths that are asked thousands of times a second: no router before them.

A path leads to the same resource as by the router (a test compares them); methods, keys, bodies and
answers are the resource's business, so the way of a request is the same from there on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reservation.api.exchange import Exchange
    from reservation.api.pipeline import Resource


class ShortCuts:
    """The resources that have a hot endpoint: `/collection` or `/collection/{name}/verb`."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        hot = {path: one for path, one in resources.items() if one.is_hot}
        self._whole = {path: one for path, one in hot.items() if "{" not in path}
        # By collection and verb: the resource, and what the path calls its one parameter.
        self._members: dict[str, dict[str, tuple[Resource, str]]] = {}
        for path in hot.keys() - self._whole.keys():
            place, verb = path.rsplit("/", 1)
            collection, name = place.rsplit("/", 1)
            self._members.setdefault(verb, {})[collection] = hot[path], name.strip("{}")

    def find(self, path: str, exchange: Exchange) -> Resource | None:
        """Find the resource of a path as it came over the wire; None where the router must.

        What the path names is put into the exchange's parameters.
        """
        resource = self._whole.get(path)
        if resource is not None:
            return resource
        place, _, verb = path.rpartition("/")
        collections = self._members.get(verb)
        if collections is None:
            return None
        collection, _, member = place.rpartition("/")
        found = collections.get(collection)
        if found is None or not member:
            return None
        resource, name = found
        exchange.parameters = {name: member}
        return resource
