"""Query strings: what is percent-encoded UTF-8 and known, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

from reservation.api.problems import Problem, Refused, Slug
from reservation.errors import InvalidRequest
from reservation.model import sku_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")

_MAX_PARAMETERS: Final = 1_100  # more than any query here may have
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100

# How the document of the API tells of the parameters that lists have in common.
LIMIT_PARAMETER: Final = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
}


def filter_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Document a parameter that narrows a list."""
    return {"name": name, "in": "query", "schema": schema, "description": "Absent: all."}


def after_parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """Document the place behind which a page begins."""
    return {
        "name": "after",
        "in": "query",
        "schema": schema,
        "description": "Absent: from the beginning; else 'next' of the page before.",
    }


def parameters(
    query: bytes, *, known: Collection[str], repeated: str | None = None
) -> list[tuple[str, str]]:
    """Read a query string; only the parameter `repeated` may be there more than once.

    Raises InvalidRequest naming every parameter that is not known or stands twice, and Refused
    (422) for what cannot be read. A misspelt `dry_run` that were passed over would import for real.
    """
    try:
        found = parse_qsl(
            query.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise Refused(_unreadable()) from None
    counts = Counter(name for name, _ in found)
    errors = [
        (
            f"/{name[:80]}",
            "is no parameter here" if name not in known else f"is there {count} times",
        )
        for name, count in counts.items()
        if name not in known or (count > 1 and name != repeated)
    ]
    if errors:
        raise InvalidRequest(errors)
    return found


def limit_of(given: Mapping[str, str], errors: list[tuple[str, str]]) -> int:
    """Read how many rows a page may have; add to `errors` where that is no such number."""
    text = given.get("limit", str(DEFAULT_LIMIT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= limit <= MAX_LIMIT:
        errors.append(("/limit", f"must be an integer from 1 to {MAX_LIMIT}"))
    return limit


def place_behind(
    given: Mapping[str, str], errors: list[tuple[str, str]], read: Callable[[str], T | None]
) -> T | None:
    """Read the place in a list behind which a page begins, None for the first.

    `read` says what a text stands for, None where for nothing: that is added to `errors`. A place
    is no row: it stays one whatever becomes of the row that it was made of.
    """
    if "after" not in given:
        return None
    place = read(given["after"])
    if place is None:
        errors.append(("/after", "must be 'next' of a page of this list"))
    return place


def after_sku(given: Mapping[str, str], errors: list[tuple[str, str]]) -> str:
    """Read the SKU behind which a page begins, "" for the first; add to `errors` if it is none."""
    after = given.get("after", "")
    problem = sku_problem(after) if "after" in given else None
    if problem:
        errors.append(("/after", problem))
    return after


def _unreadable() -> Problem:
    detail = f"is not percent-encoded UTF-8, or has more than {_MAX_PARAMETERS} parameters"
    return Problem(
        Slug.INVALID_REQUEST,
        f"The query {detail}; nothing was applied.",
        {"errors": [{"pointer": "", "detail": detail}]},
    )
