"""What every call from and to Taobao's open platform (TOP) has: signature, money, errors.

Source: developer.alibaba.com/docs/doc.htm?articleId=101617 (calls), com.taobao.api.internal.spi
.SpiUtils of the official Java SDK (call-backs), articleId=101645 (errors).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote_plus

import msgspec

from channels.errors import TokenRefused
from partners.errors import Forged, Malformed, PartnerFault
from partners.model import Request
from partners.taobao import bytes_of, callback_sign, decoded, md5, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from partners.model import Push, Response

MAX_CALLBACK_BYTES: Final = 1 << 20  # a call-back speaks of one order
MAX_QUERY_BYTES: Final = 16 << 10
MAX_CALLBACK_PARAMS: Final = 256  # each is decoded and sorted before we know who has sent it
_MAX_WORD: Final = 200  # characters of a platform's text that go into an error of ours

Shape = TypeVar("Shape")

# -- money -----------------------------------------------------------------------------------------

_YUAN: Final = re.compile(r"\d{1,12}(?:\.\d{1,2})?", re.ASCII)


def fen_of_yuan(text: str) -> int:
    """Read an amount like "15.70" as fen, without a float in between. Raises ValueError."""
    if _YUAN.fullmatch(text) is None:
        raise ValueError(f"no amount of yuan: {text[:_MAX_WORD]!r}")
    return int(Decimal(text) * 100)


_FORM: Final = "application/x-www-form-urlencoded"

# -- our calls -----------------------------------------------------------------------------------


_SIGNERS: Final[Mapping[str, Callable[[bytes, bytes], str]]] = {
    "md5": md5,
    "hmac": lambda secret, text: hmac.digest(secret, text, "md5").hex(),
    "hmac-sha256": lambda secret, text: hmac.digest(secret, text, "sha256").hex(),
}
SIGN_METHODS: Final = frozenset(_SIGNERS)


def sign(params: Mapping[str, str], secret: str) -> str:
    """Sign a call over its parameters as they are before they are encoded for the wire.

    How is said by `sign_method` among them. Those without a value are not signed; TOP's own
    clients do not send them either.
    """
    text = "".join(f"{name}{params[name]}" for name in sorted(params) if name and params[name])
    signer = _SIGNERS[params["sign_method"]]
    return signer(secret.encode(), text.encode()).upper()


def call(url: str, params: Mapping[str, str], secret: str) -> Request:
    """Write a signed call of `router/rest`. What is in it, the secret session too, is in the body.

    Parameters without a value are left out.
    """
    sent = {name: value for name, value in params.items() if name and value}
    sent["sign"] = sign(sent, secret)
    return Request(
        method="POST",
        url=f"{url}/router/rest",
        body="&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in sent.items()).encode(),
        headers={"content-type": f"{_FORM};charset=utf-8"},
    )


@lru_cache(256)
def _quoted(text: str) -> str:
    """Encode a name or a value for a form; most are the same in each call."""
    return quote_plus(text)


# -- calls of the platform to us -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Callback:
    """A call of the platform's that one of our secrets has signed."""

    sign: str
    params: Mapping[bytes, bytes]  # of the query, the signed headers and a form
    body: bytes  # b"" of a form


def verified(push: Push, secrets: Sequence[str]) -> Callback:
    """Hold a call-back against our secrets, over its bytes as they came, in constant time.

    Signed are, by name: the headers that `top-sign-list` names, the query but for `sign`, the
    members of a form; then the body, where it is no form. All but the body are taken decoded, as
    bytes: whatever alphabet they are written in. The platform's own checker signs parameters
    without a value with their names, some senders skip them: both are right.

    Raises Forged, and Malformed where it is too big to be looked at.
    """
    is_form = push.headers.get("content-type", "").lower().startswith(_FORM)
    params_at_most = 2 + push.query.count("&") + push.headers.get("top-sign-list", "").count(",")
    params_at_most += push.body.count(b"&") if is_form else 0
    if (
        len(push.body) > MAX_CALLBACK_BYTES
        or len(push.query) > MAX_QUERY_BYTES
        or params_at_most > MAX_CALLBACK_PARAMS
    ):
        raise Malformed(f"{len(push.query)} + {len(push.body)} bytes, {params_at_most} parameters")
    query = dict(pairs(bytes_of(push.query)))
    params = dict(pairs(push.body)) if is_form else {}
    params |= dict(_signed_headers(push.headers)) | query
    body = b"" if is_form else push.body
    given = query.get(b"sign", b"")
    params.pop(b"sign", None)
    # All are tried, always: how long it takes tells nothing of which one it was.
    signs = [sign for secret in secrets for sign in _callback_signs(params, body, secret)]
    matches = [hmac.compare_digest(sign.encode(), given) for sign in signs]
    if not any(matches):
        raise Forged("no secret of ours has signed this")
    return Callback(given.decode(), params, body)


def _callback_signs(params: Mapping[bytes, bytes], body: bytes, secret: str) -> Iterator[str]:
    yield callback_sign(params.items(), body, secret)
    yield callback_sign([(name, value) for name, value in params.items() if value], body, secret)


def _signed_headers(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    names = headers.get("top-sign-list", "")
    if not names:
        return
    for name in names.split(","):
        yield bytes_of(name), decoded(bytes_of(headers.get(name.lower(), "")))


# -- answers to us -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What follows from an error."""

    again: bool = True
    after_seconds: float | None = None
    unknown: bool = False
    of: type[PartnerFault] = PartnerFault


_LIMITED: Final = _Verdict()  # nothing was done, and it says for how long it will not be
_REFUSED: Final = _Verdict(again=False)
_PLATFORM: Final = _Verdict(unknown=True)
_TOKEN: Final = _Verdict(of=TokenRefused)

# Sub codes that say more than how they begin. Source: stored files 7106221633 (the 3 minutes
# stand in its text), 849022160 and 23053236430 (B150: "发货异常，请稍等后重试").
_BY_SUB_CODE: Final[Mapping[str, _Verdict]] = {
    "isp.call-limited": _LIMITED,
    "isv.trade-service-rejection": _Verdict(after_seconds=180.0),
    "isv.logistics-offline-service-error:B150": _Verdict(unknown=True),
}
# Source: articleId=101645; the list of codes below 100 (miaokee.com/2464230.html).
_BY_CODE: Final[Mapping[str, _Verdict]] = {
    "4": _LIMITED,  # User Call Limited
    "5": _LIMITED,  # Session Call Limited
    "6": _LIMITED,  # Partner Call Limited
    "7": _LIMITED,  # App Call Limited
    "8": _LIMITED,  # App Call Exceeds Limited Frequency
    "10": _PLATFORM,  # Service Currently Unavailable
    "26": _TOKEN,  # Missing Session
    "27": _TOKEN,  # Invalid Session
}
_BY_PREFIX: Final[Mapping[str, _Verdict]] = {
    "accesscontrol": _LIMITED,  # accesscontrol.limited-by-api-access-count and its like
    "isp": _PLATFORM,  # the platform's fault
    "isv": _REFUSED,  # ours
}
_BAN: Final = re.compile(r"ban will last for (\d{1,9}) more seconds", re.ASCII)
_HTTP_AGAIN: Final = frozenset({408, 425, 429, *range(500, 600)})


class _Problem(msgspec.Struct):
    code: int | str | None = None
    msg: str | None = None
    sub_code: str | None = None
    sub_msg: str | None = None


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PROBLEM: Final = msgspec.json.Decoder(_Problem)


def members_of(response: Response) -> dict[str, msgspec.Raw]:
    """Read the outermost members of an answer. Raises PartnerFault where it is an error."""
    members: dict[str, msgspec.Raw] = {}
    broken = False
    try:
        members = _MEMBERS.decode(response.body)
    except (ValueError, RecursionError):
        broken = True
    if "error_response" in members:
        raise _fault_of(read(members["error_response"], _PROBLEM))
    if response.status != 200:
        again = response.status in _HTTP_AGAIN
        raise PartnerFault(f"http-{response.status}", "", again=again, unknown=again)
    if broken:
        text = f"{len(response.body)} bytes that are no JSON object"
        raise PartnerFault("no-json", text, again=True, unknown=True)
    return members


def read(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Shape]) -> Shape:
    """Read a member. Raises PartnerFault where it is not of its shape: asking again is no use."""
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError) as wrong:
        raise unreadable(wrong) from wrong


def unreadable(why: Any) -> PartnerFault:
    """Say that an answer is not what the platform is known to give."""
    return PartnerFault("unreadable", str(why)[:_MAX_WORD], again=False, unknown=True)


def _fault_of(problem: _Problem) -> PartnerFault:
    code = str(problem.code or "")[:_MAX_WORD]
    sub_code = (problem.sub_code or "")[:_MAX_WORD]
    text = (problem.sub_msg or problem.msg or "")[:_MAX_WORD]
    verdict = (
        _BY_SUB_CODE.get(sub_code)
        or _BY_CODE.get(code)
        or _BY_PREFIX.get(sub_code.partition(".")[0])
        or _REFUSED
    )
    ban = _BAN.search(text)
    return verdict.of(
        sub_code or code,
        text,
        again=verdict.again,
        after_seconds=float(ban[1]) if ban else verdict.after_seconds,
        unknown=verdict.unknown,
    )
