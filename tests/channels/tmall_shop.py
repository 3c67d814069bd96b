"""A shop at Tmall: its account, and what its requests say."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from channels import top
from channels.adapter import Account, At
from channels.model import Listing
from channels.tmall import Tmall
from partners.model import Push, Request, Response
from partners.taobao import callback_sign, text_of_time
from tests.channels.tmall_golden import answering

ACCOUNT = Account(
    channel="tmall", url="https://gw", app_key="12345678", secrets=("helloworld", "older")
)
NOW_MS = int(datetime(2016, 1, 1, 4, tzinfo=UTC).timestamp()) * 1000  # noon in Shanghai
AT = At(NOW_MS, "the-session")
ITEM = Listing(sku="A", item_id="11223344")
SKU = Listing(sku="B", item_id="11223344", platform_sku_id="4120248730389")


def adapter(**options: str) -> Tmall:
    return Tmall(Account(**{**fields(ACCOUNT), "options": options}))


def fields(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in Account.__dataclass_fields__}


TMALL = adapter()
COMMON = {
    "app_key": "12345678",
    "session": "the-session",
    "timestamp": "2016-01-01 12:00:00",
    "v": "2.0",
    "sign_method": "hmac-sha256",
    "format": "json",
}


def sent(request: Request) -> dict[str, str]:
    """Return a request's parameters, having checked its form and its signature."""
    assert (request.method, request.url) == ("POST", "https://gw/router/rest")
    params = dict(parse_qsl(request.body.decode(), strict_parsing=True))
    assert params.pop("sign") == top.sign(params, ACCOUNT.secrets[0])
    return params


def business(request: Request) -> dict[str, str]:
    """Return what a request has beyond what every one has."""
    params = sent(request)
    assert {name: params.pop(name) for name in COMMON} == COMMON
    return params


def changed(**inner: object) -> Response:
    return answering({"trades_sold_increment_get_response": inner})


def pushed(
    body: bytes = b'{"tid":"1011032513941101327"}',
    secret: str = ACCOUNT.secrets[0],
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
    **query: str | None,
) -> Push:
    """Return a call-back, signed."""
    params = {"app_key": "12345678", "method": "demo.order.push", "sign_method": "md5", "v": "2.0"}
    params["timestamp"] = text_of_time(NOW_MS)
    params = {name: value for name, value in (params | query).items() if value is not None}
    body = body if form is None else b""
    pairs = [(name.encode(), value.encode()) for name, value in (params | (form or {})).items()]
    sign = callback_sign(pairs, body, secret)
    encoded = urlencode([*params.items(), ("sign", sign)])
    return Push(body if form is None else urlencode(form).encode(), headers or {}, encoded)
