"""The courier: brings a receiver what it is to be told, at its pace, until it has it.

What waits is put into one message as late as possible, so that a burst becomes a few of them. A
message whose answer was lost is sent again: a receiver that knows no ids may get it twice.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
import structlog

from ops.alerts.deliveries import AlertsUnavailable
from ops.alerts.dingtalk import DingTalk
from ops.alerts.outbox import SharedOutbox
from ops.alerts.receiving import Delivered, Later, Parcel, Telling, Verdict
from ops.alerts.webhook import Webhook
from ops.alerts.wecom import WeCom
from ops.alerts.wording import Words
from reservation import metrics
from reservation.background import repeat
from reservation.receivers import ReceiverKind, is_loopback

if TYPE_CHECKING:
    from ops.alerts.deliveries import Delivery
    from ops.alerts.outbox import Outbox
    from ops.alerts.receiving import Dialect
    from reservation.config import Settings
    from reservation.receivers import Receiver

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.5  # between looks at an outbox that had nothing to send
SETTLE_MS: Final = 2_000  # for which an alert waits for others, to be told with them
MOST_WAITING: Final = 5_000  # alerts that are looked at for one message: a burst is a few of them
TIMEOUT_SECONDS: Final = 5.0  # for an answer
MOST_ANSWER_BYTES: Final = 65_536  # of which a verdict is read
FIRST_PAUSE_SECONDS: Final = 2.0  # before the second sending, doubled before each further one
LONGEST_PAUSE_SECONDS: Final = 300.0

DIALECTS: Final[dict[ReceiverKind, Dialect]] = {
    ReceiverKind.WECOM: WeCom(),
    ReceiverKind.DINGTALK: DingTalk(),
    ReceiverKind.WEBHOOK: Webhook(),
}


class Courier:
    """One background loop for one receiver. `now_ms` is the wall clock, `chance` is in [0, 1)."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        outbox: SharedOutbox,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._receiver = settings.alerts[name]
        self._dialect = DIALECTS[self._receiver.kind]
        self._words = words_of(settings, self._receiver)
        self._give_up_ms = settings.alerts_give_up_seconds * 1000
        self._shared = outbox
        self._now_ms = now_ms
        self._chance = chance
        self._http = client_for(self._receiver)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what fails is tried again, forever."""
        name = f"courier of {self._name}"
        try:
            await repeat(self.look, name=name, stop=stop, faults=(AlertsUnavailable,))
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections to the receiver."""
        await self._http.aclose()

    async def look(self) -> float:
        """Send what is due, one message at the most; return the seconds until the next look.

        Raises AlertsUnavailable.
        """
        outbox = await asyncio.to_thread(self._shared.opened)
        delivery = await asyncio.to_thread(self._due, outbox)
        if delivery is None:
            return POLL_SECONDS
        now_ms = self._now_ms()
        # A clock that was set back since the last sending says nothing about the pause after it.
        was_set_back = delivery.last_ms is not None and now_ms < delivery.last_ms
        wait_ms = 0 if was_set_back else max(0, delivery.next_ms - now_ms)
        if not wait_ms:
            spacing_ms = spacing_of(self._receiver)
            wait_ms = await asyncio.to_thread(outbox.slot, self._name, now_ms, spacing_ms)
        if wait_ms:
            return min(POLL_SECONDS, wait_ms / 1000)
        await asyncio.to_thread(outbox.attempted, delivery.id, now_ms)
        verdict = await send(self._http, Parcel(self._receiver, delivery.id, delivery.body, now_ms))
        await asyncio.to_thread(self._record, outbox, delivery, verdict)
        return 0.0

    def _due(self, outbox: Outbox) -> Delivery | None:
        """Find the delivery that is on its way, or make one of what has waited for others.

        What was given up once and is sent again lets everything new pass.
        """
        delivery = outbox.pending(self._name)
        if delivery is not None and not delivery.resent:
            return delivery
        now_ms = self._now_ms()
        since_ms, alerts = outbox.waiting(self._name, MOST_WAITING)
        if since_ms is None or since_ms <= now_ms < since_ms + SETTLE_MS:
            return delivery
        if outbox.slot_in(self._name, now_ms, spacing_of(self._receiver)):
            return delivery  # whatever comes until it may be sent to goes with it
        count, body = self._dialect.compose(Telling(alerts, self._words, now_ms))
        made = outbox.seal(self._name, alerts[:count], body, now_ms)
        if now_ms - since_ms < self._give_up_ms:
            return made
        outbox.give_up(made.id, "the receiver took nothing for too long")
        self._count("given_up")
        return None

    def _record(self, outbox: Outbox, delivery: Delivery, verdict: Verdict) -> None:
        now_ms = self._now_ms()
        if isinstance(verdict, Delivered):
            outbox.delivered(delivery.id)
            self._count("delivered")
            return
        result, reason = "refused", verdict.reason
        if isinstance(verdict, Later):
            if verdict.wait_seconds:  # it is the receiver that asks, not this message
                until_ms = now_ms + math.ceil(verdict.wait_seconds * 1000)
                outbox.be_silent(self._name, until_ms)
            if now_ms - delivery.made_ms < self._give_up_ms:
                result = "put_off"
                pause_ms = math.ceil(self._pause(delivery.attempts) * 1000)
                outbox.put_off(delivery.id, reason, now_ms + pause_ms)
            else:
                result, reason = "given_up", f"given up, last: {reason}"
        if result != "put_off":
            outbox.give_up(delivery.id, reason)
        self._count(result)
        log.warning(
            "alerts_not_taken",
            receiver=self._name,
            delivery=delivery.id,
            alerts=len(delivery.alerts),
            result=result,
            reason=reason,
        )

    def _pause(self, attempts: int) -> float:
        """Draw a pause (full jitter), from twice as long an interval after each sending."""
        most = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 16))
        return self._chance() * most

    def _count(self, result: str) -> None:
        metrics.ALERT_SENDINGS.labels(kind=self._receiver.kind.value, result=result).inc()


def words_of(settings: Settings, receiver: Receiver) -> Words:
    """Choose the words for a receiver."""
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    offset = settings.day_begins_utc_offset_minutes
    return Words(receiver.language, f"{base.rstrip('/')}/board", offset)


def spacing_of(receiver: Receiver) -> int:
    """Return the ms between two sendings that keep any minute at the receiver within its limit.

    What is answered within the time-out arrives up to so much later than another: within any
    minute there arrives only what was sent in that minute and the time-out before it.
    """
    return math.ceil((60 + TIMEOUT_SECONDS) * 1000 / (receiver.per_minute - 1))


def client_for(receiver: Receiver) -> httpx.AsyncClient:
    """Make the client that speaks to a receiver."""
    # A proxy is the way out of a company's network, and never to this machine.
    proxied = not is_loopback(urlsplit(receiver.url).hostname or "")
    headers = {"content-type": "application/json", "user-agent": "holdfast"}
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=proxied, headers=headers)


async def send(http: httpx.AsyncClient, parcel: Parcel) -> Verdict:
    """Send a body once, and say what became of it."""
    dialect = DIALECTS[parcel.receiver.kind]
    request = dialect.request(parcel)
    found = b""
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            http.stream(
                "POST", request.url, content=request.body, headers=request.headers
            ) as answer,
        ):
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > MOST_ANSWER_BYTES:
                    break
    except TimeoutError:
        return Later(f"no answer within {TIMEOUT_SECONDS:g} s: it may have it")
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # their texts may hold the address
        return Later(f"no answer ({type(error).__name__})")
    return dialect.judge(answer.status_code, answer.headers, found)
