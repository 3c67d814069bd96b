"""One call to a partner over HTTP: bounded in time and size.

What goes wrong is a PartnerFault that says whether the same call may be made again.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import certifi
from yarl import URL

from partners.errors import PartnerFault
from partners.model import Request, Response
from reservation.receivers import is_loopback

TIMEOUT_SECONDS: Final = 10.0  # for an answer; platforms give up on themselves before
MOST_ANSWER_BYTES: Final = 8 << 20  # a page of a hundred orders has less than a tenth of it
# Of a connection that nobody uses. Many servers close theirs after 5: a call that meets that is one
# of which nobody knows whether it was taken.
IDLE_SECONDS: Final = 4.0
_HEADERS: Final = {"user-agent": "holdfast"}


class Connection:
    """The way to one partner, whose calls go to the host of `url`."""

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        # A proxy is the way out of a company's network, and never to this machine.
        self._proxied = not is_loopback(urlsplit(url).hostname or "")
        self._trusted = _trusted()
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                # How many there are at a time is their callers' matter.
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=IDLE_SECONDS, ssl=self._trusted
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # ours is of a whole call
                trust_env=self._proxied,
                headers=_HEADERS,
                skip_auto_headers=("content-type",),
            )
        return self._http

    async def send(self, request: Request) -> Response:
        """Make a call, once; any status is an answer. Raises PartnerFault where there is none."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._session().request(
                    request.method,
                    URL(request.url, encoded=request.url.isascii()),  # as it was signed
                    data=request.body or None,
                    headers=_plain(request.headers),
                    allow_redirects=False,
                ) as answer,
            ):
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > MOST_ANSWER_BYTES:
                        told = "its answer has no end"
                        raise PartnerFault("too-large", told, again=False, unknown=True)
        except TimeoutError as error:
            told = f"no answer within {self._timeout_seconds:g} s"
            raise PartnerFault("timeout", told, again=True, unknown=True) from error
        except aiohttp.ClientConnectorError as error:
            raise PartnerFault("unreachable", type(error).__name__, again=True) from error
        except ValueError as error:
            # It stands in the url or a header, where it cannot: nothing has left.
            told = f"{type(error).__name__}: {error}"
            raise PartnerFault("unsendable", told, again=False) from error
        except aiohttp.ClientError as error:
            raise PartnerFault("lost", type(error).__name__, again=True, unknown=True) from error
        headers = {name.lower(): text for name, text in answer.headers.items()}
        return Response(answer.status, bytes(body), headers)


def _plain(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Raise ValueError for what no server reads as it was meant."""
    for text in headers.values():
        text.encode("ascii")
    return headers


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Trust what this machine trusts, and the web's authorities where it trusts none.

    Once a process: it takes longer than many a call.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
