"""Events as CloudEvents: what the ledger's and the feed's tests do not come by."""

from __future__ import annotations

from reservation.model import SetBreakerPolicy, SetStock
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
