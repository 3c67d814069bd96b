"""The settings of a channel at a platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.config import load
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt

DOUYIN = """
[channels.douyin]
platform = "douyin"
url = "http://127.0.0.1:9100/"
app_key = "123"
secrets = ["new-secret", "old-secret"]
token = "the-token"
deducts_at = "payment"
options = { close_by = "stock" }
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a file of settings."""
    path = tmp_path / "holdfast.toml"
    path.write_text(text)
    return path


def test_a_channel_is_a_table(tmp_path: Path) -> None:
    """And by default there is none."""
    shop = load(written(tmp_path, DOUYIN)).channels["douyin"]
    assert (shop.platform, shop.url, shop.app_key) == ("douyin", "http://127.0.0.1:9100", "123")
    assert (shop.secrets, shop.token) == (("new-secret", "old-secret"), "the-token")
    assert (shop.deducts_at, shop.options) == (DeductsAt.PAYMENT, {"close_by": "stock"})
    assert load().channels == {}


def test_its_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither they nor the token stand in a repr."""
    told = repr(load(written(tmp_path, DOUYIN)))
    assert "secret" not in told.replace("secrets", "")
    assert "the-token" not in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[channels.Douyin]\nplatform = "douyin"', "'Douyin' is not a channel"),
        ("[channels.douyin]", "platform"),
        ('[channels.douyin]\nplatform = "../x"', "platform"),
        ('[channels.douyin]\nplatform = "douyin"\nurl = "ftp://x"', "url"),
        ('[channels.douyin]\nplatform = "douyin"\nsecrets = [" "]', "a secret is blank"),
        ('[channels.douyin]\nplatform = "douyin"\nsecrets = ["a","b","c","d","e"]', "secrets"),
        (
            '[channels.douyin]\nplatform = "douyin"\nsecrets = "a"',
            r"channels\.douyin\.secrets .*: is a list, .*: secrets = \[",
        ),
        ('[channels.douyin]\nplatform = "douyin"\ntoken = "…"', "token .*: is printable ASCII"),
        (
            '[channels.douyin]\nplatform = "douyin"\nurl = "x.cn"',
            "url .*'x.cn' is no address: write",
        ),
        ('[channels.douyin]\nplatform = "douyin"\nurl = "http://x:99999"', "is no address"),
        ('[channels.douyin]\nplatform = "douyin"\nurl = "http://[::1"', "is no address"),
        (
            f'[channels.douyin]\nplatform = "douyin"\nurl = "http://{"x" * 70}.cn"',
            "is no address",
        ),
        ('[channels.douyin]\nplatform = "douyin"\ndeducts_at = "now"', "deducts_at"),
        (
            '[channels.douyin]\nplatform = "douyin"\nsecretz = ["a"]',
            r"channels\.douyin\.secretz .*is no setting; is secrets meant\?",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(written(tmp_path, text))
