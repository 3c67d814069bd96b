"""Says who was the limit of a run: nobody, the generator, the machine, or the service. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from loadtest.figures import Figures, Moment, percentile
from loadtest.usage import Sample, shares

LATE_MS = 50.0  # p99 of a second: beyond it calls did not leave when they should have
BUSY = 0.9  # of a second, or of all cores: run or ready to run


def limit(figures: Figures, usage: Sequence[Sample] = ()) -> str:
    """Judge by the seconds in which calls left late; empty where there are none.

    A generator that used its core up, or could not have one, is named first: nothing can be said of
    what it did not ask for. With time to spare on its side and all users waiting for answers it is
    the machine, where the service is ours and the two used all cores up, and else the service.
    """
    late = [m for m in figures.moments if (percentile(m.lateness, 0.99) or 0.0) > LATE_MS]
    if not late:
        return ""
    seconds = len({moment.second for moment in figures.moments})
    share = f"in {len({moment.second for moment in late})} of {seconds} seconds calls left late"
    used_up = [moment for moment in late if moment.cpu + moment.starved > BUSY]
    if 2 * len(used_up) > len(late):
        if sum(moment.starved > moment.cpu for moment in used_up) * 2 > len(used_up):
            return f"The machine was the limit: {share}, as the generator waited for a core."
        told = "Use more generators (docs/loadtest.md)."
        return f"The generator was the limit: {share}, as it used its core up. {told}"
    if 2 * sum(moment.queued > 0 for moment in late) <= len(late):
        return f"The cause is not clear: {share}, for a moment each."
    waiting = f"as all {figures.users:,} users were waiting for answers"
    told = "The time that they waited is in the latencies."
    spent = _spent(figures, late, usage)
    parts = ", ".join(f"{kind} {part:.2f}" for kind, part in spent.items())
    if spent and sum(spent.values()) >= BUSY * figures.cores:
        told = (
            f"All of its {figures.cores} cores were used up by the service and its load: {parts}."
        )
        return f"The machine was the limit: {share}, {waiting}. {told}"
    used = f" Cores used meanwhile: {parts}." if spent else ""
    return f"The service was the limit: {share}, {waiting}. {told}{used}"


def _spent(
    figures: Figures, late: Sequence[Moment], usage: Sequence[Sample]
) -> Mapping[str, float]:
    """Average what each kind of process used in some seconds, in cores; the largest first."""
    seconds = {moment.second for moment in late}
    by_kind = shares(usage, figures.zero_us, range(max(seconds) + 1))
    if not by_kind:
        return {}
    spent = {kind: fmean(line[second] for second in seconds) for kind, line in by_kind.items()}
    # Each generator has a moment of its own in a second: together they used the sum.
    generators = sum(moment.cpu for moment in figures.moments if moment.second in seconds)
    spent["generator"] = generators / len(seconds)
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
