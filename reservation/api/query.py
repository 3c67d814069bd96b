"""Query strings: what is percent-encoded UTF-8 and known, and nothing else."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

from reservation.api.problems import Problem, Refused, Slug
from reservation.errors import InvalidRequest
from reservation.model import sku_problem

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_MAX_PARAMETERS: Final = 1_100  # more than any query here may have
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100
NO_CHANNEL: Final = "is no channel: [a-z][a-z0-9_-], 2 to 32 characters"

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


class ListQuery:
    """The query of a list, read part by part; `check` names all that was wrong, at once.

    Raises, when made: as `parameters`.
    """

    def __init__(self, query: bytes, *narrowing: str) -> None:
        self._given = dict(parameters(query, known={*narrowing, "after", "limit"}))
        self._errors: list[tuple[str, str]] = []
        self.limit = self._limit()

    def check(self) -> None:
        """Raise InvalidRequest naming every part that was wrong."""
        if self._errors:
            raise InvalidRequest(self._errors)

    def one_of(self, name: str, kind: type[E]) -> E | None:
        """Read which of some names is asked for; None where that is left open."""
        text = self._given.get(name)
        if text is None:
            return None
        if text not in set(kind):
            self._errors.append((f"/{name}", f"must be one of {', '.join(kind)}"))
            return None
        return kind(text)

    def matching(self, name: str, pattern: re.Pattern[str], otherwise: str) -> str | None:
        """Read a text of a form; `otherwise` says what is wrong with any other."""
        text = self._given.get(name)
        if text is not None and not pattern.fullmatch(text):
            self._errors.append((f"/{name}", otherwise))
        return text

    def place(self, read: Callable[[str], T | None]) -> T | None:
        """Read the place behind which the page begins, None for the first.

        `read` says what a text stands for, None where for nothing. A place is no row: it stays one
        whatever becomes of the row that it was made of.
        """
        if "after" not in self._given:
            return None
        place = read(self._given["after"])
        if place is None:
            self._errors.append(("/after", "must be 'next' of a page of this list"))
        return place

    def sku_before(self) -> str:
        """Read the SKU behind which the page begins, "" for the first."""
        after = self._given.get("after", "")
        problem = sku_problem(after) if "after" in self._given else None
        if problem:
            self._errors.append(("/after", problem))
        return after

    def _limit(self) -> int:
        text = self._given.get("limit", str(DEFAULT_LIMIT))
        limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
        if not 1 <= limit <= MAX_LIMIT:
            self._errors.append(("/limit", f"must be an integer from 1 to {MAX_LIMIT}"))
        return limit


def _unreadable() -> Problem:
    detail = f"is not percent-encoded UTF-8, or has more than {_MAX_PARAMETERS} parameters"
    return Problem(
        Slug.INVALID_REQUEST,
        f"The query {detail}; nothing was applied.",
        {"errors": [{"pointer": "", "detail": detail}]},
    )
