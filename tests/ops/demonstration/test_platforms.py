"""The simulated platforms of a demonstration: with what they begin, and beside whom they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from channels.feed.offers import Kind, Offers, Wanted, offers_path
from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.model import Hint
from channels.registry import check_channels
from ops.demonstration.catalogue import CATFOOD, on_sale
from ops.demonstration.house import DAY_SKUS, HOUSE
from ops.demonstration.platforms import (
    CHANNELS,
    check_no_others,
    leave_to_others,
    opened,
    settings_file,
)
from ops.demonstration.shop import simulated
from reservation.config import Settings, load
from reservation.database import held_alone
from reservation.errors import ConfigurationError
from reservation.shops import Shop
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.registry import check_warehouses
from wms_sync.reports.box import Box, reports_path


@pytest.fixture
def mine(tmp_path: Path) -> Settings:
    """Name a data directory in which nothing has happened."""
    return load(data_dir=tmp_path / "var")


def tell(settings: Settings) -> None:
    """Let a platform have told of an order, and have been told what it may sell."""
    desk = Desk(inbox_path(settings.data_dir))
    desk.keep([("tmall", Hint(message_id="1", topic="created", order_id="7"))], 1)
    desk.close()
    offers = Offers(offers_path(settings.data_dir))
    offers.want([Wanted("tmall", CATFOOD, Kind.STOCK, 5, 1.0, "")], "1-1", 1)
    offers.close()
    Outbox(outbox_path(settings.data_dir), {HOUSE}).close()
    Box(reports_path(settings.data_dir)).close()


def test_each_start_has_secrets_of_its_own_and_writes_them_for_the_owner(mine: Settings) -> None:
    """They are in one file alone, which is a settings file; what the shops sell is in others."""
    seen: set[str] = set()
    for _ in range(2):
        with opened() as platforms:
            joined = platforms.join(mine)
            check_channels(joined)
            assert set(joined.channels) == set(CHANNELS)
            for channel, shop in joined.channels.items():
                assert (shop.url or "").startswith(platforms.urls[channel])
                made = {*shop.secrets, shop.token} - {""}
                assert not made & seen
                seen |= made
            own = joined.wms[HOUSE].secrets
            assert not seen & set(own)
            seen |= set(own)
    told = settings_file(mine)
    assert told.stat().st_mode & 0o777 == 0o600
    again = load(told)
    for name in ("channels", "sold_from", "warehouse_clock", "wms"):
        assert getattr(again, name) == getattr(joined, name)
    assert again.data_dir == mine.data_dir.absolute()
    files = [path for path in mine.data_dir.rglob("*") if path.is_file()]
    written = [path.read_text() for path in files if path != told]
    assert written.count("") == 1  # the mark that they are simulated
    assert len(written) == 4
    assert not [secret for secret in seen for text in written if secret in text]


def test_a_file_that_others_may_read_is_made_anew(mine: Settings) -> None:
    """The secrets of a start are never in it for a moment."""
    path = settings_file(mine)
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    with path.open() as held, opened() as platforms:
        platforms.join(mine)
        assert held.read() == ""
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_warehouse_has_a_time_and_skus_of_its_own(mine: Settings) -> None:
    """What is sold beside the day lies where no warehouse has a system; without a day none has."""
    known = mine.model_copy(update={"warehouses": frozenset({"main"})})
    with opened() as platforms:
        joined = platforms.join(known)
    check_warehouses(joined)
    assert joined.warehouse_clock is not None
    assert joined.warehouses == frozenset({"main", HOUSE})
    elsewhere = {sku for sku in on_sale("x") if joined.warehouse_of(sku) == HOUSE}
    assert elsewhere == set(DAY_SKUS)
    assert joined.warehouse_of(CATFOOD) == joined.default_warehouse
    with opened(day=False) as platforms:
        joined = platforms.join(mine)
    assert (joined.wms, joined.warehouse_clock, joined.sold_from) == ({}, None, {})


def test_a_shop_has_what_is_listed_and_none_of_it(mine: Settings) -> None:
    """How much there is Holdfast tells."""
    with opened() as platforms:
        joined = platforms.join(mine)
    for shop in joined.channels.values():
        simulator = simulated(shop, "http://127.0.0.1:9/", first_id=1_900_000_000_000_000_000)
        items = simulator.world.shop.items
        found = {
            sku.outer_id: (item.item_id, sku.quantity)
            for item in items.values()
            for sku in item.skus.values()
        }
        assert len(found) == len(items) == 1_513  # those of the real orders and the day, too
        assert found[CATFOOD] == ("610000000000", 0)


def test_what_former_shops_told_is_forgotten(mine: Settings) -> None:
    """New ones know nothing of it, and nothing of what the former ones were told."""
    with opened() as platforms:
        platforms.join(mine)
        tell(mine)
        platforms.join(mine)
    desk = Desk(inbox_path(mine.data_dir))
    assert desk.look("tmall", "7") is None
    desk.close()
    offers = Offers(offers_path(mine.data_dir))
    assert offers.of_sku(CATFOOD) == []
    offers.close()
    assert not outbox_path(mine.data_dir).exists()
    assert not reports_path(mine.data_dir).exists()


def test_what_real_platforms_told_is_left_alone(mine: Settings) -> None:
    """A data directory that has served real ones is refused, as it is."""
    tell(mine)
    with opened() as platforms, pytest.raises(ConfigurationError, match="another --data-dir"):
        platforms.join(mine)
    desk = Desk(inbox_path(mine.data_dir))
    assert desk.look("tmall", "7") is not None
    desk.close()
    assert not (mine.data_dir / "demonstration").exists()


def test_what_real_platforms_told_after_a_demonstration_is_left_alone(mine: Settings) -> None:
    """Whoever serves real shops leaves no demonstration anything to forget."""
    with opened() as platforms:
        joined = platforms.join(mine)
        leave_to_others(mine)  # serving nobody changes nothing
        platforms.join(mine)
        leave_to_others(joined)
        tell(mine)
        with pytest.raises(ConfigurationError, match="another --data-dir"):
            platforms.join(mine)
    desk = Desk(inbox_path(mine.data_dir))
    assert desk.look("tmall", "7") is not None
    desk.close()


def test_what_another_process_works_on_is_left_alone(mine: Settings) -> None:
    """Agents that work on the inbox are not robbed of it, nor who tells of what it tells."""
    with opened() as platforms:
        platforms.join(mine)
        tell(mine)
        for path in (inbox_path, offers_path, outbox_path):
            lock = held_alone(path(mine.data_dir))
            with pytest.raises(ConfigurationError, match="worked on by another process"):
                platforms.join(mine)
            os.close(lock)
            assert path(mine.data_dir).exists()


def test_it_does_not_play_beside_real_shops(mine: Settings) -> None:
    """Channels in the settings are refused by name, with the next step."""
    check_no_others(mine)
    with opened() as platforms:
        joined = platforms.join(mine)
    shop = joined.channels["dealer-hz"]
    named: dict[str, Shop] = {"my-dealer": shop}
    with pytest.raises(ConfigurationError, match=r"my-dealer.*--data-dir of its own"):
        check_no_others(mine.model_copy(update={"channels": named}))
    systems = {"my-house": joined.wms[HOUSE]}
    with pytest.raises(ConfigurationError, match=r"wms: my-house.*HOLDFAST_WMS"):
        check_no_others(mine.model_copy(update={"wms": systems}))
