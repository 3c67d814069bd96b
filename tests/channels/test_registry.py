"""Which adapter a channel has."""

from __future__ import annotations

import pytest

from channels.adapter import Adapter
from channels.registry import adapter_of, window_of
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
