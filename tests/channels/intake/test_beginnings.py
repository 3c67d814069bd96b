"""A channel begins when Holdfast first runs with it, whoever of its processes comes up late."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from structlog.testing import capture_logs

from channels.intake.beginnings import note_beginnings
from channels.intake.inbox import Inbox, inbox_path
from loadtest.processes import free_port
from reservation.config import Settings
from reservation.shops import Shop
from tests.ops.service import Service
from tests.waiting import until

DEALER = Shop(platform="distributor", options={"orders": "."})


def begun_ms(data_dir: Path, channel: str) -> int | None:
    """Read since when; None where nobody has noted it."""
    with contextlib.closing(Inbox(inbox_path(data_dir))) as inbox:
        noted: int | None = inbox._db.fact(f"begun {channel}")
        return noted


def test_each_channel_begins_once(settings: Settings) -> None:
    """One that is added later begins then; the first keeps its beginning."""
    first = settings.model_copy(update={"channels": {"hz": DEALER}})
    note_beginnings(first)
    began = begun_ms(settings.data_dir, "hz")
    assert began is not None
    assert began < time.time_ns() // 1_000_000 - 50_000
    note_beginnings(settings.model_copy(update={"channels": {"hz": DEALER, "gz": DEALER}}))
    assert begun_ms(settings.data_dir, "hz") == began
    assert began <= (begun_ms(settings.data_dir, "gz") or 0)


def test_without_a_channel_there_is_no_file(settings: Settings) -> None:
    """What nobody needs is not made."""
    note_beginnings(settings)
    assert not inbox_path(settings.data_dir).exists()


def test_a_file_that_cannot_be_used_keeps_nothing_from_starting(settings: Settings) -> None:
    """The mover notes it as soon as it can."""
    inbox_path(settings.data_dir).write_bytes(b"no database" * 1_000)
    with capture_logs() as said:
        note_beginnings(settings.model_copy(update={"channels": {"hz": DEALER}}))
    assert [line["event"] for line in said] == ["beginnings_not_noted"]


def test_what_starts_notes_it_and_waits_for_nobody(tmp_path: Path) -> None:
    """Neither for the store nor for what moves orders: here there is none of either."""
    config = tmp_path / "holdfast.toml"
    config.write_text(
        f"[channels.hz]\nplatform = 'distributor'\noptions = {{ orders = '{tmp_path}' }}\n"
    )
    data_dir, port = tmp_path / "var", str(free_port())
    store = f"unix://{tmp_path}/none.sock"
    arguments = ("api", "--port", port, "--data-dir", data_dir, "--config", config)
    with Service(*arguments, HOLDFAST_REDIS_URL=store, HOLDFAST_ADMIN_KEY="a" * 40):
        until(lambda: inbox_path(data_dir).exists(), "the file is there")
        until(lambda: begun_ms(data_dir, "hz"), "it has begun")
