"""What a request of ours is held to before the dealer looks at it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from channels.simulator.dealer.account import Account, Settings
from channels.simulator.dealer.signing import is_fresh, is_signed
from channels.simulator.platform import ShopWorld
from partners.simulation.faults import CallFault
from partners.simulation.simulator import Cut

MOST_BYTES: Final = 1_048_576

_FAULT: Final[dict[CallFault, int]] = {
    CallFault.ERROR: 500,
    CallFault.THROTTLED: 429,
    CallFault.TIMED_OUT: 504,
}


class NotTaken(Exception):
    """A request is not taken: this is its answer."""

    def __init__(self, answer: Response | Cut) -> None:
        super().__init__()
        self.answer = answer


class Gate:
    """Checks signatures, and answers as the settings and the faults have it."""

    def __init__(self, world: ShopWorld, account: Account, settings: Settings) -> None:
        self.counts: Counter[str] = Counter()
        self._world, self._account, self._settings = world, account, settings

    async def open(self, request: Request) -> tuple[str, bytes]:
        """Give a request's id and body. Raises NotTaken."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise NotTaken(self.say(413, "too large"))
        headers = request.headers
        message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        given = headers.get("webhook-signature", "")
        if not message_id or not timestamp or not given:
            raise NotTaken(self.say(401, "unsigned"))
        if not is_signed(self._account.receiving, message_id, timestamp, bytes(body), given):
            raise NotTaken(self.say(401, "forged"))
        if not is_fresh(timestamp, self._world.clock.now_ms()):
            raise NotTaken(self.say(401, "stale"))
        return message_id, bytes(body)

    def fault(self) -> CallFault | None:
        """Draw what befalls a request that is right. Raises NotTaken where it is not done."""
        if not 200 <= self._settings.answer < 300:
            raise NotTaken(self.say(self._settings.answer, "refused"))
        fault = self._world.faults.call()
        if fault is not None and not fault.takes_effect:
            raise NotTaken(self.say_fault(fault))
        return fault

    def say_fault(self, fault: CallFault) -> Response | Cut:
        """Answer with a fault."""
        if fault not in _FAULT:
            self.counts[fault.value] += 1
            return Cut()
        return self.say(_FAULT[fault], fault.value)

    def say(self, status: int, what: str) -> Response:
        """Answer with a status, and count it under a word."""
        self.counts[what] += 1
        after = self._settings.retry_after
        headers = {} if after is None else {"retry-after": str(after)}
        return Response(status_code=status, headers=headers)
