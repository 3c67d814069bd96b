"""The largest of any stretch of a list, after one pass over it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

_FAN = 32  # values under one of the next row: a stretch is a few slices, each in C


class Largest:
    """Answers `max(values[start:stop])`. Cost: O(n) once, O(log n) a question."""

    def __init__(self, values: Sequence[int]) -> None:
        self._rows: list[Sequence[int]] = [values]
        while len(self._rows[-1]) > _FAN:
            row = self._rows[-1]
            largest = (max(row[at : at + _FAN]) for at in range(0, len(row), _FAN))
            self._rows.append(array("q", largest))

    def of(self, start: int, stop: int) -> int:
        """Return the largest of a stretch that is not empty."""
        largest = self._rows[0][start]
        for row in self._rows:
            if stop - start <= 2 * _FAN:
                return max(largest, max(row[start:stop], default=largest))
            inner_start, inner_stop = -(-start // _FAN), stop // _FAN
            ends = (row[start : inner_start * _FAN], row[inner_stop * _FAN : stop])
            largest = max(largest, *(max(end, default=largest) for end in ends))
            start, stop = inner_start, inner_stop
        raise AssertionError  # the last row has at most _FAN values
