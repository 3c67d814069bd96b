"""The one-pass decoder and the slow validator: the same language, the same requests.

The one pass may refuse what the validator takes, never the other way round; and what is common it
takes itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reservation.api.decode import Decoder, read_json
from reservation.api.one_pass import OnePass
from reservation.api.problems import Refused
from reservation.config import load
from reservation.errors import InvalidRequest
from reservation.model import Operation
from tests.reservation.api.test_bodies import INVALID, MALFORMED, MOVES

DEFAULT = load()
NAMED = load(
    warehouses=frozenset({"shanghai", "w-2"}),  # the default is not among them
    max_quantity_per_line=50,
    max_lines=3,
    max_ttl_seconds=100,
    default_ttl_seconds=60,
    max_batch_operations=4,
)
ID = "tmall:1"
Found = Operation | list[Operation] | None


def slowly(read: Callable[[], Found]) -> Found:
    try:
        return read()
    except (Refused, InvalidRequest):
        return None


@cache
def decoders(*, named: bool) -> tuple[OnePass, Decoder]:
    limits = NAMED if named else DEFAULT
    return OnePass(limits), Decoder(limits)


def both(verb: str, body: bytes, *, named: bool = False) -> tuple[Found, Found]:
    """Read a body in one pass and by the slow validator; None is a refusal."""
    quick, slow = decoders(named=named)
    if verb == "reserve":
        return quick.reserve(body), slowly(lambda: slow._reserve(read_json(body)))
    if verb == "confirm":
        return quick.confirm(body, ID), slowly(lambda: slow._confirm(read_json(body), ID))
    if verb == "release":
        return quick.release(body, ID), slowly(lambda: slow._release(read_json(body), ID))
    return quick.batch(body), slowly(lambda: [slow.operation(raw) for raw in slow.batch(body)])


# -- bodies ----------------------------------------------------------------------------------------

texts = st.one_of(
    st.sampled_from(
        ("CAT", "猫粮-10KG", "a@b", ".", "..", " a", "a ", "a b", "", "a\u3000", "x" * 64, "x" * 65)
    ),
    st.text(max_size=8),
)
ids = st.one_of(
    st.sampled_from((ID, "dealer-hz:A.b_c-1", "t:1", "Tmall:1", "tmall:", "tmall:1\n", "tmall:é")),
    st.from_regex(r"\A[a-z][a-z0-9_-]{1,31}:[A-Za-z0-9._-]{1,64}\Z"),
)
warehouses = st.sampled_from(("main", "shanghai", "w-2", "a b", "", "W" * 32, "W" * 33, "main\n"))
numbers = st.one_of(
    st.integers(1, 3),
    st.sampled_from((0, -1, 49, 50, 51, 9_999, 10_000, 10_001, 86_400, 86_401, 2**63, 2**64)),
    st.sampled_from((1.0, 1e2, 0.5, True, False, "1", None, [], {})),
)
flags = st.sampled_from((True, False, 0, 1, "true", None))
junk = st.sampled_from((None, 1, "x", [], {}, [{}]))


def objects(required: dict[str, Any], optional: dict[str, Any]) -> Any:
    """Make objects that mostly have what they need, and sometimes a member too many."""
    return st.fixed_dictionaries(required, optional=optional | {"extra": junk})


valid_lines = st.fixed_dictionaries(
    {"sku": st.sampled_from(("CAT", "猫粮", "DOG-1")), "quantity": st.integers(1, 20)},
    optional={"warehouse": st.sampled_from(("main", "shanghai"))},
)
any_lines = objects({"sku": texts, "quantity": numbers}, {"warehouse": warehouses})
lines = st.one_of(
    st.lists(valid_lines, min_size=1, max_size=4), st.lists(any_lines, max_size=3), junk
)
MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reserve": (
        {"reservation_id": ids, "lines": lines},
        {"ttl_seconds": numbers, "confirm": flags},
    ),
    "confirm": ({}, {"if_expired": st.one_of(st.sampled_from(("refuse", "reinstate")), junk)}),
    "release": ({}, {"reason": st.one_of(texts, junk, st.sampled_from(("x" * 200, "x" * 201)))}),
    "extend": ({"ttl_seconds": numbers}, {}),
    "fulfil": (
        {},
        {"fulfilment_id": st.one_of(st.sampled_from(("p.1", "a b")), junk), "lines": lines},
    ),
}


def operations(verb: str) -> Any:
    required, optional = MEMBERS[verb]
    named = {"op": st.just(verb), "reservation_id": ids}
    return objects({**named, **required}, optional)


bodies = {
    "reserve": objects(*MEMBERS["reserve"]),
    "confirm": objects(*MEMBERS["confirm"]),
    "release": objects(*MEMBERS["release"]),
    "batch": objects(
        {"operations": st.lists(st.one_of(*map(operations, MEMBERS), junk), max_size=5)}, {}
    ),
}


@st.composite
def written(draw: st.DrawFn, verb: str) -> bytes:
    """Write a body as JSON in one of the many ways, then perhaps spoil or repeat a piece of it."""
    document = draw(bodies[verb])
    text = json.dumps(
        document,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from(((",", ":"), (" , ", " : "), (",\n\t", ":\r")))),
    )
    data = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from((0, 0, 1, 2)))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from(PIECES))
        data = data[:at] + piece + data[at + draw(st.integers(0, 2)) :]
    return data


PIECES = (
    *(b"", b" ", b"\x00", b"\x0b", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\x7f"),
    *(b"0", b"-", b".0", b"e1", b"1", b"\\u0041", b"\\ud800", b"\\ud83d\\ude00", b"\\", b"\\/"),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"//", b"NaN", b"null", b"true", b"'"),
    *(b'"op":"release",', b'"op":"reserve",', b'"sku":"a",', b'"quantity":1,', b'"confirm":true,'),
    *(b'"reservation_id":"tmall:2",', b'"lines":[],', b'"r\\u0065ason":"x",', b'"ttl_seconds":9,'),
)


@pytest.mark.parametrize("named", [False, True], ids=["defaults", "named warehouses"])
@pytest.mark.parametrize("verb", bodies)
def test_what_one_pass_takes_the_validator_takes_as_the_same(verb: str, *, named: bool) -> None:
    """Whatever the bytes are."""

    @settings(max_examples=400, deadline=None)
    @given(written(verb))
    def compare(body: bytes) -> None:
        quick, slow = both(verb, body, named=named)
        if quick is not None:
            assert slow == quick

    compare()


valid_reserves = st.fixed_dictionaries(
    {
        "reservation_id": st.from_regex(r"\A[a-z][a-z0-9_-]{1,31}:[A-Za-z0-9._-]{1,64}\Z"),
        "lines": st.lists(valid_lines, min_size=1, max_size=4),
    },
    optional={"ttl_seconds": st.integers(1, 86_400), "confirm": st.booleans()},
)


@given(valid_reserves, st.booleans())
def test_one_pass_takes_what_is_valid(document: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001
    """The slow validator is for errors; a valid order is not made to wait for it."""
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    quick, slow = both("reserve", body)
    assert quick is not None
    assert quick == slow


@given(st.lists(valid_reserves, min_size=1, max_size=4))
def test_one_pass_takes_a_valid_batch(documents: list[dict[str, Any]]) -> None:
    """Of all verbs."""
    moves: list[dict[str, Any]] = [
        {"op": "confirm", "reservation_id": ID, "if_expired": "reinstate"},
        {"op": "release", "reservation_id": ID, "reason": "客户取消"},
        {"op": "extend", "reservation_id": ID, "ttl_seconds": 5},
        {"op": "fulfil", "reservation_id": ID},
        {
            "op": "fulfil",
            "reservation_id": ID,
            "fulfilment_id": "p.1",
            "lines": documents[0]["lines"],
        },
    ]
    reserves = [{"op": "reserve", **document} for document in documents]
    body = json.dumps({"operations": moves + reserves}).encode()
    quick, slow = both("batch", body)
    assert quick is not None
    assert quick == slow


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
@pytest.mark.parametrize("verb", ["confirm", "release"])
def test_an_empty_body_is_an_empty_object(verb: str, body: bytes) -> None:
    quick, slow = both(verb, body)
    assert quick == slow
    assert quick is not None


BAD = [
    *(("reserve", content) for content in MALFORMED.values()),
    *(("reserve", json.dumps(body).encode()) for body, _ in INVALID),
    *(
        (verb, json.dumps(body).encode())
        for verb, body, _ in MOVES
        if verb in {"confirm", "release"}
    ),
    *(
        (
            "batch",
            json.dumps({"operations": [{"op": verb, "reservation_id": ID, **body}]}).encode(),
        )
        for verb, body, _ in MOVES
    ),
    *(
        ("batch", json.dumps({"operations": [{"op": "reserve", **body}]}).encode())
        for body, _ in INVALID
        if isinstance(body, dict)
    ),
]


@pytest.mark.parametrize(("verb", "body"), BAD)
def test_one_pass_refuses_every_bad_body_that_we_know(verb: str, body: bytes) -> None:
    assert both(verb, body) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"operations":[{"op":"confirm","reservation_id":"tm:1","op":"release"}]}',
        b'{"operations":[{"op":"release","op":"release","reservation_id":"tm:1"}]}',
        b'{"operations":[{"reservation_id":"tm:1"}]}',
        b'{"operations":[{"op":"release","reservation_id":"tm:1","reservation_id":"tm:2"}]}',
        b'{"operations":[]}',
        b"[]",
    ],
)
def test_members_that_are_repeated_or_missing(body: bytes) -> None:
    """Of a repeated member the last one counts, for the validator; the one pass may pass it on."""
    quick, slow = both("batch", body)
    assert quick in (None, slow)
