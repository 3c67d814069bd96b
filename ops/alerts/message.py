"""Many alerts as one message that people can read, within what a robot takes. Pure.

One alert is told in full; a few in a line each; a burst by name. Each bears a link to its page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ops.alerts.wording import name_of
from reservation.receivers import AlertType

if TYPE_CHECKING:
    from ops.alerts.alert import Alert
    from ops.alerts.receiving import Telling
    from ops.alerts.wording import Words

MOST_LINES: Final = 12  # more are not read one by one

_BAD: Final = frozenset({AlertType.SUSPENDED, AlertType.AT_RISK})


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
    for kind, some in _by_type(alerts):
        told.append(f"**{words.text('count', what=words.text(kind), n=len(some))}**")
        for alert in some:
            # The figure that decided it: what could not be had, else what brought it about.
            why = words.failure(alert) or words.why(alert)
            told.append(f"> {words.time(alert.at_ms)} {_linked(alert, words)} {why}")
        todos = dict.fromkeys(words.todo(alert) for alert in some)
        told += [f"{words.text('todo')}{words.text('colon')}{todo}" for todo in todos]
    return told


def _by_name(alerts: Sequence[Alert], words: Words) -> list[str]:
    first, last = alerts[0].at_ms, alerts[-1].at_ms
    told = [f"{words.time(first)} – {words.time(last, zone=True)}"]
    for kind, some in _by_type(alerts):
        told.append(f"**{words.text('count', what=words.text(kind), n=len(some))}**")
        told.append("> " + words.text("list").join(_linked(alert, words) for alert in some))
    return [*told, f"[{words.text('board')}]({words.board_link()})"]


def _linked(alert: Alert, words: Words) -> str:
    return f"[{name_of(alert)}]({words.link(alert)})"


def _by_type(alerts: Sequence[Alert]) -> list[tuple[AlertType, list[Alert]]]:
    """Sort alerts by what happened, the worst first, each in order of time."""
    sorted_out = [(kind, [alert for alert in alerts if alert.type is kind]) for kind in AlertType]
    return [(kind, some) for kind, some in sorted_out if some]
