"""Queries and forms, held against the standard library's reading."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.simulation.query import pairs_of

MOST = 50


@given(st.lists(st.tuples(st.text(), st.text()), max_size=MOST))
def test_what_was_written_is_read(pairs: list[tuple[str, str]]) -> None:
    """Whatever stands in it."""
    written = urlencode(pairs, errors="surrogatepass").encode()
    try:
        expected = parse_qsl(written.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            list(pairs_of(written, MOST))
    else:
        assert list(pairs_of(written, MOST)) == expected


@given(st.text(alphabet="ab=&+%41", max_size=12), st.booleans())
def test_what_is_written_carelessly_is_read_alike(text: str, strict: bool) -> None:  # noqa: FBT001
    """Parts without a value, empty ones, signs that stand for nothing."""
    try:
        expected = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=strict and bool(text),
            errors="strict",
            max_num_fields=MOST,
        )
    except ValueError:
        with pytest.raises(ValueError, match=r"part|decode"):
            list(pairs_of(text.encode(), MOST, strict=strict))
    else:
        assert list(pairs_of(text.encode(), MOST, strict=strict)) == expected


def test_too_many_are_refused() -> None:
    """Before any is read."""
    assert len(list(pairs_of(b"&".join([b"a=b"] * MOST), MOST))) == MOST
    with pytest.raises(ValueError, match="more than 50"):
        next(pairs_of(b"&".join([b"a=b"] * (MOST + 1)), MOST))
