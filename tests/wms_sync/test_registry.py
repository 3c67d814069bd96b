"""Which connector a warehouse has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reservation.errors import ConfigurationError
from tests.wms_sync.qimen_house import HOUSE
from tests.wms_sync.test_rest import OLD
from wms_sync.connector import Account, Connector
from wms_sync.qimen import Qimen
from wms_sync.registry import connector_of
from wms_sync.rest import Rest


class Corner(Rest):
    """A system of somebody's own."""


class Unfinished(Connector):
    """A system that does not say all it must."""

    system = "unfinished"


class Stall(Corner):
    """One with options of its own."""

    options = ("till", "shelf.")


ACCOUNT = Account(warehouse="main", code="W1", url="http://127.0.0.1:1", secrets=(OLD,))
OWN = f"{__name__}:Corner"


@pytest.mark.parametrize(
    ("system", "account", "kind"),
    [("qimen", HOUSE.account, Qimen), ("rest", ACCOUNT, Rest), (OWN, ACCOUNT, Corner)],
)
def test_a_system_is_found(system, account, kind):
    """By its name, or by its class."""
    connector = connector_of(system, account)
    assert type(connector) is kind
    assert connector.account is account


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("sap", r"wms\.main: no connector 'sap'; known are qimen, rest, and module:Class"),
        ("no.such_module:Connector", "cannot be loaded"),
        (":Corner", "cannot be loaded"),
        (f"{__name__}:Missing", "cannot be loaded"),
        ("pathlib:Path", r"is no wms_sync\.connector\.Connector"),
        (f"{__name__}:OWN", r"is no wms_sync\.connector\.Connector"),
        (f"{__name__}:Unfinished", "Unfinished does not say acknowledge, cancel, create"),
        ("qimen", r"Qimen needs owner, app_key"),
    ],
)
def test_one_that_is_not_there_is_said(system, words):
    """The error names the warehouse."""
    with pytest.raises(ConfigurationError, match=words):
        connector_of(system, ACCOUNT)


@pytest.mark.parametrize(
    ("system", "account", "option", "words"),
    [
        ("qimen", HOUSE.account, "foo", r"wms\.main: 'foo' is no option of connector 'qimen'"),
        (
            "qimen",
            HOUSE.account,
            "lock",
            r"'lock' is no option .*order_source\.….*; is locks meant",
        ),
        ("qimen", HOUSE.account, "carrier.", r"'carrier\.' is no option .*; is carrier\.… meant"),
        ("rest", ACCOUNT, "shop", "'shop' is no option of connector 'rest'; known are none"),
        (f"{__name__}:Stall", ACCOUNT, "tills", r"known are till, shelf\.…; is till meant"),
    ],
)
def test_an_option_that_a_connector_does_not_know_is_named(system, account, option, words):
    """With those that it does, and the one that was meant."""
    with pytest.raises(ConfigurationError, match=words):
        connector_of(system, replace(account, options={**account.options, option: "1"}))


def test_a_connector_of_ones_own_has_options_of_its_own():
    """By name, or all that begin so."""
    account = replace(ACCOUNT, options={"till": "1", "shelf.a": "2"})
    assert connector_of(f"{__name__}:Stall", account).account is account
