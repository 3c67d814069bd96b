"""docs/warehouses.md says what is so: its examples are written and read by the connector."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from partners.model import Response
from tests.wms_sync.qimen_house import NOW_MS, order, receiver
from tests.wms_sync.test_rest import OLD, pushed
from wms_sync import qimen_answers, qimen_orders
from wms_sync.connector import Account
from wms_sync.qimen import Qimen
from wms_sync.qimen_reports import METHODS
from wms_sync.registry import connector_of
from wms_sync.rules.priority import Lane

GUIDE = (Path(__file__).parents[2] / "docs" / "warehouses.md").read_text("utf-8")
REST = connector_of("rest", Account(warehouse="main", code="HZ01", url="http://w", secrets=(OLD,)))


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


def test_the_settings_make_a_connector():
    """With nothing missing."""
    (text,) = blocks("toml")
    shop = tomllib.loads(text)["wms"]["main"]
    named = {name: shop[name] for name in ("url", "code", "owner", "app_key", "options")}
    account = Account(warehouse="main", secrets=tuple(shop["secrets"]), **named)
    house = connector_of(shop["connector"], account)
    assert house.system == "qimen"
    assert house.problem(order(shop="")) == ""  # orders of the API need not name one


def test_each_option_is_described():
    """And none that there is not."""
    table = GUIDE.partition("### Options")[2].partition("\n\n**Samples**")[0]
    first = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    described = re.findall(r"`([a-z_]+\.?)[^`]*`", first)
    assert sorted(described) == sorted(Qimen.options)


def test_an_order_is_written_as_it_is_shown():
    """Member by member."""
    (text,) = blocks("json orders")
    shown = json.loads(text)["orders"]
    sample = order(
        lane=Lane.SAMPLE, bench="B7", quality_check="开箱查验", carrier="SF", to=receiver()
    )
    assert json.loads(REST.create([sample], NOW_MS).body)["orders"] == shown


def test_the_answer_shown_is_read():
    """One taken, one refused for what is short."""
    (text,) = blocks("json created")
    asked = [order("tmall:2601220001@main"), order("tmall:2601220002@main")]
    told = REST.read_created(Response(200, text.encode()), asked)
    assert [(one.accepted, one.short) for one in told] == [(True, ()), (False, ("CATFOOD",))]


@pytest.mark.parametrize("text", blocks("json report"))
def test_the_reports_shown_are_read(text):
    """Each is one."""
    assert len(REST.read_reports(pushed(text.encode()), NOW_MS)) == 1


def test_what_the_guide_names_is_all_there_is():
    """Methods, options that are needed, codes and words that decide."""
    for method in METHODS:
        assert f"`{method}`" in GUIDE
    for option in qimen_orders.NEEDED:
        assert f"`{option}`" in GUIDE
    assert f"`{qimen_answers.FAULT_CODES}`" in GUIDE
