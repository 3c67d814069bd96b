"""The board's dictionary: every word in both languages, none that nobody says, none missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ops.way
import wms_sync.outbox
import wms_sync.reconciliation
from channels.feed.policy import AT_RISK, SUSPENDED
from channels.intake.looks import LookState
from channels.intake.moves import Anomaly
from channels.model import OrderState
from ops.board.pages import ASSETS
from ops.way import Where
from reservation.api.problems import Slug
from reservation.events.entries import KINDS
from reservation.events.timeline import MARKED
from reservation.model import HealthStatus, State
from reservation.receivers import ReceiverKind
from wms_sync.left_views import ReportKind
from wms_sync.outbox.delivery import Anomaly as Amiss
from wms_sync.outbox.delivery import CancelState, DeliveryState
from wms_sync.outbox.lock import LockState
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState

OURS = [path for path in sorted(ASSETS.glob("*.js")) if not path.name.startswith("uPlot")]
SCRIPTS = "\n".join(path.read_text() for path in OURS if path.name != "text.js")
OUTBOX = "\n".join(path.read_text() for path in Path(wms_sync.outbox.__path__[0]).glob("*.py"))
RECONCILIATION = "\n".join(
    path.read_text() for path in Path(wms_sync.reconciliation.__path__[0]).glob("*.py")
)
WAY = Path(ops.way.__file__).read_text()
REASONS = {"failed locks", "failed lock in half-open"}  # of a breaker, written by `_breaker.lua`
# What the service says is looked up as it is; a slug without words is shown itself.
TOLD = {*KINDS.values(), *MARKED.values(), *HealthStatus, *ReceiverKind, *REASONS}
# What a channel was told of a SKU: why it is closed, and how far the telling has come.
TOLD_CHANNELS = {
    *(f"{word} {why}" for word in ("closed", "unclosed") for why in (SUSPENDED, AT_RISK)),
    *(f"told {state}" for state in ("requested", "acknowledged", "failed", "dead")),
}
# Why an order does not fit, what to do, how it stands; "platform" is the kind of no anomaly.
TOLD_ORDERS = {
    *(f"{word} {kind}" for word in ("kind", "todo") for kind in (*Anomaly, "platform")),
    *(f"order {state}" for state in LookState),
    *(f"line {state}" for state in OrderState),
}
# What is told of warehouses, and of an order's way.
STEPS = {
    *re.findall(r'(?:move|_step)\(\s*[\w.]+,\s*(?:\d+, \w+, )?"([^"]+)"', OUTBOX),
    *("sent", "sent again", "put off", "unknown"),  # the one or the other
    *re.findall(r'Where\.\w+, [^)\n]*?"(\w+)"', WAY),
    *re.findall(r'\*where, "(\w+)"', WAY),
    *State,
}
# How a report stands that people see, and what is noted of a SKU.
REPORTS = ("dead", "waiting", "odd", "unread")
NOTES = set(re.findall(r'_note(?:_drift)?\([^"]*?"([a-z ]+)"', RECONCILIATION))
TOLD_HOUSES = {
    *(f"calls {state}" for state in BreakerState),
    *(f"lane {lane}" for lane in Lane),
    *(f"delivery {state}" for state in DeliveryState),
    *(f"lock {state}" for state in LockState if state is not LockState.ENDED),
    *(f"{word} {kind}" for word in ("amiss", "amissTodo") for kind in Amiss if kind),
    *(f"cancel {state}" for state in CancelState if state),
    *(f"where {where}" for where in Where),
    *(f"step {what}" for what in STEPS),
    "told not-told",
    *(f"told {kind}" for kind in ReportKind),
    *(f"{word} {how}" for word in ("report", "reportTodo") for how in REPORTS),
    *(f"note {what}" for what in NOTES),
}
MAY_BE_TOLD = {slug.value for slug in Slug}
WORD = re.compile(r'(?:^|[{,\s])(?:"([^"\n]+)"|(\w+)): (?=")')
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def words(language: str) -> set[str]:
    """Read the words of a language, in the form in which they are written."""
    text = (ASSETS / "text.js").read_text()
    begin = text.index(f"\n  {language}: {{\n")
    block = text[begin : text.index("\n  },", begin)]
    # A text may look like a word with its meaning: its own content is not looked at.
    found = re.sub(r'(: |\+ )"(?:[^"\\]|\\.)*"', r'\1""', block.partition("{\n")[2])
    return {quoted or plain for quoted, plain in WORD.findall(found)}


def said() -> set[str]:
    """Name every text that stands in a script, and with it what `t` may be asked for."""
    texts = set(LITERAL.findall(SCRIPTS))
    acts = {f"{act}{part}" for act in ("suspend", "reopen") for part in ("", "Title", "Meaning")}
    problems = {f"problem {slug}" for slug in MAY_BE_TOLD}
    return texts | acts | problems | TOLD | TOLD_CHANNELS | TOLD_HOUSES | TOLD_ORDERS | MAY_BE_TOLD


def asked() -> set[str]:
    """Name what `t` is asked for by a text, and the lists that are looked up one by one."""
    return set(re.findall(r'\bt\((?:[^()"]*\? )?"([^"]+)"', SCRIPTS)) | {
        word
        for row in re.findall(r"(?:const (?:columns|made|counts) = \[|= section\()(.*?)\]", SCRIPTS)
        for word in re.findall(r'"(\w+)"', row)
    }


def test_both_languages_have_the_same_words() -> None:
    assert words("en") == words("zh")
    assert len(words("en")) > 100


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_that_is_said_is_there(language: str) -> None:
    assert asked() | TOLD | TOLD_CHANNELS | TOLD_HOUSES | TOLD_ORDERS <= words(language)
    assert len(asked()) > 60


def test_every_word_is_said() -> None:
    """A word that nobody says any more is not translated for nothing."""
    assert words("en") - said() == set()
