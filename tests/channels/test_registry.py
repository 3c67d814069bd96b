"""Which adapter a channel has."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.adapter import Adapter
from channels.registry import adapter_of, check_channels, window_of
from reservation.config import Settings
from reservation.errors import ConfigurationError
from reservation.shops import Shop


class Corner(Adapter):
    """A platform of somebody's own, with no address but the account's."""

    platform = "corner"
    default_url = ""
    read_push = acknowledge = refuse = later = show = close = reopen = read_done = None  # type: ignore[assignment]


class Unfinished(Adapter):
    """A platform that does not say all it must."""

    platform = "unfinished"
    default_url = "http://127.0.0.1"


class Asks(Corner):
    """A platform that asks for orders and reads none."""

    detail = None  # type: ignore[assignment]


class Queues(Corner):
    """A platform whose messages wait there, and are not fetched."""

    queue = True


OWN = f"{__name__}:Corner"


def test_a_platform_of_ones_own_is_a_class() -> None:
    """It is given who we are there."""
    shop = Shop(platform=OWN, url="http://127.0.0.1:1", app_key="k", secrets=("s",))
    adapter = adapter_of("corner", shop)
    assert isinstance(adapter, Corner)
    account = adapter.account
    assert (account.channel, account.url, account.app_key) == ("corner", "http://127.0.0.1:1", "k")
    assert account.secrets == ("s",)


def test_a_dealer_that_only_puts_files_into_a_folder_needs_no_address() -> None:
    """It has nobody who could be told, whatever its settings list."""
    shop = Shop(platform="distributor", options={"orders": "/srv/dealer"})
    adapter = adapter_of("dealer", shop)
    assert window_of(adapter, shop) is None
    with pytest.raises(ConfigurationError, match="'distributor' needs a url"):
        adapter_of("dealer", Shop(platform="distributor"))


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("amazon", r"channels\.corner: no platform 'amazon'; known are tmall"),
        ("no.such_module:Adapter", "cannot be loaded"),
        (f"{__name__}:Missing", "cannot be loaded"),
        ("pathlib:Path", r"is no channels\.adapter\.Adapter"),
        (f"{__name__}:OWN", r"is no channels\.adapter\.Adapter"),
        (OWN, "needs a url"),
        (f"{__name__}:Unfinished", "Unfinished does not say acknowledge, close, .*show"),
        (f"{__name__}:Asks", "Asks does not say read_detail"),
        (f"{__name__}:Queues", "Queues does not say confirm_fetched, fetch, read_fetched"),
    ],
)
def test_a_wrong_one_is_named(platform: str, words: str) -> None:
    """With its channel, before anything is sent or taken."""
    with pytest.raises(ConfigurationError, match=words):
        adapter_of("corner", Shop(platform=platform))


DEALER = {"platform": "distributor", "url": "http://127.0.0.1:9", "secrets": ("A" * 32,)}


@pytest.mark.parametrize(
    ("shop", "words"),
    [
        ({**DEALER, "options": {"order": "/o"}}, "'order' is no option .*known are orders_path, "),
        ({**DEALER, "options": {"states.x": "paid"}}, r"'states\.x' is no option.* status\.…"),
        (
            {"platform": "tmall", "app_key": "1", "secrets": ("s",), "options": {"grup": "x"}},
            "'grup' is no option of platform 'tmall'; known are sign_method, .*group",
        ),
        (
            {"platform": "douyin", "app_key": "1", "secrets": ("s",), "options": {"closeby": "x"}},
            "'closeby' is no option of platform 'douyin'; known are sign_method, close_by",
        ),
        ({"platform": OWN, "url": "http://x", "options": {"a": "b"}}, "known are none"),
    ],
)
def test_an_option_that_a_platform_does_not_know_is_named(
    shop: dict[str, object], words: str
) -> None:
    """With those that it does."""
    with pytest.raises(ConfigurationError, match=words):
        adapter_of("corner", Shop.model_validate(shop))


def with_dealers(settings: Settings, **folders: Path) -> Settings:
    """Name dealers, each with a folder."""
    shops = {
        name: Shop.model_validate({**DEALER, "options": {"orders": str(folder)}})
        for name, folder in folders.items()
    }
    return settings.model_copy(update={"channels": shops})


def test_each_dealer_has_a_folder_of_its_own(settings: Settings, tmp_path: Path) -> None:
    """Which is there before anything starts; the error has its whole path."""
    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(ConfigurationError, match=f"channels.one: orders {one} is not there"):
        check_channels(with_dealers(settings, one=one))
    check_channels(with_dealers(settings, one=one), folders=False)  # an API elsewhere takes none
    one.mkdir()
    two.write_text("")
    with pytest.raises(ConfigurationError, match=f"channels.two: orders {two} is no folder"):
        check_channels(with_dealers(settings, one=one, two=two))
    two.unlink()
    two.symlink_to(one)
    with pytest.raises(ConfigurationError, match=r"channels.two: .* is that of channels.one, too"):
        check_channels(with_dealers(settings, one=one, two=two))
    two.unlink()
    two.mkdir()
    check_channels(with_dealers(settings, one=one, two=two))


def test_a_listing_that_its_platform_cannot_be_told_of_is_found_before_anything_starts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with its file, by its whole path."""
    monkeypatch.chdir(tmp_path)
    listings = Path("douyin.csv")
    shop = Shop(platform="douyin", app_key="1", secrets=("s",), listings=listings)
    named = settings.model_copy(update={"channels": {"douyin": shop}})
    with pytest.raises(ConfigurationError, match=f"listings {tmp_path}/douyin.csv: No such file"):
        check_channels(named)
    listings.write_text("sku,item_id,platform_sku_id\nA,610-000,\n")
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/douyin.csv: A: '610-000' is no id"):
        check_channels(named)
    listings.write_text("sku,item_id,platform_sku_id\nA,610000,\n")
    check_channels(named)
