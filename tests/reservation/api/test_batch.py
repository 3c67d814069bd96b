"""The batch: many operations, each judged alone, in order."""

from __future__ import annotations

from typing import Any

import pytest

from reservation.api.decode import Decoder
from reservation.engine import Engine
from reservation.errors import Overloaded, ScriptBug
from reservation.model import Outcome
from reservation.status import Status
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("stocked")
PATH = "/v1/reservations/batch"
LINES = [{"sku": SKU, "quantity": 1}]


async def apply(caller: Caller, *operations: Any) -> list[dict[str, Any]]:
    answer = await caller("POST", PATH, {"operations": list(operations)})
    assert answer.status_code == 200
    results: list[dict[str, Any]] = answer.json()["results"]
    assert all(
        result["problem"]["instance"] == answer.headers["x-request-id"]
        and result["problem"]["status"] == result["status"]
        for result in results
        if "problem" in result
    )
    return results


def kinds(results: list[dict[str, Any]]) -> list[Any]:
    """State or slug of each result."""
    return [
        result["problem"]["type"].removeprefix("/problems/")
        if "problem" in result
        else result["reservation"]["state"]
        for result in results
    ]


async def test_each_operation_stands_alone(tmall: Caller) -> None:
    results = await apply(
        tmall,
        {"op": "reserve", "reservation_id": "tmall:1", "lines": LINES},
        {"op": "reserve", "reservation_id": "tmall:2", "lines": [{"sku": SKU, "quantity": 99}]},
        {"op": "reserve", "reservation_id": "douyin:1", "lines": LINES},
        {"op": "confirm", "reservation_id": "douyin:1"},
        {"op": "reserve", "reservation_id": "tmall:3", "lines": [{"sku": "", "quantity": 0}]},
        {"op": "sell"},
        {},
        7,
        {"op": "confirm", "reservation_id": "tmall"},
        {"op": "confirm"},
        {"op": "extend", "reservation_id": "tmall:1", "ttl_seconds": 5, "x": 1},
        {"op": "reserve", "reservation_id": "tmall:1", "lines": LINES},
    )
    assert kinds(results) == [
        "held",
        "insufficient-stock",
        "forbidden",
        "reservation-not-found",
        *["invalid-request"] * 7,
        "held",
    ]
    assert [result["status"] for result in results] == [201, 409, 403, 404, *[422] * 7, 200]
    assert [result.get("replayed") for result in results] == [None] * 11 + [True]
    pointers = [
        [error["pointer"] for error in result["problem"].get("errors", ())]
        for result in results[4:11]
    ]
    assert pointers == [
        ["/lines/0/sku", "/lines/0/quantity"],
        ["/op"],
        ["/op"],
        [""],
        ["/reservation_id"],
        ["/reservation_id"],
        ["/x"],
    ]


async def test_operations_on_one_id_apply_in_the_order_given(tmall: Caller) -> None:
    results = await apply(
        tmall,
        {"op": "reserve", "reservation_id": "tmall:1", "lines": LINES},
        {"op": "confirm", "reservation_id": "tmall:1"},
        {"op": "fulfil", "reservation_id": "tmall:1"},
        {"op": "release", "reservation_id": "tmall:1"},
    )
    assert kinds(results) == ["held", "confirmed", "fulfilled", "reservation-fulfilled"]


async def test_ops_may_release_and_fulfil_only(ops: Caller, admin: Caller) -> None:
    await admin.reserve("tmall:1")
    await admin.reserve("tmall:2", confirm=True)
    results = await apply(
        ops,
        {"op": "release", "reservation_id": "tmall:1"},
        {"op": "fulfil", "reservation_id": "tmall:2"},
        {"op": "confirm", "reservation_id": "tmall:1"},
        {"op": "reserve", "reservation_id": "tmall:3", "lines": []},
    )
    assert kinds(results) == ["released", "fulfilled", "forbidden", "forbidden"]


async def test_a_foreign_line_is_pointed_at_within_its_operation(tmall: Caller) -> None:
    await tmall.reserve("tmall:1", confirm=True)
    (result,) = await apply(
        tmall,
        {
            "op": "fulfil",
            "reservation_id": "tmall:1",
            "fulfilment_id": "p",
            "lines": [*LINES, {"sku": "foreign", "quantity": 1}],
        },
    )
    assert [error["pointer"] for error in result["problem"]["errors"]] == ["/lines/1/sku"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/operations"]),
        ({"operations": []}, ["/operations"]),
        ({"operations": [{}] * 1_001}, ["/operations"]),
        ({"operations": {}}, ["/operations"]),
        ({"operations": [{}], "atomic": True}, ["/atomic"]),
    ],
)
async def test_the_batch_itself_may_be_invalid(
    tmall: Caller, body: Any, pointers: list[str]
) -> None:
    answer = await tmall("POST", PATH, body)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_a_thousand_operations_are_taken(tmall: Caller) -> None:
    operations = [
        {"op": "reserve", "reservation_id": f"tmall:{number}", "lines": LINES}
        for number in range(1_000)
    ]
    results = kinds(await apply(tmall, *operations))
    assert results.count("held") == 10
    assert set(results[10:]) == {"insufficient-stock", "sku-suspended"}


async def test_a_fault_befalls_its_operation_alone(
    tmall: Caller, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overloaded(_operations: Any, _origin: Any, *, checked: bool) -> list[Any]:
        assert checked
        return [Overloaded("the queue is full"), ScriptBug("BADARG"), Outcome(Status.ID_REUSED)]

    monkeypatch.setattr(engine, "apply", overloaded)
    confirm = {"op": "confirm", "reservation_id": "tmall:1"}
    full, bug, reused = await apply(tmall, confirm, confirm, confirm)
    assert (full["status"], full["problem"]["outcome"]) == (503, "not_applied")
    assert (bug["status"], bug["problem"]["type"]) == (500, "/problems/internal-error")
    assert "BADARG" not in str(bug)
    assert reused["status"] == 422


async def test_a_body_is_read_anew_once_however_many_need_it(
    tmall: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand refusals that point into it must not keep the worker for seconds."""
    await apply(
        tmall, {"op": "reserve", "reservation_id": "tmall:1", "lines": LINES, "confirm": True}
    )
    reads: list[bytes] = []
    read = Decoder.batch

    def counted(self: Decoder, body: bytes) -> Any:
        reads.append(body)
        return read(self, body)

    monkeypatch.setattr(Decoder, "batch", counted)
    parts = [
        {
            "op": "fulfil",
            "reservation_id": "tmall:1",
            "fulfilment_id": f"p{number}",
            "lines": [{"sku": "other", "quantity": 1}],
        }
        for number in range(20)
    ]
    results = await apply(tmall, *parts)
    assert kinds(results) == ["invalid-request"] * 20
    pointers = [error["pointer"] for one in results for error in one["problem"]["errors"]]
    assert set(pointers) == {"/lines/0/sku"}
    assert len(reads) == 1
