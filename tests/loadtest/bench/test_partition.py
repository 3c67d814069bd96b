"""The generators of the store's figures: they measure what was done, and nothing else."""

from __future__ import annotations

import pytest
import redis

from loadtest.bench.orders import draw_skus, order_id, sku_names
from loadtest.bench.partition import Bed, Partition
from loadtest.bench.patterns import BareWrites, Pattern
from loadtest.bench.wire import WrongAnswer
from reservation.config import Settings
from reservation.model import Confirm, Release
from reservation.store.embedded import EmbeddedStore

SKUS = draw_skus(250, wide=False)


@pytest.fixture
def bed(server: EmbeddedStore, settings: Settings) -> Bed:
    """Make a bed of the tests' server."""
    return Bed(str(server.socket), settings, {})


def test_orders_are_held_confirmed_and_released(bed: Bed) -> None:
    partition = Partition(bed)
    partition.count(sku_names(wide=False))
    assert partition.reserve(SKUS) > 0
    assert partition.apply([Confirm(order_id(number)) for number in range(100)]) > 0
    assert partition.apply([Release(order_id(number)) for number in range(100, 150)]) > 0
    partition.close()
    with redis.Redis(unix_socket_path=bed.path, decode_responses=True) as client:
        assert client.hget("hf:{p0000}:held", f"{SKUS[0]}@main") == "100"
        assert client.hget("hf:{p0000}:committed", f"{SKUS[0]}@main") == "100"


def test_what_is_refused_is_no_figure(bed: Bed) -> None:
    partition = Partition(bed)
    partition.count(sku_names(wide=False), 200)
    with pytest.raises(WrongAnswer):
        partition.reserve(SKUS)
    partition = Partition(bed)
    with pytest.raises(WrongAnswer):
        partition.apply([Confirm(order_id(0))])


def test_the_pattern_holds_each_order_once(bed: Bed) -> None:
    pattern = Pattern(bed.path, wide=False)
    pattern.reserve(SKUS[:120])
    pattern.reserve(SKUS[120:])
    pattern.close()
    with redis.Redis(unix_socket_path=bed.path, decode_responses=True) as client:
        assert client.hget("pattern:held", SKUS[0]) == "250"
        assert client.hlen("pattern:reservations") == 250
        assert client.zcard("pattern:due") == 250
        assert client.xlen("pattern:events") == 250


def test_bare_writes_write_each_order_once(bed: Bed) -> None:
    writes = BareWrites(bed.path)
    writes.reserve(SKUS[:120])
    writes.reserve(SKUS[120:])
    writes.close()
    with redis.Redis(unix_socket_path=bed.path, decode_responses=True) as client:
        assert client.hget("bare:held", SKUS[0]) == "250"
        assert client.hlen("bare:reservations") == 250
        assert client.zcard("bare:due") == 250
