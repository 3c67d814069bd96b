"""Query strings: what is percent-encoded UTF-8 and known, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from reservation.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_PARAMETERS: Final = 1_100  # more than any query here may have


def parameters(query: bytes, *, known: Iterable[str]) -> list[tuple[str, str]]:
    """Read a query string. Raises InvalidRequest naming every parameter that is not known.

    A misspelt `dry_run` that were passed over would import for real.
    """
    try:
        found = parse_qsl(
            query.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        message = "is not percent-encoded UTF-8, or has too many parameters"
        raise InvalidRequest([("", message)]) from None
    unknown = dict.fromkeys(name for name, _ in found if name not in known)
    if unknown:
        raise InvalidRequest([(f"/{name[:80]}", "is no parameter here") for name in unknown])
    return found
