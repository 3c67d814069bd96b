"""Query strings: what is percent-encoded UTF-8 and known, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from reservation.api.problems import Problem, Refused, Slug
from reservation.errors import InvalidRequest
from reservation.model import sku_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MAX_PARAMETERS: Final = 1_100  # more than any query here may have
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100


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
