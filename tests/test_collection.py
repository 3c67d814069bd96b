"""The tests as pytest has collected them."""

from __future__ import annotations

from collections import Counter

import pytest


def test_no_two_tests_have_the_same_id(request: pytest.FixtureRequest) -> None:
    """Xdist runs one of an id, and nothing says that the others did not run.

    So 35 of the 36 operations that schemathesis should have tried went untried.
    """
    count = Counter(item.nodeid for item in request.session.items)
    assert [nodeid for nodeid, times in count.items() if times > 1] == []
