"""Bodies: what is no JSON is 400, what breaks a rule of form is 422 with every error at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reservation.config import Settings
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("stocked")
PATH = "/v1/reservations"
DEEP = 100_000

MALFORMED = {
    "no JSON": b"{",
    "not UTF-8": b'{"reservation_id": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"ttl_seconds": NaN}',
    "Infinity": b'{"ttl_seconds": -Infinity}',
    "two documents": b"{} {}",
    "single quotes": b"{'a': 1}",
    "a comment": b"{} // x",
    "a bare control character": b'{"a": "\x01"}',
    "deep nesting": b"[" * DEEP + b"]" * DEEP,
    "deep unclosed nesting": b'{"a":' * DEEP,
    "a figure of 5,000 digits": b'{"ttl_seconds": ' + b"9" * 5_000 + b"}",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_json_is_malformed(tmall: Caller, content: bytes) -> None:
    answer = await tmall("POST", PATH, content=content)
    assert (answer.status_code, slug(answer)) == (400, "malformed-request")


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", ""],
)
async def test_another_content_type_is_malformed(tmall: Caller, media_type: str) -> None:
    body = {"reservation_id": "tmall:1", "lines": [{"sku": SKU, "quantity": 1}]}
    answer = await tmall("POST", PATH, body, headers={"content-type": media_type})
    assert (answer.status_code, slug(answer)) == (400, "malformed-request")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"']
)
async def test_json_in_utf_8_may_say_so(tmall: Caller, media_type: str) -> None:
    answer = await tmall(
        "POST",
        PATH,
        {"reservation_id": "tmall:1", "lines": [{"sku": SKU, "quantity": 1}]},
        headers={"content-type": media_type},
    )
    assert answer.status_code == 201


def line(**changes: Any) -> dict[str, Any]:
    return {"sku": SKU, "quantity": 1, **changes}


# body -> pointers, in the order in which they are reported
INVALID: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ("text", [""]),
    (None, [""]),
    ({}, ["/reservation_id", "/lines"]),
    ({"reservation_id": "tmall:1", "lines": []}, ["/lines"]),
    ({"reservation_id": "tmall:1", "lines": [1, line(sku=None)]}, ["/lines/0", "/lines/1/sku"]),
    ({"reservation_id": "tmall", "lines": [line()]}, ["/reservation_id"]),
    ({"reservation_id": "tmall:1\n", "lines": [line()]}, ["/reservation_id"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "extra": 1}, ["/extra"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "a/b~c": 1}, ["/a~1b~0c"]),
    ({"reservation_id": "tmall:1", "lines": [line(x=1)]}, ["/lines/0/x"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "ttl_seconds": None}, ["/ttl_seconds"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "ttl_seconds": 0}, ["/ttl_seconds"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "ttl_seconds": 86_401}, ["/ttl_seconds"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "confirm": 1}, ["/confirm"]),
    ({"reservation_id": "tmall:1", "lines": [line()], "confirm": "true"}, ["/confirm"]),
    *(
        ({"reservation_id": "tmall:1", "lines": [line(quantity=value)]}, ["/lines/0/quantity"])
        for value in (0, -1, 1.0, 1e2, True, "1", None, 10_001, 2**63, 10**30, [], {})
    ),
    *(
        ({"reservation_id": "tmall:1", "lines": [line(sku=value)]}, ["/lines/0/sku"])
        for value in (
            *("", " a", "a ", "a\u3000", "a\nb", "a\u2028b", "a\x00", ".", "..", "x" * 65, 1),
        )
    ),
    ({"reservation_id": "tmall:1", "lines": [line(sku="\ud800")]}, ["/lines/0/sku"]),
    ({"reservation_id": "tmall:1", "lines": [{"ku": "CAT"}], "\ud800": 1}, [""]),
    ({"reservation_id": "tmall:1", "lines": [line(warehouse="a b")]}, ["/lines/0/warehouse"]),
    ({"reservation_id": "tmall:1", "lines": [line(warehouse=None)]}, ["/lines/0/warehouse"]),
    ({"reservation_id": "tmall:1", "lines": [line(quantity=5_001)] * 2}, ["/lines"]),
    (
        {
            "reservation_id": "tmall:1",
            "lines": [line(quantity=5_001), line(sku=""), line(quantity=5_000)],
        },
        ["/lines/1/sku", "/lines"],
    ),
    ({"reservation_id": "tmall:1", "lines": [line()] * 1_001}, ["/lines"]),
]


@pytest.mark.parametrize(("body", "pointers"), INVALID)
async def test_every_broken_rule_is_pointed_at(
    tmall: Caller, body: Any, pointers: list[str]
) -> None:
    answer = await tmall("POST", PATH, content=json.dumps(body).encode())
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert all(error["detail"] for error in answer.json()["errors"])
    stock = (await tmall("GET", f"/v1/stock/{SKU}")).json()
    assert stock["warehouses"][0]["held"] == 0


async def test_of_a_repeated_member_the_last_counts(tmall: Caller) -> None:
    content = (
        b'{"reservation_id": "x", "reservation_id": "tmall:1", "lines": 1, '
        b'"lines": [{"sku": "CATFOOD-10KG", "quantity": 99, "quantity": 2}]}'
    )
    answer = await tmall("POST", PATH, content=content)
    assert answer.json()["lines"][0]["quantity"] == 2


async def test_a_thousand_lines_are_taken(tmall: Caller) -> None:
    answer = await tmall.reserve("tmall:1", *[(f"sku-{number}", 1) for number in range(1_000)])
    assert slug(answer) == "unknown-sku"
    assert len(answer.json()["skus"]) == 1_000


MOVES: list[tuple[str, Any, list[str]]] = [
    ("confirm", {"if_expired": "x"}, ["/if_expired"]),
    ("confirm", {"if_expired": None}, ["/if_expired"]),
    ("release", {"reason": ""}, ["/reason"]),
    ("release", {"reason": None}, ["/reason"]),
    ("release", {"reason": "x" * 201}, ["/reason"]),
    ("release", {"reason": "\udfff"}, ["/reason"]),
    ("extend", {}, ["/ttl_seconds"]),
    ("extend", {"ttl_seconds": 86_401}, ["/ttl_seconds"]),
    ("fulfil", {"fulfilment_id": "a"}, ["/lines"]),
    ("fulfil", {"lines": [line()]}, ["/fulfilment_id"]),
    ("fulfil", {"lines": None}, ["/fulfilment_id", "/lines"]),
    ("fulfil", {"fulfilment_id": "a b", "lines": []}, ["/fulfilment_id", "/lines"]),
    ("fulfil", {"fulfilment_id": "a", "lines": [line(quantity=5_001)] * 2}, ["/lines"]),
    ("fulfil", {"fulfilment_id": None, "lines": [line()]}, ["/fulfilment_id"]),
]


@pytest.mark.parametrize(("verb", "body", "pointers"), MOVES)
async def test_the_form_of_each_move(
    tmall: Caller, verb: str, body: Any, pointers: list[str]
) -> None:
    answer = await tmall("POST", f"{PATH}/tmall:1/{verb}", content=json.dumps(body).encode())
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


CLOCK: list[tuple[Any, int]] = [
    ({}, 422),
    ({"advance_seconds": 0}, 422),
    ({"advance_seconds": -1}, 422),
    ({"advance_seconds": 0.0001}, 422),
    ({"advance_seconds": "1"}, 422),
    ({"advance_seconds": 1e300}, 422),
    ({"freeze": None}, 422),
    ({"advance_seconds": 0.001}, 200),
    ({"advance_seconds": 1800, "freeze": True}, 200),
    ({"freeze": False}, 200),
]


@pytest.mark.parametrize(("body", "status"), CLOCK)
async def test_the_test_clock_takes_positive_milliseconds(
    admin: Caller, body: Any, status: int
) -> None:
    assert (await admin("POST", "/v1/test/clock", body)).status_code == status


class TestNamedWarehouses:
    """Where `warehouses` is set, another name is refused."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Name two warehouses."""
        names = frozenset({"main", "shanghai"})
        return settings.model_copy(update={"warehouses": names})

    async def test_another_name_is_invalid_everywhere(self, admin: Caller) -> None:
        """A reserve, a count and a question about availability."""
        order = {"reservation_id": "tmall:1", "lines": [line(warehouse="x")]}
        refused = [
            await admin("POST", PATH, order),
            await admin("PUT", f"/v1/stock/{SKU}", {"on_hand": 1, "warehouse": "x"}),
            await admin("GET", f"/v1/availability?sku={SKU}&warehouse=x"),
        ]
        assert [slug(answer) for answer in refused] == ["invalid-request"] * 3
        known = {"on_hand": 1, "warehouse": "shanghai"}
        assert (await admin("PUT", f"/v1/stock/{SKU}", known)).status_code == 201
