"""What Taobao's open platform and the Qimen standard share: times, the md5 signature, the query.

Source: developer.alibaba.com/docs/doc.htm?articleId=101617 (calls) and 118404 (Qimen's signature),
com.taobao.api.internal.spi.SpiUtils of the official Java SDK (call-backs).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_WORD: Final = 200  # characters of a partner's text that go into an error of ours

# Naive texts mean Asia/Shanghai, which has known no summer time since 1991: no table of zones.
_SHANGHAI: Final = timezone(timedelta(hours=8))
_TIME: Final = re.compile(r"[12]\d{3}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_FIRST: Final = datetime.fromtimestamp(0, _SHANGHAI).replace(tzinfo=None)
_LAST_SECOND: Final = 253_402_271_999  # 9999-12-31 23:59:59 there: no text says a later one
MOST_TIMES: Final = 4_096  # that are remembered: lists tell those of one window again and again


def text_of_time(at_ms: int) -> str:
    """Write a time as Taobao does; what is less than a second is dropped.

    One before 1970 or after 9999 is written as the first or the last of these: never fails.
    """
    second = min(max(at_ms // 1000, 0), _LAST_SECOND)
    return (_FIRST + timedelta(seconds=second)).isoformat(" ")


@lru_cache(MOST_TIMES)
def time_of_text(text: str) -> int:
    """Read `yyyy-MM-dd HH:mm:ss` of Shanghai as ms since 1970 in UTC. Raises ValueError."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"no time: {text[:_MAX_WORD]!r}")
    moment = datetime.fromisoformat(text).replace(tzinfo=_SHANGHAI)
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def md5(secret: bytes, text: bytes) -> str:
    """Sign a text with the secret on both sides of it, in lower case."""
    return hashlib.md5(secret + text + secret).hexdigest()  # noqa: S324 (Taobao's choice)


def callback_sign(params: Iterable[tuple[bytes, bytes]], body: bytes, secret: str) -> str:
    """Sign what is pushed: its parameters by name, decoded, then the body as it is."""
    text = b"".join(name + value for name, value in sorted(params))
    return md5(secret.encode(), text + body).upper()


def pairs(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read a query, or a form, decoded: as bytes, whatever alphabet they are written in."""
    for pair in encoded.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name:
            yield decoded(name), decoded(value)


def decoded(value: bytes) -> bytes:
    """Undo the encoding of a name or a value."""
    return unquote_to_bytes(value.replace(b"+", b" "))


def bytes_of(text: str) -> bytes:
    """Take what HTTP has handed us as text back to its bytes; never fails."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
