"""The box of reports: kept once each by their name, and what became of them (ADR 022).

Any number of processes may keep reports and look at them; one applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable
from wms_sync.model import Progressed
from wms_sync.reports.reported import (
    Plan,
    Reported,
    ReportState,
    Shortfall,
    Unread,
    chain_of,
    packed,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wms_sync.reports.reported import Said

T = TypeVar("T")

FORMAT: Final = 1
MOST_OF_A_PAGE: Final = 1_001  # with the one that says whether there is another page
MOST_AT_ONCE: Final = 500  # reports that are forgotten in one go

_TABLES: Final = """
CREATE TABLE report (
  number INTEGER PRIMARY KEY, warehouse TEXT NOT NULL, id TEXT NOT NULL, chain TEXT NOT NULL,
  kind TEXT NOT NULL, said BLOB NOT NULL, state TEXT NOT NULL, kept_ms INTEGER NOT NULL,
  since_ms INTEGER NOT NULL, times INTEGER NOT NULL, due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL, reason TEXT NOT NULL, anomaly TEXT NOT NULL, plan BLOB,
  UNIQUE (warehouse, id)
);
CREATE TABLE shortfall (
  warehouse TEXT NOT NULL, sku TEXT NOT NULL, since_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  on_hand INTEGER NOT NULL, held INTEGER NOT NULL, committed INTEGER NOT NULL,
  untaken INTEGER NOT NULL, report TEXT NOT NULL, PRIMARY KEY (warehouse, sku)
) WITHOUT ROWID;
CREATE INDEX report_due ON report (due_ms, number) WHERE state = 'waiting';
CREATE INDEX report_chain ON report (warehouse, chain, number);
CREATE INDEX report_waiting ON report (warehouse, chain, number) WHERE state = 'waiting';
CREATE INDEX report_for_people ON report (number)
  WHERE state = 'dead' OR anomaly <> '' OR state = 'waiting' AND attempts > 0;
CREATE INDEX report_dead ON report (warehouse) WHERE state = 'dead';
CREATE INDEX report_ended ON report (since_ms) WHERE state IN ('done', 'dismissed');
"""
# What was added to files of this form, each harmless where it is there.
_LATER: Final = (
    """CREATE TABLE IF NOT EXISTS seen_to (
  warehouse TEXT NOT NULL, sku TEXT NOT NULL, by TEXT NOT NULL, PRIMARY KEY (warehouse, sku)
) WITHOUT ROWID""",
)
_COLUMNS: Final = (
    "number, warehouse, chain, kind, said, state, kept_ms, since_ms, times, attempts, reason,"
    " anomaly, plan"
)
_SHORTFALL: Final = "warehouse, sku, since_ms, at_ms, on_hand, held, committed, untaken, report, by"
_SHORTFALLS: Final = (
    "(SELECT shortfall.*, coalesce(by, '') AS by"
    " FROM shortfall LEFT JOIN seen_to USING (warehouse, sku))"
)

_TOLD_OTHERWISE: Final = "told otherwise under the same name, which was not applied: "
_MOST_TOLD: Final = 300  # characters of that

_ANEW: Final = (
    "UPDATE report SET state = 'waiting', due_ms = ?, attempts = 0,"
    " plan = CAST(json_object('done_ms', since_ms) AS BLOB)"
    " WHERE warehouse = ? AND id = ? AND state = 'done'"
)

_plan: Final = msgspec.json.Decoder(Plan).decode


class ReportsUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is acknowledged, and warehouses send again."""


class Fate(Struct, frozen=True, kw_only=True):
    """What became of a report: `done`, else why not and when again; never where `due_ms` is None.

    `anomaly` is what people have to see all the same.
    """

    number: int
    done: bool = False
    reason: str = ""
    due_ms: int | None = None
    anomaly: str = ""
    shortfalls: tuple[Shortfall, ...] = ()


def reports_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "reports.sqlite3"


class BoxReads:
    """What is in the file. Every method may raise ReportsUnavailable."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def for_people(self, after: int = 0, count: int = MOST_OF_A_PAGE) -> Sequence[Reported]:
        """Page through dead reports, those tried in vain, and anomalies, behind a number."""
        return self._reports(
            f"number > ? AND {_FOR_PEOPLE} ORDER BY number LIMIT ?",
            after,
            min(count, MOST_OF_A_PAGE),
        )

    def report(self, number: int) -> Reported | None:
        """Read one; None where there is none."""
        return next(iter(self._reports("number = ?", number)), None)

    def done_of(self, warehouse: str, code: str) -> Sequence[Reported]:
        """Read all that was applied of an order, in the order that was done."""
        condition = "warehouse = ? AND chain = ? AND state = 'done' ORDER BY since_ms, number"
        return self._reports(condition, warehouse, f"order {code}")

    def shortfalls(
        self, after: tuple[str, str] = ("", ""), count: int = MOST_OF_A_PAGE
    ) -> Sequence[Shortfall]:
        """Page through shortfalls that nobody has dismissed, by warehouse and SKU."""
        return self._shortfalls(
            "by = '' AND (warehouse, sku) > (?, ?) ORDER BY warehouse, sku LIMIT ?",
            *after,
            min(count, MOST_OF_A_PAGE),
        )

    def all_shortfalls(self, after: tuple[str, str], count: int) -> Sequence[Shortfall]:
        """Page through all of them, as `shortfalls` does."""
        return self._shortfalls(
            "(warehouse, sku) > (?, ?) ORDER BY warehouse, sku LIMIT ?",
            *after,
            min(count, MOST_OF_A_PAGE),
        )

    def count_for_people(self, warehouse: str) -> int:
        """Count what `for_people` has of a warehouse."""
        with self._db.reading():
            (count,) = self._db.execute(
                f"SELECT COUNT(*) FROM report WHERE {_FOR_PEOPLE} AND warehouse = ?",  # noqa: S608
                (warehouse,),
            ).fetchone()
        return int(count)

    def shortfall(self, warehouse: str, sku: str) -> Shortfall | None:
        """Read that of a SKU; None where there is none."""
        return next(iter(self._shortfalls("warehouse = ? AND sku = ?", warehouse, sku)), None)

    def shortfalls_of(self, warehouse: str) -> Sequence[str]:
        """Name the SKUs of a warehouse's shortfalls that nobody has dismissed."""
        condition = "warehouse = ? AND by = '' ORDER BY sku"
        return [one.sku for one in self._shortfalls(condition, warehouse)]

    def counts(self, warehouse: str) -> Mapping[str, int]:
        """Count by state what is not done, "anomaly": what is done and odd, "shortfall": SKUs."""
        with self._db.reading():
            return {
                name: self._db.execute(statement, (warehouse,)).fetchone()[0]
                for name, statement in _COUNTS.items()
            }

    def _reports(self, condition: str, *values: object) -> Sequence[Reported]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM report WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [_reported(*row) for row in rows]

    def _shortfalls(self, condition: str, *values: object) -> Sequence[Shortfall]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_SHORTFALL} FROM {_SHORTFALLS} WHERE {condition}",  # noqa: S608 (ours)
                values,
            ).fetchall()
        return [Shortfall(**dict(zip(_SHORTFALL.split(", "), row, strict=True))) for row in rows]


_FOR_PEOPLE: Final = "(state = 'dead' OR anomaly <> '' OR state = 'waiting' AND attempts > 0)"
_COUNTS: Final = {
    "waiting": "SELECT COUNT(*) FROM report WHERE warehouse = ? AND state = 'waiting'",
    "dead": "SELECT COUNT(*) FROM report WHERE warehouse = ? AND state = 'dead'",
    "anomaly": (
        f"SELECT COUNT(*) FROM report WHERE {_FOR_PEOPLE}"  # noqa: S608 (a text of ours)
        " AND anomaly <> '' AND state = 'done' AND warehouse = ?"
    ),
    "shortfall": (
        f"SELECT COUNT(*) FROM {_SHORTFALLS} WHERE warehouse = ? AND by = ''"  # noqa: S608 (ours)
    ),
}


class Box(BoxReads):
    """The file, to write it."""

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(
            Database(path, _TABLES, form=FORMAT, fault=ReportsUnavailable, later=_LATER)
        )

    def keep(self, reports: Iterable[tuple[str, Said]], at_ms: int) -> int:
        """Keep reports of warehouses, each once; returns how many were new.

        One without a name that was done may be told of what came later: it is looked at anew.
        When it returns they are on the disk.
        """
        with self._db.transaction():
            return sum(self._keep(warehouse, said, at_ms) for warehouse, said in reports)

    def _keep(self, warehouse: str, said: Said, at_ms: int) -> bool:
        state = ReportState.DEAD if isinstance(said, Unread) else ReportState.WAITING
        reason = said.reason if isinstance(said, Unread) else ""
        row = (warehouse, said.message_id, chain_of(warehouse, said), *packed(said), state, at_ms)
        times, kind, known = self._db.execute(
            "INSERT INTO report VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 1, ?7, 0, ?8, '',"
            " NULL) ON CONFLICT (warehouse, id) DO UPDATE SET times = times + 1"
            " RETURNING times, kind, said",
            (*row, reason),
        ).fetchone()
        # What is said otherwise under a name of before is not applied: people have to know.
        if (kind, known) != row[3:5] and unpacked(kind, known) != said:
            self._db.execute(
                "UPDATE report SET anomaly = ? WHERE warehouse = ? AND id = ?",
                (_told_otherwise(said), warehouse, said.message_id),
            )
        if times > 1 and isinstance(said, Progressed) and said.unnamed:
            self._db.execute(_ANEW, (at_ms, warehouse, said.message_id))
        return bool(times == 1)

    # -- applying --------------------------------------------------------------------------------

    def due(self, at_ms: int, count: int) -> Sequence[Reported]:
        """Name what is to be applied now: of each chain the first report that waits."""
        return self._reports(
            "state = 'waiting' AND due_ms <= ? AND NOT EXISTS (SELECT 1 FROM report earlier"
            " WHERE earlier.warehouse = report.warehouse AND earlier.chain = report.chain"
            " AND earlier.number < report.number AND earlier.state = 'waiting')"
            " ORDER BY due_ms, number LIMIT ?",
            at_ms,
            count,
        )

    def decide(self, number: int, plan: Plan) -> None:
        """Keep what is going to be done of a report, before it is done."""
        with self._db.transaction():
            self._decide(number, plan)

    def _decide(self, number: int, plan: Plan) -> None:
        self._db.execute(
            "UPDATE report SET plan = ? WHERE number = ?", (msgspec.json.encode(plan), number)
        )

    def take(self, number: int, sku: str, units: int) -> None:
        """Keep which change of a SKU is made instead of the one that is told."""
        with self._db.transaction():
            found = self.report(number)
            plan = (None if found is None else found.plan) or Plan()
            self._decide(number, replace(plan, taken={**plan.taken, sku: units}))

    def settle(self, fates: Iterable[Fate], at_ms: int) -> None:
        """Note what became of reports, and the shortfalls that they have led to."""
        with self._db.transaction():
            for fate in fates:
                self._settle(fate, at_ms)

    def _settle(self, fate: Fate, at_ms: int) -> None:
        if fate.done:
            self._db.execute(
                "UPDATE report SET state = 'done', since_ms = ?1, reason = '',"
                " anomaly = IIF(?2 = '', anomaly, ?2) WHERE number = ?3",
                (at_ms, fate.anomaly, fate.number),
            )
        elif fate.due_ms is None:
            self._db.execute(
                "UPDATE report SET state = 'dead', since_ms = ?, reason = ? WHERE number = ?",
                (at_ms, fate.reason, fate.number),
            )
        else:
            self._db.execute(
                "UPDATE report SET due_ms = ?, attempts = attempts + 1, reason = ?"
                " WHERE number = ?",
                (fate.due_ms, fate.reason, fate.number),
            )
        for short in fate.shortfalls:
            self._raise(short)

    def renew(self, shortfalls: Iterable[Shortfall]) -> None:
        """Bring shortfalls to their levels as they are now."""
        with self._db.transaction():
            for short in shortfalls:
                self._raise(replace(short, untaken=0))

    def _raise(self, short: Shortfall) -> None:
        """Note a shortfall; one that stands gets its figures, and what was not taken adds up.

        One that is dismissed is for people again where more is missing, or was not taken since. One
        that is none any more ends, unless something was not taken that nobody has seen to.
        """
        before = self.shortfall(short.warehouse, short.sku)
        by, untaken = "", short.untaken
        if before is not None:
            is_more = short.units > before.units or short.untaken > 0
            by = "" if is_more else before.by
            if by == before.by:
                untaken += before.untaken
        place = short.warehouse, short.sku
        is_over = not short.units and (by or not untaken)
        if is_over or not by:
            self._db.execute("DELETE FROM seen_to WHERE warehouse = ? AND sku = ?", place)
        if is_over:
            self._db.execute("DELETE FROM shortfall WHERE warehouse = ? AND sku = ?", place)
            return
        *row, _ = msgspec.structs.astuple(replace(short, untaken=untaken))
        self._db.execute(
            "INSERT INTO shortfall VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO"
            " UPDATE SET at_ms = ?4, on_hand = ?5, held = ?6, committed = ?7, untaken = ?8,"
            " report = ?9",
            row,
        )

    # -- people ----------------------------------------------------------------------------------

    def retry(self, number: int, by: str, at_ms: int) -> bool:
        """Try a dead report once more, or a waiting one at once; False where it is neither.

        What nobody could read has to be sent again by the warehouse. `by` is who wants it: that
        stands in its place until it fails again.
        """
        with self._db.transaction():
            return (
                self._db.execute(
                    "UPDATE report SET state = 'waiting', since_ms = ?1, due_ms = ?1, attempts = 0,"
                    " reason = ?3"
                    " WHERE number = ?2 AND state IN ('dead', 'waiting') AND kind <> 'unread'",
                    (at_ms, number, f"retried by {by}"),
                ).rowcount
                > 0
            )

    def dismiss(self, number: int, by: str, at_ms: int) -> bool:
        """Take a dead report, or an anomaly, off the list; False where there is none.

        Its reason says from then on who has, behind what it was.
        """
        seen_to = f" (dismissed by {by})"
        with self._db.transaction():
            return (
                self._db.execute(
                    "UPDATE report SET state = 'dismissed', since_ms = ?, reason = reason || ?"
                    " WHERE number = ? AND state = 'dead'",
                    (at_ms, seen_to, number),
                ).rowcount
                + self._db.execute(
                    "UPDATE report SET anomaly = '', reason = anomaly || ?"
                    " WHERE number = ? AND anomaly <> ''",
                    (seen_to, number),
                ).rowcount
                > 0
            )

    def dismiss_shortfall(self, warehouse: str, sku: str, by: str) -> bool:
        """Note that somebody sees to a shortfall until more is missing; False if there is none."""
        with self._db.transaction():
            return (
                self._db.execute(
                    "INSERT INTO seen_to SELECT warehouse, sku, ?3 FROM shortfall"
                    " WHERE warehouse = ?1 AND sku = ?2 ON CONFLICT DO NOTHING",
                    (warehouse, sku, by),
                ).rowcount
                > 0
            )

    def forget(self, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget reports that ended before a time, bounded by `count`; anomalies stay."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM report WHERE number IN (SELECT number FROM report WHERE since_ms < ?"
                " AND state IN ('done', 'dismissed') AND anomaly = '' LIMIT ?)",
                (before_ms, count),
            ).rowcount


def look_at(path: Path, question: Callable[[BoxReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    if not is_there(path):
        return None
    found = BoxReads(DatabaseReader(path, form=FORMAT, fault=ReportsUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def _reported(*row: Any) -> Reported:
    """Make a report of a row of _COLUMNS."""
    number, warehouse, chain, kind, said, state, kept_ms, since_ms, *rest = row
    times, attempts, reason, anomaly, plan = rest
    return Reported(
        number=number,
        warehouse=warehouse,
        chain=chain,
        said=unpacked(kind, said),
        state=ReportState(state),
        kept_ms=kept_ms,
        since_ms=since_ms,
        times=times,
        attempts=attempts,
        reason=reason,
        anomaly=anomaly,
        plan=None if plan is None else _plan(plan),
    )


def _told_otherwise(said: Said) -> str:
    """Say what was told, but for a warehouse's own words: they may name a buyer."""
    told = msgspec.to_builtins(said) | {"reason": ""}
    told.pop("body", None)
    return _TOLD_OTHERWISE + msgspec.json.encode(told).decode()[:_MOST_TOLD]
