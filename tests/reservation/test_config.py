"""Settings: what overrides what, and what a mistake in one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.config import load, misspelt_variables
from reservation.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a configuration file."""
    path = tmp_path / "holdfast.toml"
    path.write_text('port = 1\nworkers = 3\nwarehouses = ["main", "east"]\n')
    return path


def test_the_command_line_overrides_the_environment_overrides_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_PORT", "2")
    monkeypatch.setenv("HOLDFAST_WORKERS", "4")
    settings = load(file, port=5, host=None)
    assert (settings.port, settings.workers, settings.host) == (5, 4, "127.0.0.1")
    assert settings.warehouses == {"main", "east"}


def test_warehouses_in_the_environment_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WAREHOUSES", "main, east,")
    assert load().warehouses == {"main", "east"}


def test_every_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WORKERS", "many")
    monkeypatch.setenv("HOLDFAST_DURABILITY", "forever")
    with pytest.raises(ConfigurationError) as raised:
        load(port=70_000)
    for name in ("HOLDFAST_WORKERS: ", "HOLDFAST_DURABILITY: ", "--port: "):
        assert name in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wrokers = 3\n", r"wrokers in .*holdfast\.toml: is no setting; is workers meant\?"),
        ("zzz = 3\n", r"zzz in .*holdfast\.toml: is no setting$"),
        ("port = 70000\n", r"port in .*holdfast\.toml: Input should be less"),
        ("port = \n", "Invalid value"),
        ('default_warehouse = "a b"\n', "'a b' is not a warehouse"),
        ('warehouses = ["x", "a b"]\n', "'a b' is not a warehouse"),
        ('[sold_from]\nA = "a b"\n', "sold_from A: 'a b' is not a warehouse"),
        ('warehouses = ["x"]\n[sold_from]\nA = "y"\n', "A names 'y', which warehouses does not"),
    ],
)
def test_a_mistake_in_the_file_is_named(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load(file)


def test_channels_sell_a_sku_from_the_first_warehouse_that_fits(file: Path) -> None:
    """By its code or how it begins; anything else from the default."""
    file.write_text('[sold_from]\n"ICE-1" = "north"\n"ICE-*" = "south"\n')
    settings = load(file)
    found = [settings.warehouse_of(sku) for sku in ("ICE-1", "ICE-12", "ICE", "DOG")]
    assert found == ["north", "south", "main", "main"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: no such file"):
        load(tmp_path / "nowhere.toml")


def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells and compose files write what is not wanted."""
    monkeypatch.setenv("HOLDFAST_ALERTS", "")
    monkeypatch.setenv("HOLDFAST_WAREHOUSES", "")
    assert not load().alerts
    assert load().warehouses is None


def test_a_misspelt_variable_is_told_with_what_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no effect: one that was to keep stock safe must not be lost in silence."""
    for name in ("HOLDFAST_DURABILTY", "HOLDFAST_ZZZ", "HOLDFAST_URL", "HOLDFAST_PORT"):
        monkeypatch.setenv(name, "1")
    told = [text for text in misspelt_variables() if "DURABIL" in text or "ZZZ" in text]
    assert told == [
        "HOLDFAST_DURABILTY is no setting and has no effect; is HOLDFAST_DURABILITY meant?",
        "HOLDFAST_ZZZ is no setting and has no effect",
    ]
    assert not [text for text in misspelt_variables() if "URL" in text or "PORT" in text]
