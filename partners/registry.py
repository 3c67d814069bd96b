"""Finds the class that speaks with a partner: one of ours by its name, or `module:Class`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T")


def class_named(
    name: str, known: Mapping[str, str], port: type[T], *, where: str, what: str
) -> type[T]:
    """Load a subclass of `port`; `known` has ours by name.

    Raises ConfigurationError, which begins with `where`, the place in the settings; `what` is the
    word there for such a class.
    """
    name = known.get(name, name)
    module, _, attribute = name.partition(":")
    if not attribute:
        ours = ", ".join(known)
        message = f"{where}: no {what} {name!r}; known are {ours}, and module:Class of your own"
        raise ConfigurationError(message)
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:  # the last: of a name without module
        message = f"{where}: {what} {name!r} cannot be loaded: {error}"
        raise ConfigurationError(message) from error
    if not (isinstance(kind, type) and issubclass(kind, port)):
        message = f"{where}: {what} {name!r} is no {port.__module__}.{port.__name__}"
        raise ConfigurationError(message)
    return kind


def check_options(options: Iterable[str], known: Sequence[str], *, where: str, whose: str) -> None:
    """Raise ConfigurationError for an option that is none of `known`, with the nearest of them.

    "status." stands for all that begin so. `whose`, as "connector 'rest'", says whose they are.
    """
    for name in options:
        if any(_is_one(name, each) for each in known):
            continue
        shown = [f"{each}…" if each.endswith(".") else each for each in known]
        message = (
            f"{where}: {name!r} is no option of {whose}; known are {', '.join(shown) or 'none'}"
        )
        if nearest := get_close_matches(name, shown, n=1):
            message += f"; is {nearest[0]} meant?"
        raise ConfigurationError(message)


def _is_one(option: str, known: str) -> bool:
    if known.endswith("."):
        return option.startswith(known) and option != known
    return option == known
