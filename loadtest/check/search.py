"""Find one order of an id's calls in which every answer is what the contract says.

The search is the one of Wing and Gong for linearizable histories, over one small register: the
reservation. A call whose outcome is unknown may stand anywhere from its start on, or nowhere.
Of two ways to the same place the earlier one is as good: a deadline is met by waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.check.life import NOTHING, Life, as_seen, decide, follows
from loadtest.check.op import NEVER, OK, Op

# Ways tried for one id before it is left undecided, and said to be. A shopper's life takes about
# as many as it has calls; only dozens of unanswered calls on one id at once come near.
MAX_WAYS = 20_000
_Way = tuple[int, Life, int]  # the calls that were placed, a bit each; what they leave; the time


class Undecided(Exception):
    """The calls of an id allow more orders than can be tried."""


@dataclass(slots=True)
class Explanation:
    """Whether the calls are one life, and how far any order of them comes."""

    found: bool
    life: Life  # where it ended, or got stuck
    stuck: list[Op]  # the answers that nothing explains after the longest way


def explain(ops: list[Op], skew: int) -> Explanation:
    """Search an order for calls sorted by start.

    Raises Undecided. Cost: a step a call, and at most MAX_WAYS more.
    """
    life = _straight(ops, skew)
    if life is not None:
        return Explanation(found=True, life=life, stuck=[])
    wanted = sum(1 << number for number, op in enumerate(ops) if op.known)
    best = (-1, 0, NOTHING)
    seen: dict[tuple[int, Life], int] = {}
    ways: list[_Way] = [(0, NOTHING, -NEVER)]
    tried = 0
    while ways:
        way = ways.pop()
        done, life, now = way
        if not wanted & ~done:
            return Explanation(found=True, life=life, stuck=[])
        tried += 1
        if tried > MAX_WAYS + len(ops):
            raise Undecided
        if seen.get((done, life), NEVER) <= now:
            continue
        seen[done, life] = now
        length = (done & wanted).bit_count()
        if length > best[0]:
            best = (length, done, life)
        # Whatever stands before the first call not yet placed is done with.
        first = (~done & (done + 1)).bit_length() - 1
        horizon = _horizon(ops, first, wanted & ~done)
        ways += _onward(ops, range(first, len(ops)), horizon, way, skew)
    _, done, life = best
    rest = [op for number, op in enumerate(ops) if op.known and not done >> number & 1]
    horizon = min(op.end for op in rest)
    return Explanation(found=False, life=life, stuck=[op for op in rest if op.start <= horizon])


def _straight(ops: list[Op], skew: int) -> Life | None:
    """Follow calls that came one after the other, all answered: nearly every id is such."""
    life, now = NOTHING, -NEVER
    for op in ops:
        if op.start <= now or not op.known:
            return None
        leaves = _leaves(op, life, op.start, skew)
        if not leaves:
            return None
        life, at = leaves[0]
        now = max(at, op.end)
    return life


def _horizon(ops: list[Op], first: int, rest: int) -> int:
    """Find the first end among the answers not yet explained: nothing later comes before it."""
    horizon = NEVER
    for number in range(first, len(ops)):
        op = ops[number]
        if op.start > horizon:
            break
        if op.end < horizon and rest >> number & 1:
            horizon = op.end
    return horizon


def _onward(ops: list[Op], open_: range, horizon: int, way: _Way, skew: int) -> list[_Way]:
    """List the ways on; the likeliest, an answer that fits, last: it is tried first."""
    done, life, now = way
    unknown, answered = [], []
    for number in open_:
        op = ops[number]
        if op.start > horizon:
            break
        if done >> number & 1:
            continue
        if op.latest < now:
            if op.known:
                return []  # it was decided before this, and nothing explains it
            done |= 1 << number  # its time is over: it had no effect
            continue
        after = done | 1 << number
        for leaves, at in _leaves(op, life, max(now, op.start), skew):
            if not op.known:
                unknown.append((after, leaves, at))
            elif leaves == life and at <= now:
                # It changes nothing and costs no time: no order gains by its waiting.
                return [(after, life, now)]
            else:
                answered.append((after, leaves, at))
    answered.reverse()
    return unknown + answered


def _leaves(op: Op, life: Life, now: int, skew: int) -> list[tuple[Life, int]]:
    """List what the call leaves, and when, if it comes next; nothing where its answer is wrong."""
    leaves = []
    for met, at in as_seen(life, now, op.latest):
        for answer, after in decide(met, op, skew):
            if op.known:
                if op.part is not None and answer == OK and op.replayed != (after == met):
                    continue  # what had left before is a replay, and nothing else is
                shown = follows(op, answer, after, skew)
                if shown is not None:
                    leaves.append((shown, at))
            elif after != met:
                leaves.append((after, at))
    return leaves
