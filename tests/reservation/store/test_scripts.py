"""Assembling scripts: what a script consists of. The headers have their own tests in lua/."""

from __future__ import annotations

import pytest

from reservation.status import Status
from reservation.store.keys import PARTITION_KEYS, key
from reservation.store.scripts import LUA_DIRECTORY, assemble, assemble_all
from reservation.store.store import Store
from tests.conftest import SERVERS


def test_shared_parts_are_no_scripts() -> None:
    """Every file but the shared ones is an operation."""
    names = {path.stem for path in LUA_DIRECTORY.glob("*.lua") if not path.name.startswith("_")}
    assert names == set(assemble_all())


def test_a_script_begins_with_its_shebang_and_its_tables() -> None:
    """The shebang stays the first line; keys and codes are known before the shared parts."""
    shebang, keys, codes, *_ = assemble("release").source.splitlines()
    assert shebang == "#!lua flags=allow-oom"
    assert keys.startswith("local K = { on_hand = KEYS[1], safety = KEYS[2], held = KEYS[3],")
    assert all(f"{status.name} = {status.value}" in codes for status in Status)


def test_the_keys_of_a_call_share_the_partitions_tag() -> None:
    """All keys of a call are in one slot, in the order of the header."""
    assert assemble("read_reservations").keys(7) == ("hf:{p0007}:reservations", "hf:{p0007}:clock")
    assert {key(0, name).split("}")[0] for name in PARTITION_KEYS} == {"hf:{p0000"}


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_digest_is_the_servers(store: Store) -> None:
    """A script goes by the name that the server gives it."""
    for script in assemble_all().values():
        assert script.sha == await store.client.script_load(script.source)
