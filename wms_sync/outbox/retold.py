"""Orders that were told again: what is told counts until a warehouse may have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from wms_sync.outbox.delivery import Anomaly, Delivery, DeliveryState
from wms_sync.outbox.file import NEVER
from wms_sync.outbox.rows import Rows, encode
from wms_sync.rules.priority import PriorityPolicy, Waiting, enter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from wms_sync.model import Dispatch

AGAIN_MS: Final = 5_000  # until an order is looked at again that may be at its warehouse
_PLACE: Final = "retold"
_WHY_KEPT: Final = "the warehouse may have an order under this code"
_MAY_CHANGE: Final = (DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.REJECTED)


class Retold(Rows):
    """The clerk's side for them. Raises OutboxUnavailable."""

    @property
    def place(self) -> str:
        """The place up to which it is known what was told; "" where nothing is."""
        return self._db.fact(_PLACE) or ""

    def due(self, at_ms: int, count: int) -> Sequence[str]:
        """Name orders whose details are to be asked for once more."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT reservation_id FROM retold WHERE due_ms <= ? LIMIT ?", (at_ms, count)
            ).fetchall()
        return [reservation_id for (reservation_id,) in rows]

    def note(self, told: Iterable[str], place: str, at_ms: int) -> None:
        """Note which orders were told, and the place up to which that is all: both, or nothing.

        What has no details so far is asked for them now; what was taken keeps those it has until it
        is rejected (a trigger of the file sees to that).
        """
        with self._db.transaction():
            for reservation_id in told:
                self._db.execute(
                    "INSERT OR REPLACE INTO retold"
                    " SELECT reservation_id, min(iif(state = 'accepted', ?3, ?2))"
                    " FROM delivery WHERE reservation_id = ?1 AND dispatch IS NOT NULL"
                    " AND state IN ('pending', 'sent', 'rejected', 'accepted')"
                    " GROUP BY reservation_id",
                    (reservation_id, at_ms, NEVER),
                )
                self._db.execute(
                    "UPDATE delivery SET due_ms = min(due_ms, ?2)"
                    " WHERE reservation_id = ?1 AND state = 'undetailed'",
                    (reservation_id, at_ms),
                )
            self._db.set_fact(_PLACE, place)

    def revise(
        self,
        found: Iterable[tuple[str, Dispatch]],
        lacking: Iterable[str],
        policies: Mapping[str, PriorityPolicy],
        at_ms: int,
        again_ms: int,
    ) -> None:
        """Give orders what was told of them, and their turn by it.

        What a call is about, and what nobody could say, is looked at once more at `again_ms`.
        """
        with self._db.transaction():
            for reservation_id, dispatch in found:
                parts = self.parts(reservation_id)
                for part in parts:
                    self._revise(part, dispatch, policies, at_ms)
                self._put_off(reservation_id, parts, (DeliveryState.SENT,), again_ms)
            for reservation_id in lacking:
                self._put_off(reservation_id, self.parts(reservation_id), _MAY_CHANGE, again_ms)

    def _put_off(
        self,
        reservation_id: str,
        parts: Sequence[Delivery],
        while_in: Collection[DeliveryState],
        due_ms: int,
    ) -> None:
        """Look at an order again as long as a part of it is in one of some states.

        Where a part has been taken, or may have been, that is not before it is rejected once more.
        """
        is_due = any(part.state in while_in for part in parts)
        if is_due or any(part.state is DeliveryState.ACCEPTED or part.doubt for part in parts):
            due_ms = due_ms if is_due else NEVER
            statement = "UPDATE retold SET due_ms = ?2 WHERE reservation_id = ?1"
            self._db.execute(statement, (reservation_id, due_ms))
        else:
            self._db.execute("DELETE FROM retold WHERE reservation_id = ?", (reservation_id,))

    def _revise(
        self, part: Delivery, told: Dispatch, policies: Mapping[str, PriorityPolicy], at_ms: int
    ) -> None:
        """Give a row what was told; when it was placed and what was paid is its platform's word."""
        known = part.dispatch
        if known is None:
            return
        dispatch = replace(
            told,
            placed_ms=known.placed_ms,
            paid_ms=known.paid_ms,
            platform=known.platform,
            shop=told.shop or known.shop,
            prices=known.prices,
        )
        if dispatch == known:
            return
        if not _may_be_rewritten(part):
            if part.state is DeliveryState.REJECTED:
                self.move(part.code, "told again, kept as it was", at_ms, _WHY_KEPT)
            return
        turn = turn_of(part, dispatch, policies.get(part.warehouse, PriorityPolicy()))
        self.move(
            part.code,
            "told again",
            at_ms,
            turn.lane,
            dispatch=encode(dispatch),
            lane=turn.lane,
            ship_by_ms=turn.ship_by_ms,
            turn_ms=turn.turn_ms,
        )


def turn_of(part: Delivery, dispatch: Dispatch, policy: PriorityPolicy) -> Waiting:
    """Say when it is a delivery's turn, by its details."""
    return enter(
        part.code,
        dispatch.lane,
        ship_by_ms=dispatch.ship_by_ms,
        entered_ms=part.entered_ms,
        policy=policy,
    )


def _may_be_rewritten(part: Delivery) -> bool:
    """Say whether it can be handed over as it was told last: no code names two orders."""
    if part.state is DeliveryState.REJECTED:
        return not part.doubt and part.anomaly is not Anomaly.CODE_USED
    return part.state is DeliveryState.PENDING
