"""What is written of warehouses as JSON, where no answer of the API shows all of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.wms_sync.bed import dispatch
from wms_sync.written import receiver_json


@pytest.mark.parametrize("mobile", ["", "1", "12345", "1380000", "138000012"])
def test_of_a_short_number_nothing_is_shown(mobile: str) -> None:
    """As many digits are hidden as at either end are shown, or all of them."""
    receiver = replace(dispatch().receiver, mobile=mobile)
    assert receiver_json(receiver, shown=False)["mobile"] == "***"
    assert receiver_json(receiver, shown=True)["mobile"] == mobile
