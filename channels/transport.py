"""Calls to one platform: paced, and opened by its token.

What goes wrong is a PartnerFault that says whether the same call may be made again. So is a bug of
an adapter: it is told loudly, and stands in the way of its own call alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from channels.adapter import At
from channels.errors import TokenRefused
from channels.model import Token
from channels.tokens import Unkept
from partners.connection import Connection
from partners.errors import PartnerFault, UnknownWord
from partners.lane import Lane
from partners.model import Response
from reservation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.adapter import Adapter
    from channels.tokens import TokenFile
    from partners.model import Request

T = TypeVar("T")

log = structlog.get_logger(__name__)

RENEW_MS: Final = 600_000  # before a token ends
SIGNED_ANEW_MS: Final = 1_000  # after a call was signed that waits for its turn: they count seconds


class Platform:
    """One channel's platform. `now_ms` is the wall clock that its signatures carry.

    `kept` is where its token outlives the process, and is shared with others.
    """

    def __init__(
        self,
        adapter: Adapter,
        token: str = "",
        *,
        calls_per_second: float | None = None,
        kept: TokenFile | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.adapter = adapter
        self._now_ms = now_ms
        self._token = Token(token, 0)
        self._refused = ""  # the last token that the platform took no more
        self._kept = kept or Unkept()
        self._renewing = asyncio.Lock()
        self.calls_per_second = calls_per_second or adapter.calls_per_second
        self._lanes: dict[str, Lane] = {}
        self._quiet_until = 0.0
        self._connection = Connection(adapter.account.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def ask(
        self,
        write: Callable[[At], Request | None],
        read: Callable[[Response], T],
        *,
        lane: str = "in",
        urgent: bool = False,
    ) -> T | None:
        """Make the call that `write` writes for this moment, at the platform's pace.

        Each lane has that pace to itself: what must not wait behind many others has its own. In
        a lane the `urgent` go first.

        Returns what `read` reads of the answer, None where there is no such call. A token that the
        platform takes no more is renewed, once. Raises PartnerFault and UnknownWord.
        """
        channel = self.adapter.account.channel
        try:
            return await self._with_token(write, read, lane, urgent=urgent)
        except PartnerFault as fault:
            metrics.CHANNEL_FAULTS.labels(channel=channel, again=str(fault.again).lower()).inc()
            raise
        except UnknownWord:
            raise
        except Exception as bug:
            metrics.CHANNEL_BUGS.labels(channel=channel).inc()
            log.exception("channel_bug", channel=channel, lane=lane)
            told = f"{type(bug).__name__}: {bug}"
            raise PartnerFault("bug", told, again=False, unknown=True) from bug

    async def _with_token(
        self,
        write: Callable[[At], Request | None],
        read: Callable[[Response], T],
        lane: str,
        *,
        urgent: bool,
    ) -> T | None:
        await self._at()  # a kept token may be one that the platform takes no more
        token = self._token
        try:
            return await self._once(write, read, lane, urgent=urgent)
        except TokenRefused:
            if self._token is token:
                self._refused, self._token = token.value, Token("", 0, token.refresh)
            if self.adapter.token(self._token.refresh, At(self._now_ms())) is None:
                self._token = token
                raise
        return await self._once(write, read, lane, urgent=urgent)

    async def _once(
        self,
        write: Callable[[At], Request | None],
        read: Callable[[Response], T],
        lane: str,
        *,
        urgent: bool,
    ) -> T | None:
        at = await self._at()
        request = write(at)
        if request is None:
            return None
        waited = await self._lane(lane).turn(urgent=urgent)
        if waited and self._now_ms() - at.now_ms >= SIGNED_ANEW_MS:
            # It is signed with the time at which it leaves, not at which it was thought of.
            request = write(await self._at()) or request
        return read(await self._connection.send(request))

    def be_quiet(self, seconds: float) -> None:
        """Make no call for a while: the platform asked for it."""
        quiet_until = asyncio.get_running_loop().time() + seconds
        self._quiet_until = max(self._quiet_until, quiet_until)
        for lane in self._lanes.values():
            lane.close_until(self._quiet_until)

    def quiet_seconds(self) -> float:
        """Say for how long it shall have no call."""
        return max(0.0, self._quiet_until - asyncio.get_running_loop().time())

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = Lane(self.calls_per_second)
            self._lanes[name].close_until(self._quiet_until)
        return self._lanes[name]

    async def _at(self) -> At:
        now_ms = self._now_ms()
        if _is_old(self._token, now_ms):
            async with self._renewing:
                if _is_old(self._token, now_ms):
                    await self._renew(now_ms)
        return At(now_ms, self._token.value)

    async def _renew(self, now_ms: int) -> None:
        if self.adapter.token(self._token.refresh, At(now_ms, self._token.value)) is None:
            # The account's own is all there is, and has no end that we know.
            self._token = Token(self._token.value, 1 << 62)
            return
        async with self._kept.turn():
            kept = await self._kept.read() or self._token
            if _is_old(kept, now_ms) or kept.value == self._refused:
                kept = await self._renewed(kept.refresh, now_ms)
                await self._kept.keep(kept)
            self._token = kept

    async def _renewed(self, refresh: str, now_ms: int) -> Token:
        try:
            return await self._asked_for(refresh, now_ms)
        except PartnerFault as fault:
            if fault.again or not refresh:
                raise
            # What refreshes has run out, or was taken back: begin as the first time.
            return await self._asked_for("", now_ms)

    async def _asked_for(self, refresh: str, now_ms: int) -> Token:
        request = self.adapter.token(refresh, At(now_ms, self._token.value))
        if request is None:
            raise TokenRefused("no-token", "there is none to be had", again=False)
        await self._lane("token").turn()
        return self.adapter.read_token(await self._connection.send(request), now_ms)


def _is_old(token: Token, now_ms: int) -> bool:
    return now_ms >= token.expires_at_ms - RENEW_MS
