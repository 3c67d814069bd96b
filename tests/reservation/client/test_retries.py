"""Lost answers, cut connections, refusals for now: what is sent again, and what that may not do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import httpx
import pytest

from reservation.client import (
    AsyncClient,
    Confirm,
    Fulfil,
    InsufficientStock,
    OutcomeUnknown,
    Quota,
    Refused,
    Reservation,
    Reserve,
    Retry,
    State,
    TooManyRequests,
    Unavailable,
)
from tests.conftest import RunningService
from tests.reservation.client.conftest import Waits
from tests.reservation.client.unreliable import (
    Exchange,
    Unreliable,
    cut_reply,
    fall_silent,
    hang_up,
    lose_reply,
    problem,
    say,
    trickle,
)

SOON_SECONDS = 3.0  # a deadline of a fraction of a second is kept, on a busy machine too
SHORT = Retry(attempts=2, draw=lambda: 1.0)
NOT_APPLIED = problem(503, "store-unavailable", outcome="not_applied", detail="no store")
UNKNOWN = problem(503, "store-unavailable", outcome="unknown", detail="no answer")
LOSSES = [hang_up, lose_reply, cut_reply]


def _connections_refused() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("fault", [*LOSSES, UNKNOWN, say(502, b"<html>")])
async def test_a_reserve_without_an_answer_is_sent_again(
    client: AsyncClient,
    holdfast: AsyncClient,
    unreliable: Unreliable,
    sku: str,
    name: str,
    fault: Callable[[Exchange], None],
) -> None:
    """The id makes it safe: whatever was lost, two units are held once."""
    unreliable.will(fault)

    held = await client.reserve(f"tmall:{name}", [(sku, 2)])

    assert (held.state, held.doubted) == (State.HELD, True)
    assert held.replayed == (fault in {lose_reply, cut_reply})
    first, second = unreliable.requests
    assert first.body == second.body
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    level = (await holdfast.stock(sku)).level("main")
    assert level is not None
    assert level.held == 2


@pytest.mark.parametrize("fault", LOSSES)
async def test_every_verb_survives_a_lost_answer(
    client: AsyncClient,
    holdfast: AsyncClient,
    unreliable: Unreliable,
    sku: str,
    name: str,
    fault: Callable[[Exchange], None],
) -> None:
    """A whole life in which each first sending goes wrong moves each unit once."""
    order, cancelled = f"tmall:{name}-1", f"tmall:{name}-2"
    for number, step in enumerate(
        [
            client.reserve(order, [(sku, 4)]),
            client.extend(order, 600),
            client.confirm(order),
            client.fulfil(order, fulfilment_id="p1", lines=[(sku, 1)]),
            client.fulfil(order),
            client.reserve(cancelled, [(sku, 2)], confirm=True),
            client.release(cancelled),
            client.adjust_stock(sku, 5, adjustment_id="a1", reason="found"),
            client.set_stock(sku, 20, if_on_hand=11),
            client.reservation(order),
            client.stock(sku),
            client.availability([sku]),
            client.quotas(sku),
            client.import_stock(
                f"sku,warehouse,on_hand,safety_stock\n{sku},,1,\n".encode(), dry_run=True
            ),
        ],
        start=1,
    ):
        unreliable.will(fault)
        await step
        assert len(unreliable.requests) == 2 * number

    level = (await holdfast.stock(sku)).level("main")
    assert level is not None
    assert (level.on_hand, level.held, level.committed) == (20, 0, 0)


async def test_a_batch_is_sent_again_whole(
    client: AsyncClient, unreliable: Unreliable, sku: str, name: str
) -> None:
    """What was done the first time is answered as a replay."""
    unreliable.will(lose_reply)
    results = await client.batch(
        [
            Reserve(f"tmall:{name}", [(sku, 2)]),
            Confirm(f"tmall:{name}"),
            Fulfil(f"tmall:{name}", "p1", [(sku, 2)]),
        ]
    )
    found = [result for result in results if isinstance(result, Reservation)]
    assert [result.state for result in found] == [State.FULFILLED] * 3
    assert [(result.replayed, result.doubted) for result in found] == [
        (True, True),
        (False, True),
        (True, True),
    ]


async def test_a_fault_inside_a_batch_is_a_value(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """An operation that the store did not take says so in its place."""
    body = (
        b'{"results":[{"status":503,"problem":{"type":"/problems/store-unavailable","status":503,'
        b'"detail":"gone","outcome":"not_applied","instance":"r1"}},{"status":503,"problem":'
        b'{"type":"/problems/store-unavailable","status":503,"outcome":"unknown"}}]}'
    )
    unreliable.will(say(200, body, content_type="application/json"))
    applied, unknown = await client.batch([Confirm("tmall:1"), Confirm("tmall:2")])
    assert type(applied) is Unavailable
    assert (applied.detail, applied.request_id, applied.status) == ("gone", "r1", 503)
    assert type(unknown) is OutcomeUnknown


@pytest.mark.parametrize("fault", [*LOSSES, UNKNOWN])
async def test_a_plain_count_is_not_repeated_in_doubt(
    client: AsyncClient,
    holdfast: AsyncClient,
    unreliable: Unreliable,
    sku: str,
    fault: Callable[[Exchange], None],
) -> None:
    """Setting a level again could undo what somebody else wrote in between."""
    file = f"sku,warehouse,on_hand,safety_stock\n{sku},main,12,\n".encode()
    for ask in (
        lambda: client.set_stock(sku, 12),
        lambda: client.import_stock(file),
        lambda: client.set_quotas(sku, [Quota("tmall", 1)]),
    ):
        unreliable.will(NOT_APPLIED, fault)
        unreliable.requests.clear()
        with pytest.raises(OutcomeUnknown) as error:
            await ask()
        assert (error.value.attempts, len(unreliable.requests)) == (2, 2)
    level = (await holdfast.stock(sku)).level("main")
    assert level is not None
    assert level.on_hand == (12 if fault in {lose_reply, cut_reply} else 10)


async def test_a_plain_count_is_repeated_where_nothing_happened(
    client: AsyncClient, unreliable: Unreliable, sku: str
) -> None:
    """`not_applied` and 429 are certain."""
    unreliable.will(NOT_APPLIED, problem(429, "too-many-requests", retry_after=1), NOT_APPLIED)
    level = (await client.set_stock(sku, 12)).level("main")
    assert level is not None
    assert level.on_hand == 12


async def test_an_interrupted_import_says_how_far_it_came(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """Rows that stand make it an unknown outcome, even where the rest is known not to."""
    unreliable.will(
        problem(503, "store-unavailable", outcome="not_applied", rows_applied=250, retry_after=1)
    )
    with pytest.raises(OutcomeUnknown) as error:
        await client.import_stock(b"sku,warehouse,on_hand,safety_stock\n")
    assert (error.value.rows_applied, error.value.attempts) == (250, 1)


async def test_pauses_grow_and_keep_to_what_the_service_asks(
    client: AsyncClient, unreliable: Unreliable, waits: Waits, sku: str, name: str
) -> None:
    """Doubling from a tenth of a second, on top of Retry-After."""
    busy = problem(503, "overloaded", outcome="not_applied", retry_after=3)
    unreliable.will(NOT_APPLIED, NOT_APPLIED, busy, hang_up, NOT_APPLIED)

    held = await client.reserve(f"tmall:{name}", [(sku, 1)])

    assert held.state is State.HELD
    assert waits.pauses == [0.1, 0.2, 3.4, 0.8, 1.6]


async def test_attempts_are_bounded(
    connect: Callable[..., AsyncClient], unreliable: Unreliable, service: RunningService
) -> None:
    """After the last one the call ends with what is known."""
    client = connect(unreliable.url, service.admin_key, retry=SHORT)
    unreliable.will(NOT_APPLIED, NOT_APPLIED)
    with pytest.raises(Unavailable, match="no store") as error:
        await client.confirm("tmall:1")
    assert type(error.value) is Unavailable
    assert error.value.effect == "not_applied"
    assert (error.value.attempts, error.value.status) == (2, 503)
    assert error.value.request_id == unreliable.requests[0].headers["x-request-id"]


async def test_doubt_stays(
    connect: Callable[..., AsyncClient], unreliable: Unreliable, service: RunningService
) -> None:
    """A later "not applied" does not say what became of an earlier sending."""
    client = connect(unreliable.url, service.admin_key, retry=SHORT)
    for last in (NOT_APPLIED, problem(429, "too-many-requests", retry_after=1)):
        unreliable.will(hang_up, last)
        with pytest.raises(OutcomeUnknown) as error:
            await client.confirm("tmall:1")
        assert error.value.effect == "unknown"


async def test_a_read_is_never_in_doubt(
    connect: Callable[..., AsyncClient], unreliable: Unreliable, service: RunningService
) -> None:
    """Nothing can have happened: the error says `not_applied`."""
    client = connect(unreliable.url, service.admin_key, retry=SHORT)
    unreliable.will(hang_up, say(504))
    with pytest.raises(Unavailable) as error:
        await client.stock("x")
    assert type(error.value) is Unavailable


async def test_a_refusal_after_doubt_says_so(
    client: AsyncClient, unreliable: Unreliable, sku: str, name: str
) -> None:
    """A business refusal is final at once; `doubted` tells of the sending before it."""
    unreliable.will(hang_up)
    with pytest.raises(InsufficientStock) as refused:
        await client.reserve(f"tmall:{name}", [(sku, 11)])
    assert refused.value.doubted
    with pytest.raises(InsufficientStock) as plain:
        await client.reserve(f"tmall:{name}", [(sku, 11)])
    assert not plain.value.doubted
    assert len(unreliable.requests) == 3


async def test_the_deadline_ends_everything(
    connect: Callable[..., AsyncClient],
    unreliable: Unreliable,
    service: RunningService,
    waits: Waits,
) -> None:
    """A pause that would outlast it is not begun; Retry-After is handed on."""
    client = connect(unreliable.url, service.admin_key, deadline_seconds=3)
    unreliable.will(NOT_APPLIED, problem(503, "overloaded", outcome="not_applied", retry_after=60))
    with pytest.raises(Unavailable) as error:
        await client.confirm("tmall:1")
    assert (error.value.attempts, error.value.retry_after_seconds) == (2, 60)
    assert waits.pauses == [0.1]
    unreliable.will(problem(429, "too-many-requests", retry_after=60, detail="slow down"))
    with pytest.raises(TooManyRequests, match="slow down") as limited:
        await client.with_options(deadline_seconds=30).confirm("tmall:1")
    assert (limited.value.status, limited.value.retry_after_seconds) == (429, 60)


async def test_a_silent_service_is_left(
    connect: Callable[..., AsyncClient], unreliable: Unreliable, service: RunningService
) -> None:
    """The last sending takes no longer than what is left of the deadline."""
    client = connect(unreliable.url, service.admin_key)
    unreliable.will(fall_silent)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="gives no answer") as error:
        await client.with_options(deadline_seconds=0.05).confirm("tmall:1")
    assert time.monotonic() - started < SOON_SECONDS
    assert error.value.attempts == 1
    assert error.value.status is None
    assert isinstance(error.value.__cause__, httpx.TimeoutException | TimeoutError)


async def test_an_answer_that_trickles_is_left(
    unreliable: Unreliable, service: RunningService
) -> None:
    """The asynchronous client bounds the whole sending, not each wait of it."""
    unreliable.will(trickle)
    started = time.monotonic()
    async with AsyncClient(unreliable.url, service.admin_key, deadline_seconds=0.2) as client:
        with pytest.raises(OutcomeUnknown):
            await client.confirm("tmall:1")
    assert time.monotonic() - started < SOON_SECONDS


async def test_where_nobody_listens_nothing_happened(
    connect: Callable[..., AsyncClient], waits: Waits
) -> None:
    """A refused connection is no doubt, and worth another try: the service may be restarting."""
    client = connect(_connections_refused(), "a-key")
    with pytest.raises(Unavailable) as error:
        await client.set_stock("x", 1)
    assert type(error.value) is Unavailable
    assert (error.value.attempts, len(waits.pauses)) == (6, 5)


async def test_what_a_request_carries(
    client: AsyncClient, unreliable: Unreliable, service: RunningService
) -> None:
    """The key, the caller's request id and trace; a view leaves its origin as it was."""
    unreliable.will(*[problem(404, "sku-not-found")] * 2)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with pytest.raises(Refused):
        await client.with_options(request_id="mine", traceparent=trace).stock("x")
    with pytest.raises(Refused):
        await client.stock("x")
    first, second = unreliable.requests
    assert first.headers["authorization"] == f"Bearer {service.admin_key}"
    assert (first.headers["x-request-id"], first.headers["traceparent"]) == ("mine", trace)
    assert second.headers["x-request-id"] != "mine"
    assert "traceparent" not in second.headers
