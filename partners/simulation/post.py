"""The post: carries what a simulated partner writes to us, and what is said to it there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. Names of headers are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Post:
    """Sends by POST, from a running event loop on; a redirection is not followed."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None

    async def send(
        self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float
    ) -> Said | None:
        """Send once; None where nobody answers within a time, or the address is none."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("content-type",),
            )
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.post(
                    URL(url, encoded=url.isascii()),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                said = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        names = {name.lower(): text for name, text in answer.headers.items()}
        return Said(answer.status, said, names)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None
