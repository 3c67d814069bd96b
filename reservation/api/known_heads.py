"""Heads that the express lane has taken before: a client's requests differ in body, not in head.

What is known of a head is what its own bytes say, never whether its key still opens anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# One for each key, client program and length of a body; beyond it all are learned anew.
MOST_HEADS: Final = 1_024
MOST_BYTES: Final = 2_048  # of one; what is longer is parsed each time
MOST_FIELDS: Final = 32  # of one; a field costs far more than its bytes
# These differ from request to request: such a head never comes again.
_OWN: Final = (b"x-request-id", b"traceparent")


class KnownHead(NamedTuple):
    """What the fields of a head say."""

    headers: dict[bytes, bytes]  # names in lower case; nobody changes them
    body_bytes: int
    digest: str  # of the key that is shown


class KnownHeads:
    """Fields of heads, byte for byte, and what they say. Bounded: some 8 MiB at most."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}
        self.get = self._heads.get

    def learn(self, fields: bytes, headers: Mapping[bytes, bytes], size: int, digest: str) -> None:
        """Remember a head that was sound, and whose key opened what it asked for."""
        if len(fields) > MOST_BYTES or len(headers) > MOST_FIELDS:
            return
        if any(name in headers for name in _OWN):
            return
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
        self._heads[fields] = KnownHead(dict(headers), size, digest)
