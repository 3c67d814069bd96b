"""What stands undone with channels, as alerts: unfit orders, and what they were not told. Pure.

The id is of one time that it stands, and of its kind: an order that is tried again and again
keeps it, so does a dead letter whose figure changes. What has come to its end and begins anew, or
is there for another reason, has another one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from channels.intake.looks import NO_ORDER, LookState
from channels.intake.moves import Anomaly
from ops.alerts.alert import Alert
from reservation.receivers import AlertType

if TYPE_CHECKING:
    from channels.feed.offers import Offer
    from channels.intake.looks import Trouble
    from channels.parcels.parcels import Notice

GIVEN_UP: Final = "given-up"  # an order that its platform does not tell of, whatever it was asked
MOST_REASON: Final = 300  # characters that are told

_KINDS: Final = frozenset(Anomaly)


def alert_of_order(trouble: Trouble) -> Alert | None:
    """Tell of an order that does not fit; None where its platform is still being asked."""
    kind, text = trouble.kind, trouble.reason.partition(":")[2].strip()
    if kind not in _KINDS:
        if trouble.state is not LookState.STUCK:
            return None
        kind = GIVEN_UP
    told = f"order:{trouble.channel}:{trouble.order_id}:{trouble.since_ms}:{kind}"
    if trouble.order_id == NO_ORDER:  # words are gathered there: each that is new is told
        told += f":{blake2b(text.encode(), digest_size=8).hexdigest()}"
    return Alert(
        id=told,
        type=AlertType.ANOMALY,
        at_ms=trouble.since_ms,
        reason=text[:MOST_REASON],
        channel=trouble.channel,
        order_id=trouble.order_id,
        kind=kind,
    )


def alert_of_letter(offer: Offer) -> Alert:
    """Tell of what a channel was not told; of what it was to close, that it may still sell it."""
    return Alert(
        id=f"letter:{offer.channel}:{offer.sku}:{offer.kind}:{offer.since_ms}",
        type=AlertType.NOT_CLOSED if offer.is_not_closed else AlertType.DEAD_LETTER,
        sku=offer.sku,
        at_ms=offer.since_ms,
        reason=offer.reason[:MOST_REASON],
        closes=offer.why,
        weight=offer.weight,
        channel=offer.channel,
        kind=offer.kind.value,
        units=offer.units,
    )


def alert_of_parcel(notice: Notice) -> Alert:
    """Tell of a parcel that a channel was not told of."""
    return Alert(
        id=f"parcel:{notice.channel}:{notice.order_id}:{notice.fulfilment_id}:{notice.since_ms}",
        type=AlertType.DEAD_PARCEL,
        at_ms=notice.since_ms,
        reason=notice.reason[:MOST_REASON],
        channel=notice.channel,
        order_id=notice.order_id,
        parcel=notice.fulfilment_id,
    )
