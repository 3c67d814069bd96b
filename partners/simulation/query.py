"""Queries and forms, read: a third of what `urllib.parse.parse_qsl` takes, which does much more."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote


def pairs_of(raw: bytes, most: int, *, strict: bool = False) -> Iterator[tuple[str, str]]:
    """Go through names and values. Raises ValueError where they are no UTF-8, or too many.

    With `strict` also where a part has no `=`; else it is a name, and an empty part is none.
    """
    if not raw:
        return
    parts = raw.decode("ascii").replace("+", " ").split("&")
    if len(parts) > most:
        raise ValueError(f"more than {most} parameters")
    for part in parts:
        name, equals, value = part.partition("=")
        if "%" in part:
            name, value = unquote(name, errors="strict"), unquote(value, errors="strict")
        if equals or name:
            if strict and not equals:
                raise ValueError("a part is no parameter")
            yield name, value
        elif strict:
            raise ValueError("a part is empty")
