"""One call of the gateway: its param_json, read as the methods want it.

Numbers and texts are taken for each other where ids or counts are meant, as published clients send
both. A name that the method does not know is refused: the real platform passes over it, and a
mistyped name would go unseen.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from channels.simulator.douyin.problems import invalid, missing

_NUMBER: Final = re.compile(r"-?\d{1,19}", re.ASCII)
MOST_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """The parameters of a call, or of a member of it, and when it came."""

    parameters: dict[str, Any]
    now_ms: int
    within: str = ""  # where they stand, for what is told

    def only(self, names: AbstractSet[str]) -> None:
        """Refuse a name that is none of these. Raises Problem, as the others."""
        if unknown := sorted(set(self.parameters) - names):
            raise invalid(self._name(unknown[0][:40]), "is no parameter of this method")

    def has(self, name: str) -> bool:
        """Say whether a parameter is there; one that is empty is not."""
        return self.parameters.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """Give a text that must be there."""
        if not self.has(name):
            raise missing(self._name(name))
        value = self.parameters[name]
        if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
            raise invalid(self._name(name), "String")
        return value

    def optional(self, name: str) -> str:
        """Give a text that may be absent."""
        return self.text(name) if self.has(name) else ""

    def number(self, name: str, default: int | None = None) -> int:
        """Give a whole number; with a default it may be absent."""
        if not self.has(name):
            if default is None:
                raise missing(self._name(name))
            return default
        value = self.parameters[name]
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise invalid(self._name(name), "Number")
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            raise invalid(self._name(name), "Number")
        if abs(number := int(value)) >= 2**63:
            raise invalid(self._name(name), "Number")
        return number

    def id(self, name: str) -> str:
        """Give an id, as a text."""
        if (number := self.number(name)) <= 0:
            raise invalid(self._name(name), "> 0")
        return str(number)

    def flag(self, name: str) -> bool:
        """Give a truth value; absent is false."""
        value = self.parameters.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise invalid(self._name(name), "Boolean")
        return value

    def each(self, name: str, most: int) -> list[Call]:
        """Give the members of a list of objects, of which there is one at least."""
        if not self.has(name):
            raise missing(self._name(name))
        value = self.parameters[name]
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise invalid(self._name(name), f"1 ~ {most}")
        if not all(isinstance(member, dict) for member in value):
            raise invalid(self._name(name), "List<Object>")
        return [Call(member, self.now_ms, f"{self._name(name)}.") for member in value]

    def _name(self, name: str) -> str:
        return self.within + name
