"""What the event log makes of rows, exactly once in effect however often it is read.

Each row carries the place in the log as of which it is: what happened up to there is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from reservation.model import State
from reservation.store.positions import Version
from wms_sync.model import DeliveryLine, delivery_code
from wms_sync.outbox.delivery import (
    ENDED,
    ORDER_ENDED,
    SEEN_BEFORE,
    Anomaly,
    CancelState,
    Delivery,
    DeliveryState,
    Wish,
)
from wms_sync.outbox.lock import LockState
from wms_sync.outbox.retold import Retold, turn_of
from wms_sync.outbox.rows import OF_BEFORE, Rows, encode
from wms_sync.rules.priority import PriorityPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reservation.database import Database
    from reservation.model import Reservation
    from wms_sync.model import Dispatch
    from wms_sync.rules.priority import Waiting

# Without details for so long, and asked for so often in vain, an order is left to people: its
# clerk's pauses are minutes long by then. Often as well, for where the clock is fast.
NO_DETAILS_MS: Final = 1_800_000
NO_DETAILS_ATTEMPTS: Final = 8

LOST: Final = "the store does not know it as confirmed any more"


class Confirmed(Struct, frozen=True):
    """An order was paid: units of each SKU by warehouse."""

    reservation_id: str
    units: Mapping[str, Mapping[str, int]]
    at_ms: int


class Released(Struct, frozen=True):
    """Units of an order were given back."""

    reservation_id: str
    reason: str


class Left(Struct, frozen=True):
    """Units of an order have left, by warehouse and SKU; of a `whole` one nothing is left."""

    reservation_id: str
    units: Mapping[str, Mapping[str, int]]
    whole: bool


Happening = Confirmed | Released | Left


class Entries:
    """The side that follows the log, for some warehouses. Raises OutboxUnavailable."""

    def __init__(self, db: Database, warehouses: Collection[str]) -> None:
        self._db = db
        self._rows = Rows(db)
        self.retold = Retold(db)
        self._warehouses = frozenset(warehouses)

    @property
    def position(self) -> str:
        """The place up to which the log was read for these warehouses; "" where not for all."""
        known = (self._db.fact("warehouses") or "").split()
        return self._rows.position if self._warehouses <= set(known) else ""

    def take(
        self, happenings: Iterable[tuple[Version, Happening]], position: str, at_ms: int
    ) -> None:
        """Take in what happened, and the place up to which that is all: both, or nothing."""
        with self._db.transaction():
            for version, happening in happenings:
                self._take(version, happening, at_ms)
            self._note_position(position)

    def _take(self, version: Version, happening: Happening, at_ms: int) -> None:
        known = self._rows.as_of(happening.reservation_id)
        if isinstance(happening, Confirmed):
            self._confirmed(version, happening, known, at_ms)
            return
        for part in self._rows.parts(happening.reservation_id) if known else ():
            if known[part.code] >= version:
                continue
            if isinstance(happening, Released):
                self._released(part, happening.reason, at_ms)
            else:
                units = happening.units.get(part.warehouse, {})
                left = part.remaining()
                left = {} if happening.whole else {s: n - units.get(s, 0) for s, n in left.items()}
                self._has_left(part, left, at_ms)
            self._rows.set_as_of(part.code, version)

    # -- paid ------------------------------------------------------------------------------------

    def _confirmed(
        self, version: Version, paid: Confirmed, known: Mapping[str, Version], at_ms: int
    ) -> None:
        for warehouse, units in paid.units.items():
            code = delivery_code(paid.reservation_id, warehouse)
            if warehouse in self._warehouses and known.get(code, (-1, 0)) < version:
                found = self._rows.delivery(code) if code in known else None
                self._enter(version, paid, warehouse, units, at_ms, found=found)

    def _enter(
        self,
        version: Version,
        paid: Confirmed,
        warehouse: str,
        units: Mapping[str, int],
        at_ms: int,
        *,
        found: Delivery | None,
        detail: str = "",
    ) -> None:
        """Enter a part of an order; `found` is the row that there is of it."""
        code = delivery_code(paid.reservation_id, warehouse)
        wish = self._wish_of(paid)
        if found is not None and found.state not in ENDED:
            known = found.anomaly is Anomaly.NOT_IN_STORE
            anomaly = Anomaly.NONE if known else found.anomaly
            self._rows.move(code, "confirmed again", at_ms, released=0, anomaly=anomaly)
        elif found is not None and found.state is DeliveryState.CANCELLED and wish is not None:
            self._give_back(paid, at_ms)  # its end was asked for: the store has lost it
        elif found is not None and found.handed:
            state, anomaly = DeliveryState.REJECTED, Anomaly.CODE_USED
            self._rows.move(
                *(code, "rejected", at_ms, SEEN_BEFORE),
                state=state,
                anomaly=anomaly,
                reason=SEEN_BEFORE,
            )
        else:
            lines = [
                DeliveryLine(line_no=number, sku=sku, quantity=quantity)
                for number, (sku, quantity) in enumerate(units.items(), start=1)
            ]
            self._rows.insert(
                *(code, paid.reservation_id, warehouse, lines),
                entered_ms=paid.at_ms,
                as_of=version,
                at_ms=at_ms,
                detail=detail,
            )
            if wish is not None:  # it came before the order: its units are to be given back still
                self._keep_back(code, wish.reason, at_ms)
                self._give_back(paid, at_ms)
        self._rows.set_as_of(code, version)

    def _wish_of(self, paid: Confirmed) -> Wish | None:
        """Find the wish that an order does not leave; that of an earlier order of its id ends."""
        wish = self._rows.wish(paid.reservation_id)
        if wish is None or wish.verdict not in ORDER_ENDED or paid.at_ms <= wish.asked_ms:
            return wish
        statement = "DELETE FROM wish WHERE reservation_id = ?"
        self._db.execute(statement, (paid.reservation_id,))
        return None

    def _keep_back(self, code: str, reason: str, at_ms: int) -> None:
        for part in self._rows.deliveries("code = ?", (code,)):
            if self._rows.is_of_before(part):
                changes = self._rows.asking_back(part, at_ms)
                self._rows.move(code, "cancel asked", at_ms, reason, reason=reason, **changes)
            else:
                self._rows.cancel_here(code, reason, at_ms, cancel=CancelState.IN_TIME)

    def _give_back(self, paid: Confirmed, at_ms: int) -> None:
        statement = "UPDATE wish SET open = 1, due_ms = ? WHERE reservation_id = ?"
        self._db.execute(statement, (at_ms, paid.reservation_id))

    # -- released --------------------------------------------------------------------------------

    def _released(self, part: Delivery, reason: str, at_ms: int) -> None:
        told = f"released: {reason}" if reason else "released"
        if part.is_here and not self._rows.is_of_before(part):
            self._rows.cancel_here(part.code, told, at_ms, released=1)
        elif part.state not in ENDED and part.cancel is CancelState.TOO_LATE:
            anomaly = Anomaly.SHIPPED_THOUGH_RELEASED
            self._rows.move(part.code, "released too late", at_ms, released=1, anomaly=anomaly)
        elif part.state not in ENDED:
            changes = {"released": 1, "reason": told, **self._rows.asking_back(part, at_ms)}
            self._rows.move(part.code, "cancel asked", at_ms, told, **changes)

    def _unreleased(self, part: Delivery, at_ms: int) -> None:
        """Wish an order back whose release the store has lost: its warehouse is asked already."""
        is_of_it = part.anomaly is Anomaly.SHIPPED_THOUGH_RELEASED
        anomaly = Anomaly.NONE if is_of_it else part.anomaly
        self._rows.move(part.code, "its release was lost", at_ms, released=0, anomaly=anomaly)
        self._db.execute(
            "INSERT INTO wish VALUES (?1, ?2, ?3, 1, '', ?3, 0)"
            " ON CONFLICT DO UPDATE SET open = 1, due_ms = ?3",
            (part.reservation_id, part.reason, at_ms),
        )

    # -- left ------------------------------------------------------------------------------------

    def _has_left(self, part: Delivery, remaining: Mapping[str, int], at_ms: int) -> None:
        """Note what of a delivery is left to leave."""
        if part.state in ENDED or remaining == part.remaining():
            return
        is_over = not any(units > 0 for units in remaining.values())
        if part.is_here:
            if is_over:
                self._rows.cancel_here(part.code, "it has left otherwise", at_ms)
                return
            lines = tuple(
                replace(line, quantity=remaining[line.sku])
                for line in part.lines
                if remaining.get(line.sku, 0) > 0
            )
            self._rows.move(part.code, "part left otherwise", at_ms, lines=encode(lines))
            self._rows.lock_anew(part.code, at_ms)
            return
        left = part.left_of(remaining)
        if not is_over:
            self._rows.move(part.code, "part shipped", at_ms, left=encode(left))
            return
        cancel = CancelState.TOO_LATE if part.cancel is CancelState.ASKED else part.cancel
        state = DeliveryState.SHIPPED
        self._rows.move(
            part.code, "shipped", at_ms, state=state, left=encode(left), cancel=cancel, anomaly=""
        )

    # -- comparing with what is true now ---------------------------------------------------------

    def compare(
        self, version: Version, reservations: Iterable[Reservation], at_ms: int
    ) -> set[str]:
        """Bring rows to what the store says of reservations, as of a place in its log.

        Returns the ids of those that have rows. What rows say of the log does not count: it may
        be that of a past that the store has lost.
        """
        met = set()
        with self._db.transaction():
            for found in reservations:
                if found.state is State.CONFIRMED:
                    self._restore(version, found, at_ms)
                for part in self._rows.parts(found.reservation_id):
                    met.add(found.reservation_id)
                    self._compare(part, found, at_ms)
                    self._rows.set_as_of(part.code, version)
        return met

    def _restore(self, version: Version, found: Reservation, at_ms: int) -> None:
        """Enter what is paid and lacks a row, or has one that was taken out of turn."""
        units: dict[str, dict[str, int]] = {}
        for line in found.lines:
            if line.quantity > line.fulfilled:
                left = line.quantity - line.fulfilled
                units.setdefault(line.warehouse, {})[line.sku] = left
        paid = Confirmed(found.reservation_id, units, found.confirmed_at_ms or found.created_at_ms)
        parts = {part.code: part for part in self._rows.parts(paid.reservation_id)}
        for warehouse, of_each in units.items():
            code = delivery_code(paid.reservation_id, warehouse)
            part = parts.get(code)
            if warehouse in self._warehouses and (part is None or not _stays(part)):
                # Before the first comparison has ended there is no place in the log.
                detail = "" if self._rows.position else OF_BEFORE
                self._enter(version, paid, warehouse, of_each, at_ms, found=part, detail=detail)

    def _compare(self, part: Delivery, found: Reservation, at_ms: int) -> None:
        if found.state in {State.RELEASED, State.EXPIRED}:
            if not part.released:
                self._released(part, "as the store says", at_ms)
        elif found.state is State.HELD:
            self._lost(part, at_ms)
        else:
            if part.anomaly is Anomaly.NOT_IN_STORE:
                self._rows.move(part.code, "known again", at_ms, anomaly="")
            if part.released and part.state not in ENDED and found.state is State.CONFIRMED:
                self._unreleased(part, at_ms)
            remaining = {
                line.sku: line.quantity - line.fulfilled
                for line in found.lines
                if line.warehouse == part.warehouse
            }
            whole = found.state is State.FULFILLED
            self._has_left(part, {} if whole else remaining, at_ms)

    def lost(self, reservation_ids: Iterable[str], at_ms: int) -> None:
        """Note orders that the store does not know at all."""
        with self._db.transaction():
            for reservation_id in reservation_ids:
                for part in self._rows.parts(reservation_id):
                    self._lost(part, at_ms)

    def _lost(self, part: Delivery, at_ms: int) -> None:
        if part.is_here:
            self._rows.cancel_here(part.code, LOST, at_ms)
        elif part.state not in ENDED and part.anomaly is not Anomaly.NOT_IN_STORE:
            anomaly = Anomaly.NOT_IN_STORE
            self._rows.move(part.code, "not in the store", at_ms, LOST, anomaly=anomaly)

    def compared(self, position: str) -> None:
        """Note that all is as of a place in the log, for these warehouses."""
        with self._db.transaction():
            self._note_position(position)

    def _note_position(self, position: str) -> None:
        """Note a place in the log; it is none for a warehouse that the settings do not name now."""
        self._db.set_fact("position", position)
        self._db.set_fact("warehouses", " ".join(sorted(self._warehouses)))

    def open_orders(self, after: str, count: int) -> Sequence[str]:
        """Name orders behind an id of which a part has not ended."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT DISTINCT reservation_id FROM delivery WHERE reservation_id > ?"
                " AND state NOT IN ('shipped', 'cancelled') ORDER BY reservation_id LIMIT ?",
                (after, count),
            ).fetchall()
        return [reservation_id for (reservation_id,) in rows]

    # -- details ---------------------------------------------------------------------------------

    def undetailed(self, at_ms: int, count: int, without: Iterable[str] = ()) -> Mapping[str, int]:
        """Name orders whose details are to be asked for, and how often they have been.

        None of the channels `without`.
        """
        channels = "".join(f" {channel}:" for channel in without)
        with self._db.reading():
            rows = self._db.execute(
                "SELECT reservation_id, attempts FROM delivery"
                " WHERE state = 'undetailed' AND due_ms <= ?"
                " AND instr(?, ' ' || substr(reservation_id, 1, instr(reservation_id, ':'))) = 0"
                " ORDER BY due_ms LIMIT ?",
                (at_ms, channels, count),
            ).fetchall()
        return dict(rows)

    def detail(
        self,
        found: Iterable[tuple[str, Dispatch]],
        lacking: Iterable[tuple[str, str, int]],
        policies: Mapping[str, PriorityPolicy],
        at_ms: int,
    ) -> None:
        """Give orders their details and their turn; ask for those of others later, by reason."""
        with self._db.transaction():
            for reservation_id, dispatch in found:
                for part in self._undetailed_parts(reservation_id):
                    policy = policies.get(part.warehouse, PriorityPolicy())
                    self._detail(part, dispatch, turn_of(part, dispatch, policy), at_ms)
            for reservation_id, reason, due_ms in lacking:
                for part in self._undetailed_parts(reservation_id):
                    changes: dict[str, Any] = {
                        "due_ms": due_ms,
                        "attempts": part.attempts + 1,
                        "reason": part.reason if part.cancel else reason,
                    }
                    if _despairs(part, due_ms):
                        changes["anomaly"] = Anomaly.NO_DETAILS
                    self._rows.move(part.code, "details lack", at_ms, reason, **changes)

    def _undetailed_parts(self, reservation_id: str) -> Sequence[Delivery]:
        condition = "reservation_id = ? AND state = 'undetailed'"
        return self._rows.deliveries(condition, (reservation_id,))

    def _detail(self, part: Delivery, dispatch: Dispatch, turn: Waiting, at_ms: int) -> None:
        anomaly, reason = self._left_to_people(part)
        self._rows.move(
            part.code,
            "detailed",
            at_ms,
            turn.lane,
            state=DeliveryState.SENT if part.doubt else DeliveryState.PENDING,
            doubt=part.doubt,  # what is there already is handed over again, as after a lost answer
            lines=encode([_priced(line, dispatch) for line in part.lines]),
            dispatch=encode(dispatch),
            lane=turn.lane,
            ship_by_ms=turn.ship_by_ms,
            turn_ms=turn.turn_ms,
            reason=part.reason if part.cancel else reason,
            anomaly=anomaly,
        )

    def _left_to_people(self, part: Delivery) -> tuple[Anomaly, str]:
        """Say what is amiss with an order once it has its details, and why.

        A refused lock is told again, which had to stand back.
        """
        if part.anomaly is not Anomaly.NO_DETAILS:
            return part.anomaly, ""
        lock = self._rows.locks([part.code]).get(part.code)
        if lock is not None and lock.state is LockState.REFUSED:
            return Anomaly.LOCK_REFUSED, lock.reason
        return Anomaly.NONE, ""


def _despairs(part: Delivery, due_ms: int) -> bool:
    """Say whether this time is the one with which an order has been without details for long.

    Only that one: what was dismissed stays dismissed. `due_ms` is when they are asked for next.
    """
    if part.anomaly not in {Anomaly.NONE, Anomaly.LOCK_REFUSED}:
        return False
    before = _is_long(part, part.attempts, part.due_ms)
    return not before and _is_long(part, part.attempts + 1, due_ms)


def _is_long(part: Delivery, attempts: int, due_ms: int) -> bool:
    return attempts >= NO_DETAILS_ATTEMPTS and due_ms - part.since_ms >= NO_DETAILS_MS


def _priced(line: DeliveryLine, dispatch: Dispatch) -> DeliveryLine:
    return replace(line, price_fen=dispatch.prices.get(line.sku, line.price_fen))


def _stays(part: Delivery) -> bool:
    """Say whether a row of what is paid is right: it waits, or its warehouse shipped it short."""
    return part.state not in ENDED or (part.state is DeliveryState.SHIPPED and part.is_short)
