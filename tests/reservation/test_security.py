"""Keys and roles: pure rules."""

from __future__ import annotations

import pytest

from reservation.security import (
    KEY,
    PERMISSIONS,
    Action,
    Role,
    Scope,
    key_id_of,
    new_key,
    opens,
    record_of,
)


def test_every_role_has_a_word_on_every_action() -> None:
    assert {role: set(row) for role, row in PERMISSIONS.items()} == {
        role: set(Action) for role in Role
    }


def test_only_a_channels_permissions_end_at_its_own_channels() -> None:
    limited = {role for role, row in PERMISSIONS.items() if Scope.OWN in row.values()}
    assert limited == {Role.CHANNEL}


def test_a_new_key_has_256_random_bits_and_is_kept_as_a_hash_only() -> None:
    record, token = new_key(Role.CHANNEL, channels=("tmall", "douyin"), now_ms=7)
    match = KEY.fullmatch(token)
    assert match is not None
    assert match[1] == record.key_id
    assert len(bytes.fromhex(match[2])) == 32
    assert match[2] not in repr(record)
    assert (record.name, record.created_at_ms) == ("tmall+douyin", 7)
    assert token != new_key(Role.CHANNEL, channels=("tmall",), now_ms=7)[1]


def test_a_key_opens_its_own_record_only() -> None:
    record, token = new_key(Role.OPS, now_ms=0)
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert opens(record, token)
    assert not opens(record, other)
    assert not opens(record, "")
    assert not opens(record, "密钥")
    revoked = type(record)(*[getattr(record, f) for f in record.__struct_fields__[:-1]], 1)
    assert not opens(revoked, token)


def test_a_key_that_an_operator_made_up_has_an_id_that_does_not_show_it() -> None:
    token = "correct-horse-battery"
    record = record_of(token, Role.ADMIN, now_ms=0)
    assert record.key_id == key_id_of(token)
    assert token not in repr(record)
    assert opens(record, token)


@pytest.mark.parametrize(
    ("token", "role", "channels", "name"),
    [
        ("short", Role.ADMIN, (), ""),
        ("x" * 513, Role.ADMIN, (), ""),
        ("with a blank inside", Role.ADMIN, (), ""),
        ("sixteen-characters\n", Role.ADMIN, (), ""),
        ("schlüssel-schlüssel", Role.ADMIN, (), ""),
        ("sixteen-characters", Role.CHANNEL, (), ""),
        ("sixteen-characters", Role.OPS, ("tmall",), ""),
        ("sixteen-characters", Role.CHANNEL, ("Tmall",), ""),
        ("sixteen-characters", Role.OPS, (), "line\nbreak"),
        ("sixteen-characters", Role.OPS, (), " blank"),
        ("sixteen-characters", Role.OPS, (), "x" * 65),
    ],
)
def test_a_key_of_the_wrong_form_is_refused(
    token: str, role: Role, channels: tuple[str, ...], name: str
) -> None:
    with pytest.raises(ValueError, match=r"key|channel|name"):
        record_of(token, role, channels=channels, name=name, now_ms=0)
