"""The settings of warehouses' systems: what is unknown or cannot be is a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.config import load
from reservation.errors import ConfigurationError
from wms_sync.rules.capacity import HOUR_MS, Shift
from wms_sync.terms import account_of, terms_of

GOOD = "connector = 'rest'\nurl = 'http://127.0.0.1:9/gate/'\ncode = 'WH42'\n"


def config(tmp_path: Path, text: str, head: str = "[wms.main]") -> Path:
    """Write settings."""
    path = tmp_path / "holdfast.toml"
    path.write_text(f"{head}\n{text}")
    return path


def test_a_warehouse_is_a_table(tmp_path: Path) -> None:
    """What it says is what the relay and the connector are told; the rest are defaults."""
    text = GOOD + (
        "secrets = ['new', 'old']\norders_per_day = 9000\nburst = 7\nlanes = { rush_of = 3 }\n"
        "shifts = [{ from = '22:00', to = '06:00', orders_per_day = 0 }]\n"
    )
    system = load(config(tmp_path, text)).wms["main"]
    assert "new" not in repr(system)
    account = account_of("main", system)
    assert (account.url, account.code) == ("http://127.0.0.1:9/gate", "WH42")
    assert account.secrets == ("new", "old")
    terms = terms_of("main", system)
    assert (terms.capacity.orders_per_day, terms.capacity.burst) == (9_000, 7)
    assert terms.capacity.shifts == (Shift(22 * HOUR_MS, 6 * HOUR_MS, 0),)
    assert terms.capacity.utc_offset_ms == 8 * HOUR_MS
    assert (terms.priority.rush_most, terms.priority.rush_of) == (1, 3)
    plain = terms_of("main", load(config(tmp_path, GOOD)).wms["main"])
    assert (plain.capacity.orders_per_day, plain.capacity.burst) == (18_000, 20)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "orders_a_day = 3", "is no setting"),
        (GOOD + "order_per_day = 3", "is orders_per_day meant?"),
        ("connector = 'rest'\ncode = 'x'", "url"),
        (GOOD + "burst = 0", "burst"),
        (GOOD + "secrets = [' ']", "a secret is blank"),
        (GOOD + "orders_per_day = true", "orders_per_day"),
        (GOOD + "lanes = { rush_of = true }", "is not true or false"),
        (GOOD.replace("WH42", "W\\u0001").replace("'", '"'), "not printable"),
        (GOOD + "owner = ' '", "owner"),
        (GOOD + 'options = { shop = "a\\u0007b" }', "shop has a character that is not printable"),
        (GOOD + "lock_minutes = 0.001", "a lock outlasts its call"),
        (GOOD + "lanes = { rush_most = 2, rush_of = 2 }", "rush_most must be below rush_of"),
        (
            GOOD + "shifts = [{ from = '25:00', to = '06:00', orders_per_day = 0 }]",
            "'25:00' is no time of day",
        ),
    ],
)
def test_what_is_amiss_is_named(tmp_path: Path, text: str, told: str) -> None:
    """With its place."""
    with pytest.raises(ConfigurationError, match=r"wms\.main") as error:
        load(config(tmp_path, text))
    assert told in str(error.value)


def test_names_are_those_of_warehouses(tmp_path: Path) -> None:
    """And of those that are allowed."""
    with pytest.raises(ConfigurationError, match="is not a warehouse"):
        load(config(tmp_path, GOOD, "[wms.'a b']"))
    with pytest.raises(ConfigurationError, match="wms names 'main', which warehouses does not"):
        load(config(tmp_path, GOOD, "warehouses = ['east']\n[wms.main]"))


def test_shifts_that_overlap_name_their_warehouse(tmp_path: Path) -> None:
    """The rules say so, the settings say where."""
    text = GOOD + (
        "shifts = [{ from = '08:00', to = '12:00', orders_per_day = 1 },"
        " { from = '11:00', to = '13:00', orders_per_day = 2 }]"
    )
    with pytest.raises(ConfigurationError, match=r"wms\.main: two shifts overlap"):
        terms_of("main", load(config(tmp_path, text)).wms["main"])
