"""`holdfast channels`, as an operator uses it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from channels.feed.offers import Kind, Offers, Outcome, Wanted, offers_path
from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.model import Hint
from channels.parcels.parcels import NoticeState, Parcels, parcels_path
from channels.parcels.parcels import Outcome as Told
from tests.ops.service import holdfast

CONFIG = "[channels.tmall]\nplatform = 'tmall'\napp_key = '1'\nsecrets = ['s']\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Name one channel."""
    path = tmp_path / "holdfast.toml"
    path.write_text(CONFIG)
    return path


def run(config: Path, *arguments: str) -> tuple[int, str]:
    """Run a command; returns its exit code and what it said."""
    place = ("--config", config, "--data-dir", config.parent / "var")
    ended = holdfast("channels", *arguments, *place, COLUMNS="200")
    return ended.returncode, ended.stdout + ended.stderr


def test_before_anything_happened_it_says_so(config: Path) -> None:
    """And makes no file by looking; a directory that is not there is no answer."""
    for looking in (("list",), ("orders",), ("dead", "tmall"), ("parcels", "tmall")):
        code, said = run(config, *looking)
        assert (code, "has nothing of channels" in said) == (1, True)
    (config.parent / "var").mkdir()
    assert run(config, "orders") == (
        0,
        "none: every order that was told of is where its platform says it is\n",
    )
    assert "has taken everything" in run(config, "dead", "tmall")[1]
    assert "has been told of every parcel" in run(config, "parcels", "tmall")[1]
    code, said = run(config, "dead", "amazon")
    assert (code, "no channel 'amazon'; they name tmall" in said) == (2, True)
    code, said = run(config, "resend", "tmall")
    assert (code, "has nothing of channels" in said) == (1, True)
    for name in ("feed.sqlite3", "parcels.sqlite3"):
        assert not (config.parent / "var" / name).exists()


@pytest.mark.chaos
def test_what_does_not_fit_is_listed_and_tried_again(config: Path) -> None:
    """Orders and dead letters."""
    data_dir = config.parent / "var"
    desk, offers = Desk(inbox_path(data_dir)), Offers(offers_path(data_dir))
    desk.keep([("tmall", Hint(message_id="m", topic="paid", order_id="471"))], 1_000)
    desk.stuck(desk.due("tmall", 10**15)[0], "unknown-sku: X in main")
    for sku, why in (("A", ""), ("Z", "suspended")):
        offers.want([Wanted("tmall", sku, Kind.STOCK, 5, 1.0, why)], "1-0", 1)
        offers.note([Outcome(offers.of_sku(sku)[0], reason="isv.item-not-exist", dead=True)], 1)

    code, said = run(config, "list", "--json")
    assert code == 0
    assert json.loads(said) == [
        {
            "channel": "tmall",
            "platform": "tmall",
            "to_tell": 0,
            "dead_letters": 2,
            "not_closed": 1,
            "parcels_to_tell": 0,
            "dead_parcels": 0,
            "orders_waiting": 0,
            "orders_stuck": 1,
        }
    ]
    with contextlib.closing(sqlite3.connect(inbox_path(data_dir))) as busy:
        busy.execute("BEGIN IMMEDIATE")  # who only looks waits for nobody who writes
        assert run(config, "list", "--json") == (code, said)
        assert "unknown-sku: X in main" in run(config, "orders")[1]
    said = run(config, "dead", "tmall")[1]
    assert "isv.item-not-exist" in said
    assert said.index("stock: close, suspended") < said.index(" A ")  # the worst first
    assert run(config, "resend", "tmall") == (0, "2 on the way again\n")
    assert offers.counts("tmall") == (2, 0)
    assert run(config, "retry", "tmall", "471")[0] == 0
    assert run(config, "retry", "tmall", "472")[0] == 0  # of which nothing was told
    assert run(config, "retry", "tmall", "4 7")[0] == 2
    assert [look.order_id for look in desk.due("tmall", 10**15)] == ["471", "472"]
    desk.close()
    offers.close()


@pytest.mark.chaos
def test_parcels_that_a_channel_has_not_been_told_of_are_listed_and_sent_again(
    config: Path,
) -> None:
    """With the reason; of an order all of them."""
    parcels = Parcels(parcels_path(config.parent / "var"), {"tmall"})
    for order in ("471", "472"):
        parcels.add(f"tmall:{order}", "F1", company="SF", tracking_number=f"SF{order}", at_ms=1)
    first, second = parcels.due("tmall", 1, 2)
    parcels.note(
        [
            Told(first, NoticeState.DEAD, "isv.no-such-order"),
            Told(second, NoticeState.ACKNOWLEDGED),
        ],
        1,
    )
    said = run(config, "parcels", "tmall")[1]
    assert "SF471" in said
    assert "isv.no-such-order" in said
    assert "SF472" not in said
    assert "SF472" in run(config, "parcels", "tmall", "--order", "472")[1]
    assert run(config, "parcels", "tmall", "--order", "473") == (0, "none\n")
    assert json.loads(run(config, "list", "--json")[1])[0]["dead_parcels"] == 1
    assert run(config, "resend", "tmall") == (0, "1 on the way again\n")
    assert parcels.counts("tmall") == (1, 0)
    assert run(config, "parcels", "amazon")[0] == 2
    parcels.close()
