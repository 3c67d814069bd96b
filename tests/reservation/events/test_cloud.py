"""Events as CloudEvents: what the ledger's and the feed's tests do not come by."""

from __future__ import annotations

from reservation.engine import Engine
from reservation.model import SYSTEM, SetBreakerPolicy, SetStock
from reservation.quota_model import ChannelQuota
from reservation.store.store import Store
from tests.reservation.events.doings import ORIGIN
from tests.reservation.events.told import told_of


async def test_a_policy_is_told_whole(store: Store) -> None:
    """Also what was not asked for: it is the deployment's from then on."""
    await store.set_stock([SetStock("CAT", "main", 30)], ORIGIN)
    policy = SetBreakerPolicy("CAT", 5, None, None, None)
    (outcome,) = await store.act_on_breakers([policy], ORIGIN, whole=False)
    assert outcome.breaker is not None
    event = (await told_of(store))[-1]
    assert (event["type"], event["subject"]) == ("io.holdfast.breaker.policy_set", "CAT")
    assert event["data"]["policy"] == {
        "threshold": 5,
        "window_seconds": store.settings.breaker_window_seconds,
        "cool_down_seconds": store.settings.breaker_cool_down_seconds,
        "exempt": False,
    }


async def test_quotas_are_told_whole(store: Store, engine: Engine) -> None:
    """All that stand, and an empty list where they were removed."""
    await store.set_stock([SetStock("CAT", "main", 30)], ORIGIN)
    quotas = ChannelQuota("douyin", 5, 9, 1_769_076_000_123), ChannelQuota("tmall", 2)
    for asked in (quotas, ()):
        await engine.quotas.set("CAT", "main", asked, SYSTEM)
    first, last = (await told_of(store))[-2:]
    assert (first["type"], first["subject"]) == ("io.holdfast.quota.set", "CAT")
    assert (first["data"]["warehouse"], last["data"]["quotas"]) == ("main", [])
    until = "2026-01-22T10:00:00.123Z"
    assert first["data"]["quotas"] == [
        {"channel": "douyin", "floor": 5, "ceiling": 9, "until": until},
        {"channel": "tmall", "floor": 2, "ceiling": None, "until": None},
    ]
