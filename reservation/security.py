"""API keys and roles: pure rules, no I/O.

A key is `hf_<id>_<secret>`: the id finds its record, the secret is 256 random bits. Only a SHA-256
of the whole key is kept. A plain hash is right here, where it would be wrong for a password: there
is nothing to guess in 256 random bits, and a slow hash would be paid on every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from reservation.model import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = re.compile(r"hf_([a-z0-9]{4,32})_([A-Za-z0-9]{32,128})", re.ASCII)
# No `|`: events keep name, request id and trace in one text, separated by it.
NAME: Final = re.compile(r"[^|\s\x00-\x1f\x7f](?:[^|\x00-\x1f\x7f]{0,62}[^|\s\x00-\x1f\x7f])?")

# A key that an operator made up (`HOLDFAST_ADMIN_KEY`); `config` asks the same.
MIN_KEY_CHARACTERS: Final = 16
MAX_KEY_CHARACTERS: Final = 512

_ID_BYTES: Final = 5
_SECRET_BYTES: Final = 32


class Role(StrEnum):
    """What a key's holder is (contract section 3, Roles)."""

    CHANNEL = "channel"
    VIEWER = "viewer"
    OPS = "ops"
    ADMIN = "admin"


class Action(StrEnum):
    """What can be asked of the API, as far as roles tell it apart."""

    RESERVE = "reserve"
    CONFIRM = "confirm"
    RELEASE = "release"
    EXTEND = "extend"
    FULFIL = "fulfil"
    BATCH = "batch"
    READ_RESERVATIONS = "read_reservations"
    READ_STOCK = "read_stock"
    READ_QUOTAS = "read_quotas"
    READ_LEDGER = "read_ledger"
    READ_METRICS = "read_metrics"
    WRITE_STOCK = "write_stock"
    SET_BREAKERS = "set_breakers"
    SEND_ALERTS = "send_alerts"
    READ_RECEIVERS = "read_receivers"
    MOVE_CLOCK = "move_clock"


class Scope(StrEnum):
    """How far a permission reaches."""

    NONE = "none"
    OWN = "own"  # reservations of the key's own channels
    ANY = "any"


_NONE, _OWN, _ANY = Scope.NONE, Scope.OWN, Scope.ANY
_ROLES = (Role.CHANNEL, Role.VIEWER, Role.OPS, Role.ADMIN)

# The contract's role table. A batch is open to whoever may use one of its verbs on its own; each
# operation in it is judged by its own row.
_TABLE: Final = {
    #                         channel  viewer  ops    admin
    Action.RESERVE: (_OWN, _NONE, _NONE, _ANY),
    Action.CONFIRM: (_OWN, _NONE, _NONE, _ANY),
    Action.RELEASE: (_OWN, _NONE, _ANY, _ANY),
    Action.EXTEND: (_OWN, _NONE, _NONE, _ANY),
    Action.FULFIL: (_OWN, _NONE, _ANY, _ANY),
    Action.BATCH: (_ANY, _NONE, _ANY, _ANY),
    Action.READ_RESERVATIONS: (_OWN, _ANY, _ANY, _ANY),
    Action.READ_STOCK: (_ANY, _ANY, _ANY, _ANY),
    Action.READ_QUOTAS: (_NONE, _ANY, _ANY, _ANY),
    Action.READ_LEDGER: (_NONE, _ANY, _ANY, _ANY),
    Action.READ_METRICS: (_NONE, _ANY, _ANY, _ANY),
    Action.WRITE_STOCK: (_NONE, _NONE, _ANY, _ANY),
    Action.SET_BREAKERS: (_NONE, _NONE, _ANY, _ANY),
    Action.SEND_ALERTS: (_NONE, _NONE, _ANY, _ANY),
    Action.READ_RECEIVERS: (_NONE, _NONE, _NONE, _ANY),
    Action.MOVE_CLOCK: (_NONE, _NONE, _NONE, _ANY),
}

PERMISSIONS: Final[Mapping[Role, Mapping[Action, Scope]]] = MappingProxyType(
    {
        role: MappingProxyType({action: row[column] for action, row in _TABLE.items()})
        for column, role in enumerate(_ROLES)
    }
)


class ApiKey(Struct, frozen=True):
    """What is kept of a key. The secret itself is shown once, when it is made, and never stored."""

    key_id: str
    name: str  # recorded as the actor of what the key does
    role: Role
    channels: tuple[str, ...]  # for the role `channel`; empty otherwise
    sha256: str  # of the whole key, hexadecimal
    created_at_ms: int
    revoked_at_ms: int | None = None  # the record stays, so that a revoked key is never seeded anew

    @property
    def active(self) -> bool:
        """Say whether the key opens anything."""
        return self.revoked_at_ms is None

    def scope(self, action: Action) -> Scope:
        """Say how far this key's role may do `action`."""
        return PERMISSIONS[self.role][action]

    def owns(self, channel: str) -> bool:
        """Say whether the channel is one of the key's own."""
        return channel in self.channels


def new_key(
    role: Role, *, channels: tuple[str, ...] = (), name: str = "", now_ms: int
) -> tuple[ApiKey, str]:
    """Make a key: its record and the text that its holder sends, which nothing can recover later.

    The name defaults to the channels, or to the role. Raises ValueError naming what is wrong.
    """
    token = f"hf_{secrets.token_hex(_ID_BYTES)}_{secrets.token_hex(_SECRET_BYTES)}"
    return record_of(token, role, channels=channels, name=name, now_ms=now_ms), token


def record_of(
    token: str, role: Role, *, channels: tuple[str, ...] = (), name: str = "", now_ms: int
) -> ApiKey:
    """Describe an existing key by the record that is kept of it.

    Raises ValueError naming what is wrong with the name, the channels or the key.
    """
    if not MIN_KEY_CHARACTERS <= len(token) <= MAX_KEY_CHARACTERS:
        message = f"a key has {MIN_KEY_CHARACTERS} to {MAX_KEY_CHARACTERS} characters"
        raise ValueError(message)
    if not token.isascii() or not token.isprintable() or " " in token:
        message = "a key has printable ASCII characters and no blank: it travels in a header"
        raise ValueError(message)
    if (role is Role.CHANNEL) != bool(channels):
        message = "a key of the role 'channel' names its channels, no other key does"
        raise ValueError(message)
    for channel in channels:
        if not CHANNEL.fullmatch(channel):
            message = f"{channel!r} is not a channel: [a-z][a-z0-9_-], 2 to 32 characters"
            raise ValueError(message)
    name = name or "+".join(channels)[:64] or role.value
    if not NAME.fullmatch(name):
        message = "a key's name has 1 to 64 characters, none of them a control character"
        raise ValueError(message)
    return ApiKey(key_id_of(token), name, role, channels, digest_of(token), now_ms)


def key_id_of(token: str) -> str:
    """Name the record of a key: the id inside it, or one derived from a key of another form."""
    match = KEY.fullmatch(token)
    if match:
        return match[1]
    return "x" + hashlib.sha256(b"holdfast key id\0" + _bytes(token)).hexdigest()[:12]


def digest_of(token: str) -> str:
    """Hash a key as it is kept."""
    return hashlib.sha256(_bytes(token)).hexdigest()


def opens(record: ApiKey, token: str) -> bool:
    """Say whether `token` is the key behind an active record, in time that tells nothing."""
    return hmac.compare_digest(record.sha256, digest_of(token)) and record.active


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")
