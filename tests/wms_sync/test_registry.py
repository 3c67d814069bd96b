"""Which connector a warehouse has."""

from __future__ import annotations

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
