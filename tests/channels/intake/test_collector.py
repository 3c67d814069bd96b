"""Order files: taken when they are whole, answered, moved away; a kill takes nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.adapter import Account
from channels.distributor import Distributor
from channels.intake import collector
from channels.intake.collector import (
    ORPHAN_SECONDS,
    POLL_SECONDS,
    QUIET_SECONDS,
    Collector,
    FolderUnavailable,
)
from channels.intake.desk import Desk
from channels.intake.mover import Mover
from channels.model import OrderState
from channels.transport import Platform
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import ConfigurationError
from reservation.model import SYSTEM, SetStock
from tests.channels.dealer import SECRET, URL

HEADER = "order_no,line_no,sku,qty,order_time,status,dealer_code,unit_price_yuan"
NAME = "HZ01_20260122101500.csv"
REPORT = "HZ01_20260122101500.errors.csv"
LATER = "HZ01_20260122111500.csv"


def rows(*orders: str, status: str = "paid", quantity: object = 2) -> str:
    """Write a file with one line an order."""
    lines = [f"{order},1,A,{quantity},2026-01-22 10:00,{status},HZ01," for order in orders]
    return "\n".join([HEADER, *lines, ""])


class Bed:
    """A dealer's folder, an inbox, and a clock that the test moves."""

    def __init__(self, path: Path, **options: str) -> None:
        self.folder, self.path, self.options = path / "orders", path / "channels.sqlite3", options
        self.folder.mkdir()
        self.later_ms = round(QUIET_SECONDS * 1000)
        self.inbox = Desk(self.path)

    def collector(self) -> Collector:
        """Begin to collect, or begin again after an end."""
        options = {"orders": str(self.folder), **self.options}
        account = Account(channel="dealer", url=URL, secrets=(SECRET,), options=options)
        return Collector(Distributor(account), self.inbox, now_ms=self.now_ms)

    def now_ms(self) -> int:
        """Tell the time: that of the files, and what the test adds."""
        return time.time_ns() // 1_000_000 + self.later_ms

    async def collect(self) -> None:
        """Take all that can be taken."""
        taker = self.collector()
        while await taker.round() == 0.0:
            pass

    def put(self, text: str | bytes, name: str = NAME, sha256: str | None = None) -> None:
        """Put a file into the folder, with a hash where one is given."""
        raw = text if isinstance(text, bytes) else text.encode()
        (self.folder / name).write_bytes(raw)
        if sha256 is not None:
            (self.folder / f"{name}.sha256").write_text(sha256)

    def files(self) -> list[str]:
        """Name all files, by folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def waiting(self) -> dict[str, OrderState]:
        """Give the orders that are to be looked at, as their messages have them."""
        looks = self.inbox.due("dealer", 1 << 60)
        return {look.order_id: look.order.state for look in looks if look.order is not None}


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.inbox.close()


def sha256(text: str) -> str:
    return f"{hashlib.sha256(text.encode()).hexdigest()}  {NAME}\n"


async def test_a_file_is_taken_once_it_is_quiet(bed: Bed) -> None:
    """Its orders wait to be looked at, and it is out of the way."""
    bed.put(rows("1", "2"))
    bed.put("notes", "readme.txt")
    bed.later_ms -= 100
    assert await bed.collector().round() == POLL_SECONDS
    assert bed.waiting() == {}
    bed.later_ms += 200
    assert await bed.collector().round() == 0.0
    assert await bed.collector().round() == POLL_SECONDS
    assert bed.waiting() == {"1": OrderState.PAID, "2": OrderState.PAID}
    assert bed.files() == [f"done/{NAME}", "readme.txt"]


async def test_a_file_with_its_hash_is_taken_at_once(bed: Bed) -> None:
    """One that is not whole yet waits; in the end it is refused."""
    bed.later_ms = 0
    whole = rows("1", "2")
    bed.put(whole[:-40], sha256=sha256(whole))
    assert await bed.collector().round() == POLL_SECONDS
    bed.put(whole)
    assert await bed.collector().round() == 0.0
    assert set(bed.waiting()) == {"1", "2"}
    assert bed.files() == [f"done/{NAME}", f"done/{NAME}.sha256"]
    bed.put(rows("3"), LATER, sha256=sha256(whole))
    assert await bed.collector().round() == POLL_SECONDS
    bed.later_ms = round(QUIET_SECONDS * 1000) + 1_000
    assert await bed.collector().round() == 0.0
    assert set(bed.waiting()) == {"1", "2"}
    assert f"failed/{LATER}.sha256" in bed.files()
    report = bed.folder / "failed" / "HZ01_20260122111500.errors.csv"
    assert "send both again" in report.read_text("utf-8-sig")


async def test_a_bad_row_is_told_and_nothing_is_taken(bed: Bed) -> None:
    """Row, column and reason, as a spreadsheet opens it."""
    text = rows("1", quantity=2) + "2,1,A,two,2026-01-22 10:00,已付款,HZ01,\n3,1,A,1,soon,x,HZ01,\n"
    bed.put(text)
    await bed.collect()
    assert bed.waiting() == {}
    assert bed.files() == [f"failed/{NAME}", f"failed/{REPORT}"]
    raw = (bed.folder / "failed" / REPORT).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    lines = raw.decode("utf-8-sig").splitlines()
    assert lines[0] == "row,column,reason"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["2", "qty"],
        ["3", "order_time"],
        ["3", "status"],
    ]
    bed.put(rows("1", "2", "3"))
    await bed.collect()
    assert set(bed.waiting()) == {"1", "2", "3"}


async def test_where_it_is_asked_for_good_orders_of_a_bad_file_are_taken(tmp_path: Path) -> None:
    bed = Bed(tmp_path, orders_partial="yes")
    bed.put(rows("1") + "2,1,A,two,2026-01-22 10:00,paid,HZ01,\n")
    await bed.collect()
    assert set(bed.waiting()) == {"1"}
    assert bed.files() == [f"done/{NAME}", f"done/{REPORT}"]
    bed.inbox.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("orders.csv", "not named like"),
        ("SZ02_20260122101500.csv", "this folder is HZ01's"),
        ("HZ01_20990101000000.csv", "in the future"),
    ],
)
async def test_a_file_that_cannot_be_this_dealers_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    bed = Bed(tmp_path, dealer_code="HZ01")
    bed.put(rows("1"), name)
    await bed.collect()
    assert bed.waiting() == {}
    report = bed.folder / "failed" / f"{name.removesuffix('.csv')}.errors.csv"
    assert reason in report.read_text("utf-8-sig")
    bed.inbox.close()


async def test_of_two_files_the_later_one_counts(bed: Bed) -> None:
    """By the times in their names, in whatever order they come."""
    bed.put(rows("1", "2", status="cancelled"), LATER)
    bed.put(rows("1"))
    await bed.collect()
    assert bed.waiting() == {"1": OrderState.CLOSED, "2": OrderState.CLOSED}
    bed.put(rows("1", "2", "3"))
    await bed.collect()
    assert bed.waiting() == {
        "1": OrderState.CLOSED,
        "2": OrderState.CLOSED,
        "3": OrderState.PAID,
    }


async def test_a_file_that_comes_twice_changes_nothing(bed: Bed) -> None:
    """One of the same name that says something else is heard."""
    bed.put(rows("1", "2"))
    await bed.collect()
    bed.inbox.done(bed.inbox.due("dealer", 1 << 60))
    bed.put(rows("1", "2"))
    await bed.collect()
    assert bed.waiting() == {}
    bed.put(rows("1") + "2,1,A,3,2026-01-22 10:00,paid,HZ01,\n")
    await bed.collect()
    assert set(bed.waiting()) == {"2"}


@pytest.mark.parametrize("has_hash", [True, False])
async def test_a_file_that_is_sent_anew_while_it_is_taken_is_taken_as_well(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, *, has_hash: bool
) -> None:
    """It is another one, whatever its name is."""
    first, second = rows("1"), rows("1", "2")
    bed.later_ms *= not has_hash  # then it is the hash by which it is whole, the second one as well
    bed.put(first, sha256=sha256(first) if has_hash else None)
    keep = bed.inbox.keep

    def sent_anew(*arguments: Any) -> int:
        monkeypatch.undo()
        bed.put(second, f"{NAME}.part")
        (bed.folder / f"{NAME}.part").replace(bed.folder / NAME)
        if has_hash:
            (bed.folder / f"{NAME}.sha256").write_text(sha256(second))
        return keep(*arguments)

    monkeypatch.setattr(bed.inbox, "keep", sent_anew)
    await bed.collect()
    assert set(bed.waiting()) == {"1", "2"}
    assert bed.files() == [f"done/{NAME}", f"done/{NAME}.sha256"][: 1 + has_hash]
    assert (bed.folder / "done" / NAME).read_text() == second


async def test_a_link_is_not_followed(bed: Bed, tmp_path: Path) -> None:
    """Who may put files there may not read others by it."""
    secret = tmp_path / "secret.csv"
    secret.write_text(rows("1"))
    (bed.folder / NAME).symlink_to(secret)
    (bed.folder / LATER).mkdir()
    await bed.collect()
    assert bed.waiting() == {}
    assert (bed.folder / NAME).is_symlink()
    assert collector._read(bed.folder / NAME) is None  # put there after it was looked at


async def test_a_folder_that_there_is_not_is_a_fault_with_its_name(bed: Bed) -> None:
    """It is not made: the name may be wrong. Once it is there, it is used."""
    bed.folder.rename(bed.folder.with_name("away"))
    with pytest.raises(FolderUnavailable, match=r"channel dealer: .*orders.*No such file"):
        await bed.collector().round()
    bed.folder.with_name("away").rename(bed.folder)
    assert await bed.collector().round() == POLL_SECONDS


def test_an_option_that_cannot_be_is_said_at_once() -> None:
    options = {"orders": "orders", "orders_partial": "some"}
    with pytest.raises(ConfigurationError, match="orders_partial"):
        Distributor(Account(channel="dealer", url=URL, secrets=(SECRET,), options=options))


async def test_a_name_that_is_no_text_stops_nothing(bed: Bed) -> None:
    """Nor does one that is too long to be answered: it stays where it is, which is said once."""
    bed.put(rows("1"), os.fsdecode(b"HZ01_\xff.csv"))
    bed.put(rows("1"), f"{'x' * 240}.csv")
    bed.put(rows("2"))
    taker = bed.collector()
    with capture_logs() as logs:
        while await taker.round() == 0.0:
            pass
        await taker.round()
    assert [log["event"] for log in logs] == [
        "order_file_left",
        "order_file_taken",
        "order_file_wrong",
    ]
    json.dumps(logs, ensure_ascii=False).encode()
    assert set(bed.waiting()) == {"2"}
    assert f"{'x' * 240}.csv" in bed.files()


class Died(BaseException):
    """The process is gone."""


def dies_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let whatever changes the disk be the last thing done, at its n-th time; tells how many."""
    steps = 0

    def last(work: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*arguments: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            answer = work(*arguments, **more)
            if steps == step:
                raise Died
            return answer

        return doing

    monkeypatch.setattr(Desk, "keep", last(Desk.keep))
    monkeypatch.setattr(Path, "replace", last(Path.replace))
    return lambda: steps


@pytest.mark.parametrize("step", range(1, 12))
async def test_a_kill_between_any_two_steps_is_harmless(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A good file in several parts, a bad one with a hash: in the end all is as without it."""
    monkeypatch.setattr(collector, "KEPT_AT_ONCE", 2)
    good, bad = rows("1", "2", "3", "4", "5"), rows("6", quantity="six")
    bed.put(good, sha256=sha256(good))
    bed.put(bad, LATER, sha256=sha256(bad))
    with monkeypatch.context() as patched:
        done = dies_at(step, patched)
        try:
            await bed.collect()
        except Died:
            pass
        else:
            assert step > done() == 10  # aside, 3 parts, 2 moves; aside, report, 2 moves
    bed.inbox.close()
    bed.inbox = Desk(bed.path)
    await bed.collect()
    bed.later_ms += round(ORPHAN_SECONDS * 1000)
    await bed.collect()
    assert set(bed.waiting()) == {"1", "2", "3", "4", "5"}
    assert all(look.told == 1 for look in bed.inbox.due("dealer", 1 << 60))
    assert bed.files() == [
        f"done/{NAME}",
        f"done/{NAME}.sha256",
        f"failed/{LATER}",
        f"failed/{LATER}.sha256",
        f"failed/{LATER.removesuffix('.csv')}.errors.csv",
    ]


@pytest.mark.parametrize("step", [1, 2, 3])
async def test_a_kill_does_not_part_a_file_from_the_hash_that_refuses_it(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Without it the file would look whole."""
    bed.put(rows("1"), sha256=sha256(rows("1", "2")))
    with monkeypatch.context() as patched:
        dies_at(step, patched)
        with pytest.raises(Died):
            await bed.collect()
    await bed.collect()
    assert bed.waiting() == {}
    assert f"failed/{NAME}" in bed.files()


async def test_a_hash_that_came_before_its_file_waits_for_it(bed: Bed) -> None:
    """Also where a file of that name was taken before."""
    bed.put(rows("1"))
    await bed.collect()
    (bed.folder / f"{NAME}.sha256").write_text(sha256(rows("2")))
    await bed.collect()
    assert f"{NAME}.sha256" in bed.files()
    bed.put(rows("2"))
    await bed.collect()
    assert set(bed.waiting()) == {"1", "2"}


async def test_orders_of_a_file_are_moved(
    bed: Bed, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """From the folder to the stock: nobody is asked anything."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    bed.put(rows("1"))
    bed.put(rows("1", status="已发货") + "2,1,A,1,2026-01-22 10:00,待付款,HZ01,\n", LATER)
    bed.inbox.begun("dealer", 0)  # its orders are of long ago
    await bed.collect()
    account = Account(channel="dealer", url=URL, secrets=(SECRET,))
    platform = Platform(Distributor(account))
    await Mover(platform, bed.inbox, engine, settings, now_ms=bed.now_ms).round()
    stock = await engine.stock("A")
    assert stock is not None
    level = stock.levels[0]
    assert (level.on_hand, level.held, level.committed) == (8, 1, 0)
    await platform.close()
