"""What both clients share: options and patience, requests for httpx, its errors as silence."""

from __future__ import annotations

import copy
import ssl
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote_from_bytes

import httpx
from msgspec import Struct

from reservation.client.answers import Reply
from reservation.client.conversation import Conversation, Retry, Send, Silence, converse
from reservation.client.errors import Problem, RequestTooLarge
from reservation.client.following import PATH, SILENT_SECONDS
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from reservation.client.calls import Call
    from reservation.client.following import Following

T = TypeVar("T")

# The service closes a connection that idles for 15 s: ours must go first, or a request meets the
# closing one.
KEEP_ALIVE_SECONDS: Final = 5.0
MAX_CONNECTIONS: Final = 100
CONNECT_SECONDS: Final = 5.0  # for a stream; a call has its deadline
# httpx's own timeouts say more (whether there was a connection at all): they come first.
OWN_TIMEOUT_MARGIN_SECONDS: Final = 0.1
# Nothing was sent yet when these are raised.
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Options(Struct, frozen=True, kw_only=True):
    """What may differ from call to call; None stands for the call's own deadline, or a new id."""

    deadline_seconds: float | None = None
    request_id: str | None = None
    traceparent: str | None = None

    def merged(
        self, deadline_seconds: float | None, request_id: str | None, traceparent: str | None
    ) -> Options:
        """Replace what is given. Raises ConfigurationError for what no header can carry."""
        for name, value in (("request_id", request_id), ("traceparent", traceparent)):
            if value is not None and not _is_token(value):
                raise ConfigurationError(
                    f"{name} {value!r}: printable ASCII without blanks, please"
                )
        return Options(
            deadline_seconds=self.deadline_seconds
            if deadline_seconds is None
            else deadline_seconds,
            request_id=self.request_id if request_id is None else request_id,
            traceparent=self.traceparent if traceparent is None else traceparent,
        )


class Speaker:
    """What a client is besides its connections: options, patience, a clock."""

    def __init__(
        self, base_url: str, options: Options, retry: Retry | None, clock: Callable[[], float]
    ) -> None:
        self._base_url = base_url
        self._options = options
        self._retry = retry or Retry()
        self._clock = clock

    def __repr__(self) -> str:
        """Name the service, never the key."""
        return f"{type(self).__name__}({self._base_url!r})"

    def with_options(
        self,
        *,
        deadline_seconds: float | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> Self:
        """Return a view with these options on the same connections; None keeps what was set.

        `client.with_options(deadline_seconds=2).reserve(…)` gives one call two seconds. A
        `request_id` stands in the service's log and events; without one each call makes its own.
        """
        view = copy.copy(self)
        view._options = self._options.merged(  # noqa: SLF001 (a view is one of us)
            deadline_seconds, request_id, traceparent
        )
        return view

    def _converse(self, call: Call[T]) -> Conversation[T]:
        """Begin a conversation; all its sendings share one request id."""
        return converse(
            call,
            retry=self._retry,
            deadline_seconds=self._options.deadline_seconds,
            clock=self._clock,
            request_id=self._options.request_id or uuid.uuid4().hex,
        )


def address(text: str) -> httpx.URL:
    """Read where a service is. Raises ConfigurationError where it is no http address."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{text!r} is no address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or url.port == 0:
        raise ConfigurationError(f"{text!r} is no address; give one like http://127.0.0.1:8000")
    return url


def arguments(
    base_url: str, key: str, *, verify: ssl.SSLContext | bool, max_connections: int
) -> dict[str, Any]:
    """Name the arguments of httpx's clients.

    Raises ConfigurationError where the address or the key cannot be one.
    """
    url = address(base_url)
    if not _is_token(key):
        raise ConfigurationError("a key is made of printable ASCII characters; this one is not")
    return {
        "base_url": url,
        "headers": {"authorization": f"Bearer {key}", "user-agent": "holdfast-client"},
        "verify": verify,
        # A proxy or a .netrc of the environment would be told the key, or replace it.
        "trust_env": False,
        "limits": httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        ),
    }


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def request_of(
    call: Call[Any],
    client: httpx.Client | httpx.AsyncClient,
    options: Options,
    step: Send,
) -> httpx.Request:
    """Write one sending of a call.

    Raises RequestTooLarge, as the service would, where its address is longer than httpx takes.
    """
    headers = {
        "accept": "application/json, application/problem+json",
        "x-request-id": step.request_id,
    }
    if call.body is not None:
        headers["content-type"] = call.content_type
    if options.traceparent is not None:
        headers["traceparent"] = options.traceparent
    try:
        return client.build_request(
            call.method,
            _target(call),
            content=call.body,
            headers=headers,
            timeout=step.timeout_seconds,
        )
    except httpx.InvalidURL as error:
        problem = Problem(
            slug=RequestTooLarge.slug,
            status=httpx.codes.REQUEST_ENTITY_TOO_LARGE,
            detail=f"The address of the request cannot be sent ({error}): ask for less at once.",
            request_id=step.request_id,
        )
        raise RequestTooLarge(problem) from error


def stream_of(
    client: httpx.Client | httpx.AsyncClient, options: Options, following: Following
) -> httpx.Request:
    """Write the request for the next connection of a follower."""
    headers = {"x-request-id": options.request_id or uuid.uuid4().hex, **following.headers()}
    headers["connection"] = "close"  # no one else's afterwards: `close` may shut it down
    patience = httpx.Timeout(CONNECT_SECONDS, read=SILENT_SECONDS)
    return client.build_request("GET", PATH, headers=headers, timeout=patience)


def _target(call: Call[Any]) -> str:
    """Write path and query; a SKU that UTF-8 cannot carry goes as it is, for the service to judge.

    httpx would raise over it.
    """
    query = "&".join(
        f"{name}={quote_from_bytes(value.encode('utf-8', 'surrogatepass'), safe='')}"
        for name, value in call.query
    )
    return f"{call.path}?{query}" if query else call.path


def reply_of(response: httpx.Response) -> Reply:
    """Take what the conversation needs from an answer."""
    return Reply(status=response.status_code, headers=dict(response.headers), body=response.content)


def silence_of(error: httpx.RequestError | TimeoutError, base_url: str) -> Silence:
    """Say what went wrong on the way, and whether the service may have seen the request."""
    reason = str(error) or type(error).__name__
    return Silence(
        f"{base_url} gives no answer: {reason}", not isinstance(error, _BEFORE_SENDING), error
    )
