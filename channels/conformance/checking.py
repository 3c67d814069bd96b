"""How a rule fails: with a sentence that says what was done and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, overload

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

_MOST = 200  # characters of anything that is shown


def check(holds: object, sentence: str) -> None:
    """Fail with a sentence where something does not hold."""
    if not holds:
        raise AssertionError(sentence)


def same(what: str, found: object, expected: object) -> None:
    """Fail where two values differ, of type or value: 1 is not 1.0, and not True."""
    alike = type(found) is type(expected) and found == expected
    check(alike, f"{what} is {shown(found)}, not {shown(expected)}")


@overload
def outcome(what: str, call: Callable[[], T]) -> T: ...


@overload
def outcome(what: str, call: Callable[[], T], *allowed: type[E]) -> T | E: ...


def outcome(what: str, call: Callable[[], T], *allowed: type[E]) -> T | E:
    """Return what a call gives, or the error that it raised, where that one is allowed."""
    try:
        return call()
    except allowed as error:
        return error
    except Exception as error:
        names = " or ".join(kind.__name__ for kind in allowed) or "none"
        message = f"{what} raises {type(error).__name__} ({shown(error)}); allowed is {names}"
        raise AssertionError(message) from error


def raised(what: str, call: Callable[[], object], *expected: type[E]) -> E:
    """Return the error that a call must raise."""
    found = outcome(what, call, *expected)
    names = " or ".join(kind.__name__ for kind in expected)
    if isinstance(found, expected):
        return found
    raise AssertionError(f"{what} gives {shown(found)}; it has to raise {names}")


def shown(value: object) -> str:
    """Write something for a sentence, short and printable."""
    text = ascii(value) if not isinstance(value, Exception) else ascii(str(value))[1:-1]
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"
