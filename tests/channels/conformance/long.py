"""The suite with its fuzz at length, which `make chaos` runs."""

from __future__ import annotations

import pytest

from channels.conformance import Conformance

EXAMPLES = 100_000


class Long(Conformance):
    """All rules, and the fuzz once more."""

    @pytest.mark.chaos
    def test_fuzz_at_length(self):
        """100,000 pushes that are nearly one, and as many answers."""
        self.fuzz_pushes(EXAMPLES)
        self.fuzz_answers(EXAMPLES)
