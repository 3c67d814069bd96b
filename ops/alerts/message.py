"""Many alerts as one message that people can read, within what a robot takes. Pure.

One alert is told in full; a few in a line each; a burst by name. Each bears a link to its page. Of
what stands undone a burst tells how many, and the first few with their figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ops.alerts.wording import HEADLINES, headline_of, is_standing, name_of
from reservation.receivers import AlertType

if TYPE_CHECKING:
    from ops.alerts.alert import Alert
    from ops.alerts.receiving import Telling
    from ops.alerts.wording import Words

MOST_LINES: Final = 12  # more are not read one by one
FIRST_FEW: Final = 5  # of a burst that is told with figures: the board has the rest

_BAD: Final = frozenset(AlertType) - {
    AlertType.ON_TRIAL,
    AlertType.REOPENED,
    AlertType.HEALTHY,
}


@dataclass(frozen=True, slots=True)
class Markdown:
    """How a robot wants its text: what ends a line, how a heading looks, how many bytes it takes.

    `heading` has places for the text and for `tone`, "warning" or "info".
    """

    newline: str
    heading: str
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """A text for people about the first `count` of the alerts that were given."""

    count: int
    title: str
    text: str


def composed(telling: Telling, markdown: Markdown) -> Message:
    """Tell as many of the alerts, from the first on, as one message takes; at least one."""
    alerts, words = telling.alerts, telling.words
    mark = words.text("test") if telling.test else ""

    def told(count: int, write: Callable[[Sequence[Alert], Words], list[str]]) -> Message:
        some = alerts[:count]
        title = mark + _title(some, words)
        tone = "warning" if any(alert.type in _BAD for alert in some) else "info"
        lines = [markdown.heading.format(title, tone=tone), *write(some, words)]
        return Message(count, title, markdown.newline.join(lines))

    def fits(message: Message) -> bool:
        return len(message.text.encode()) <= markdown.max_bytes

    if len(alerts) == 1 and fits(message := told(1, _in_full)):
        return message
    if len(alerts) <= MOST_LINES and fits(message := told(len(alerts), _in_lines)):
        return message
    least, most = 1, len(alerts)  # one by its name always fits
    while least < most:
        middle = (least + most + 1) // 2
        if fits(told(middle, _by_name)):
            least = middle
        else:
            most = middle - 1
    return told(least, _by_name)


def _title(alerts: Sequence[Alert], words: Words) -> str:
    if len(alerts) == 1:
        return f"{name_of(alerts[0])} {words.what(alerts[0])}"
    return words.text("many", n=len(alerts)) + words.text("colon") + words.counts(alerts)


def _in_full(alerts: Sequence[Alert], words: Words) -> list[str]:
    (alert,) = alerts
    rows = [
        ("why", words.why(alert)),
        ("since", words.time(alert.at_ms, zone=True)),
        ("last", words.failure(alert)),
        ("figures", words.figures(alert)),
        ("todo", words.todo(alert)),
    ]
    colon = words.text("colon")
    told = [f"> {words.text(label)}{colon}{text}" for label, text in rows if text]
    return [*told, f"[{words.text('open')}]({words.link(alert)})"]


def _in_lines(alerts: Sequence[Alert], words: Words) -> list[str]:
    told = []
    for headline, some in _by_headline(alerts):
        told.append(f"**{words.count(headline, len(some))}**")
        told += [_line(alert, words) for alert in some]
        todos = dict.fromkeys(words.todo(alert) for alert in some)
        told += [f"{words.text('todo')}{words.text('colon')}{todo}" for todo in todos]
    return told


def _by_name(alerts: Sequence[Alert], words: Words) -> list[str]:
    times = [alert.at_ms for alert in alerts]
    first, last = min(times), max(times)
    told = [f"{words.time(first)} – {words.time(last, zone=True)}"]
    for headline, some in _by_headline(alerts):
        told.append(f"**{words.count(headline, len(some))}**")
        if not is_standing(some[0]):
            told.append("> " + words.text("list").join(_linked(alert, words) for alert in some))
            continue
        told += [_line(alert, words) for alert in some[:FIRST_FEW]]
        if len(some) > FIRST_FEW:
            told.append(f"> {words.text('rest', n=len(some) - FIRST_FEW)}")
    return [*told, f"[{words.text('board')}]({words.board_link(alerts)})"]


def _line(alert: Alert, words: Words) -> str:
    # The figure that decided it: what could not be had, else what brought it about.
    why = words.failure(alert) or words.why(alert)
    return f"> {words.time(alert.at_ms)} {_linked(alert, words)} {why}"


def _linked(alert: Alert, words: Words) -> str:
    return f"[{name_of(alert)}]({words.link(alert)})"


def _by_headline(alerts: Sequence[Alert]) -> list[tuple[str, list[Alert]]]:
    """Sort alerts by what happened, the worst first, each in order of time."""
    found: dict[str, list[Alert]] = {headline: [] for headline in HEADLINES}
    for alert in alerts:
        found[headline_of(alert)].append(alert)
    return [(headline, some) for headline, some in found.items() if some]
