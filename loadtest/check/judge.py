"""Judge a history: every id's life, every level's stock, every refusal, every balance."""

from __future__ import annotations

import dataclasses
from array import array
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from loadtest.check.intake import Columns, Progress
from loadtest.check.level import Level
from loadtest.check.occupancy import Occupancy
from loadtest.check.op import GRANTED, MISSING, OK, READ, UNKNOWN, Op
from loadtest.check.recount import Count
from loadtest.check.rules import Report, Rule
from loadtest.check.search import Explanation, Undecided, explain

# At least so far the service's clock may be from the clients', on one machine too: its times are
# cut to milliseconds, and one that was stepped back stands still.
CLOCK_ERROR_US = 5_000
_MILLISECOND = 1_000  # a deadline is cut to it
_EVIDENCE = 8  # records shown with a finding
_UNNAMED = -(1 << 60)  # a line that a refusal did not name short; no figure that can be told
_MOVES = ("confirm", "release", "extend", "fulfil")
_REPORT_EVERY = 4_096


def judge(
    paths: Sequence[Path], *, clock_error_us: int | None = None, progress: Progress | None = None
) -> Report:
    """Judge the history in some files. Raises HistoryUnreadable.

    `clock_error_us` is how far the service's clock may be from the clients'; by default as far as
    the history says that theirs are from each other.

    Cost: O(n log n) time, about 300 bytes a call.
    """
    columns = Columns()
    told = progress or _silence
    columns.read(paths, told)
    if clock_error_us is None:
        clock_error_us = max(CLOCK_ERROR_US, columns.clock_error)
    return _Judge(columns, clock_error_us, told).judge()


def _silence(_stage: str, _done: int, _total: int) -> None:
    pass


class _Judge:
    """One judgement: the lives first, which fill the levels, then each level."""

    def __init__(self, columns: Columns, clock_error_us: int, progress: Progress) -> None:
        self._columns = columns
        self._skew = clock_error_us + _MILLISECOND + columns.clock_error
        self._progress = progress
        self._report = Report(counts=dict(columns.counts))
        self._levels: dict[int, Level] = defaultdict(lambda: Level([]))
        for number, writes in columns.stock.items():
            self._levels[number] = Level(writes)
        self._counts = {
            number: [Count(seen) for seen in seen_of]
            for number, seen_of in columns.balances.items()
        }
        # level -> row, units asked, available as told: what to look up once the level is whole.
        self._refused: dict[int, array[int]] = defaultdict(lambda: array("q"))
        # Counted here and not in the report: a key that is an enumeration is slow to hash.
        self._moves = self._acknowledged = 0
        self._suspended = self._beyond_quota = self._undecided = self._unknown_levels = 0

    def judge(self) -> Report:
        """Apply every rule."""
        columns, report = self._columns, self._report
        report.judged[Rule.COMPLETE] = len(columns.runs)
        for path in columns.cut_off:
            report.find(Rule.COMPLETE, f"{path} has no end: it was cut off")
        files = max(run.files for run in columns.runs)
        if files and len(columns.runs) != files:
            told = f"the run has {files} files, here are {len(columns.runs)}: name all of them"
            report.find(Rule.COMPLETE, told)
        if not report.ok:
            report.notes.append("all other rules: what is missing might explain what is there")
            return report
        for done, (who, ops) in enumerate(columns.reservations()):
            self._reservation(who, ops)
            if done % _REPORT_EVERY == 0:
                self._progress("reservations", done, len(columns.ids))
        self._progress("reservations", len(columns.ids), len(columns.ids))
        report.judged[Rule.ONE_EFFECT] = len(columns.ids)
        report.judged[Rule.FINDABLE] = self._acknowledged
        report.judged[Rule.EFFECTS] = self._moves
        report.counts |= {"reservations": len(columns.ids), "levels": len(columns.levels)}
        for number in range(len(columns.levels)):
            self._level(number)
            self._progress("levels", number + 1, len(columns.levels))
        counts = columns.counts
        report.judged[Rule.ANSWERS] = counts["calls"] - counts["calls of unknown outcome"]
        for text, where in columns.faults:
            report.find(Rule.ANSWERS, text, where)
        self._note()
        if report.ok and report.is_empty:
            report.find(Rule.COMPLETE, "nothing in it can be judged: it proves nothing")
        return report

    def _reservation(self, who: int, ops: list[Op]) -> None:
        self._life(who, ops)
        if len(ops) > 1 or ops[0].may_act:
            self._follow(who, ops)
        for op in ops:
            if op.answer == "insufficient-stock":
                self._refusal(op)
            elif op.answer == "unknown-sku":
                self._unknown_sku(op)
            elif op.answer == "sku-suspended":
                self._suspended += 1
            elif op.answer == "channel-quota-exceeded":
                self._beyond_quota += 1

    def _follow(self, who: int, ops: list[Op]) -> None:
        for op in ops:
            if op.expires is not None and op.ttl is not None:
                self._deadline(who, op)
        occupancy = Occupancy(ops, self._skew)
        self._spread(who, occupancy)
        self._found(who, ops, occupancy)

    def _spread(self, who: int, occupancy: Occupancy) -> None:
        """Note with each level what the reservation took of it."""
        for span in occupancy.certain():
            self._levels[span.level].certain.add(who, span)
        if not occupancy.may_exist:
            return
        for span in occupancy.possible():
            self._levels[span.level].possible.add(who, span)
        if occupancy.fulfils:
            for part in occupancy.left_by():
                self._levels[part.level].note_left_by(part)
            for part in occupancy.left_after():
                self._levels[part.level].note_left_after(part)
        for number in occupancy.possible_lines():
            for count in self._counts.get(number, ()):
                count.add(number, occupancy)

    def _life(self, who: int, ops: list[Op]) -> None:
        for op in ops:
            self._moves += op.answer == OK and op.verb in _MOVES
        try:
            explained = explain(ops, self._skew)
            if explained.found:
                return
            calls = [op for op in ops if op.verb != READ]
            told = explain(calls, self._skew) if calls else None
            if told is not None and not told.found:
                self._no_life(who, ops, told)
            else:
                self._no_end(who, ops, explained)
        except Undecided:
            self._undecided += 1

    def _no_life(self, who: int, ops: list[Op], told: Explanation) -> None:
        granted = [op for op in ops if op.answer == GRANTED]
        if len(granted) > 1:
            text = f"granted as new {len(granted)} times"
            self._find(Rule.ONE_EFFECT, who, text, granted)
            return
        text = f"no order of its calls explains an answer: it was {told.life.state}"
        self._find(Rule.ONE_EFFECT, who, text, told.stuck + ops)

    def _no_end(self, who: int, ops: list[Op], explained: Explanation) -> None:
        """Say which rule the reservation as it was read breaks: its calls alone are one life."""
        reads = [op for op in ops if op.verb == READ]
        states = " and ".join(sorted({op.state for op in reads}))
        if any(op.state == MISSING for op in reads):
            self._find(Rule.FINDABLE, who, "acknowledged, and missing at the end", reads + ops)
            return
        moves = [op for op in ops if op.verb in _MOVES and op.answer == OK]
        softened = [
            dataclasses.replace(op, answer=UNKNOWN, known=False) if op in moves else op
            for op in ops
        ]
        if explain(softened, self._skew).found:
            text = f"{states} at the end, so an acknowledged move had no effect"
            self._find(Rule.EFFECTS, who, text, reads + moves + ops)
        else:
            text = f"{states} at the end, which its calls do not explain: {explained.life.state}"
            if explained.life.state == states:
                text = f"{states} at the end, but not with the lines or deadline it was given"
            self._find(Rule.FINDABLE, who, text, reads + ops)

    def _deadline(self, who: int, op: Op) -> None:
        if op.answer != (GRANTED if op.verb == "reserve" else OK):
            return  # a replay tells the deadline that it has
        assert op.expires is not None
        assert op.ttl is not None
        asked = op.expires - op.ttl
        if not op.start - self._skew <= asked <= op.end + self._skew:
            at = self._columns.at(op.expires)
            text = f"expires at {at}, which is not its time to live after the call"
            self._find(Rule.ONE_EFFECT, who, text, [op])

    def _found(self, who: int, ops: list[Op], occupancy: Occupancy) -> None:
        if not occupancy.exists:
            return
        self._acknowledged += 1
        if occupancy.reads:
            return
        self._find(Rule.FINDABLE, who, "acknowledged, and not looked for at the end", ops)

    def _refusal(self, op: Op) -> None:
        columns = self._columns
        short = {
            columns.level(sku, warehouse): (requested, available)
            for sku, warehouse, requested, available in columns.short.get(op.row, ())
        }
        asked = dict(op.lines)
        if not short:
            self._report.find(Rule.REFUSALS, "no line is named short", columns.where(op.row))
        for level, (requested, available) in short.items():
            name = columns.level_name(level)
            # A reinstatement asks for the lines that it was granted with.
            wanted = asked.get(level, 0) if op.verb == "reserve" else requested
            if not 0 <= available < requested or requested != wanted:
                text = f"{name} named short, asked {requested}, available {available}"
                self._report.find(Rule.REFUSALS, text, columns.where(op.row))
            self._refused[level].extend((op.row, requested, available))
        if op.verb == "reserve":
            for level, requested in asked.items():
                if level not in short:
                    self._refused[level].extend((op.row, requested, _UNNAMED))

    def _unknown_sku(self, op: Op) -> None:
        self._report.judged[Rule.REFUSALS] += 1
        if all(self._levels[level].exists_by(op.start) for level, _ in op.lines):
            text = "refused as unknown, but every level was there"
            self._report.find(Rule.REFUSALS, text, self._columns.where(op.row))

    def _level(self, number: int) -> None:
        level = self._levels.pop(number, None) or Level([])
        if level.is_unknown:
            self._unknown_levels += 1
            return
        level.ready()
        self._report.judged[Rule.CONSERVATION] += len(level.certain.who)
        if not level.writes:
            if len(level.certain.who):
                name = self._columns.level_name(number)
                self._report.find(Rule.CONSERVATION, f"{name}: granted, but no stock was noted")
            return
        self._overdrafts(number, level)
        self._refusals(number, level)
        self._balances(number, level)

    def _overdrafts(self, number: int, level: Level) -> None:
        report, columns = self._report, self._columns
        name = columns.level_name(number)
        for span, out, room in level.overdrafts():
            if not report.wants(Rule.CONSERVATION):
                report.find(Rule.CONSERVATION, "")
                continue
            time = level.certain.start[span]
            there = level.certain.at(time)
            text = (
                f"{name}: {out} units were out for certain at {columns.at(time)}, where at most"
                f" {room} could be, with the grant of {columns.ids[level.certain.who[span]]}"
                f" and {len(set(there)) - 1} others"
            )
            shown = {level.certain.who[span], *there[: _EVIDENCE - 1]}
            report.find(Rule.CONSERVATION, text, *columns.grants_of(shown))

    def _refusals(self, number: int, level: Level) -> None:
        report, columns = self._report, self._columns
        name = columns.level_name(number)
        refused = self._refused.pop(number, ())
        for row, requested, told in zip(refused[::3], refused[1::3], refused[2::3], strict=True):
            report.judged[Rule.REFUSALS] += 1
            op = columns.op(row)
            least, most = level.available(op.start, op.latest)
            if told == _UNNAMED:
                if most < requested:
                    text = f"{name} was short: asked {requested}, at most {most} free; not named"
                    report.find(Rule.REFUSALS, text, columns.where(row))
            elif least >= requested:
                text = f"{name}: {requested} refused, while at least {least} were free throughout"
                report.find(Rule.REFUSALS, text, columns.where(row))
            elif not least <= told <= most:
                text = f"{name}: available is told as {told}, it was between {least} and {most}"
                report.find(Rule.REFUSALS, text, columns.where(row))

    def _balances(self, number: int, level: Level) -> None:
        report, columns = self._report, self._columns
        counts = self._counts.pop(number, [])
        if not counts:
            text = f"{columns.level_name(number)}: its balance was not read at the end"
            report.find(Rule.BALANCES, text)
        for count in counts:
            report.judged[Rule.BALANCES] += 1
            for text in count.wrong(level):
                name = columns.level_name(number)
                report.find(Rule.BALANCES, f"{name}: {text}", count.seen.where)

    def _find(self, rule: Rule, who: int, text: str, ops: Sequence[Op]) -> None:
        columns = self._columns
        rows = list(dict.fromkeys(op.row for op in ops))
        shown = [columns.where(row) for row in rows[:_EVIDENCE]] if self._report.wants(rule) else []
        self._report.find(rule, f"{columns.ids[who]}: {text}", *shown)

    def _note(self) -> None:
        notes = self._report.notes
        if self._suspended:
            notes.append(
                f"{self._suspended:,} orders refused as suspended: whether the breaker was right"
                " to be open is not judged"
            )
        if self._beyond_quota:
            notes.append(
                f"{self._beyond_quota:,} orders refused for their channel's quota: whether it was"
                " used up is not judged"
            )
        if self._unknown_levels:
            notes.append(
                f"{self._unknown_levels:,} levels with a stock write that was never acknowledged:"
                " their grants, refusals and balances are not judged"
            )
        unjudged = self._columns.unjudged
        if unjudged:
            named = ", ".join(f"{slug} {count:,}" for slug, count in unjudged.most_common())
            notes.append(f"refusals without effect, whether rightly is not judged: {named}")
        if self._undecided:
            notes.append(
                f"{self._undecided:,} reservations with too many overlapping unanswered calls:"
                " their lives are not judged"
            )
