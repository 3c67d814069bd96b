"""A Qimen warehouse for tests: an account, orders, and what it sends, signed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from lxml import etree

from partners.model import Push, Request, Response
from partners.taobao import callback_sign, text_of_time
from wms_sync.connector import Account
from wms_sync.model import DeliveryLine, DeliveryOrder, Dispatch, Receiver
from wms_sync.qimen import Qimen
from wms_sync.rules.priority import Lane

GOLDEN = Path(__file__).parent / "golden" / "qimen"
NOW_MS = 1_769_047_200_000  # 2026-01-22 10:00:00 in Shanghai
SECRET = "s3cret"
OPTIONS = {
    "customer_id": "c1470792410866",
    "sender_name": "仓管",
    "sender_mobile": "13900000000",
    "sender_province": "浙江省",
    "sender_city": "杭州市",
    "sender_address": "余杭区 1 号",
}


def qimen(*, code: str = "W01", secrets: tuple[str, ...] = (SECRET,), **options: str) -> Qimen:
    """Make a connector; an option with an empty text is left out, `__` stands for a dot."""
    merged = OPTIONS | {name.replace("__", "."): text for name, text in options.items()}
    return Qimen(
        Account(
            warehouse="main",
            code=code,
            url="http://127.0.0.1:9/router/qimen/service",
            owner="OWN",
            app_key="12345678",
            secrets=secrets,
            options={name: text for name, text in merged.items() if text},
        )
    )


HOUSE = qimen()


def receiver(**changes: str) -> Receiver:
    """Make somebody who gets a parcel."""
    person = {
        "name": "张三",
        "mobile": "13800000000",
        "province": "上海",
        "city": "上海市",
        "area": "浦东新区",
        "detail_address": "世纪大道 1 号",
    }
    return Receiver(**person | changes)


def order(
    code: str = "tmall:2601220001@main",
    *lines: tuple[str, int],
    to: Receiver | None = None,
    **changes,
) -> DeliveryOrder:
    """Make an order: of two CATFOOD at 15.70 where nothing else is said."""
    dispatch = {
        "lane": Lane.NORMAL,
        "ship_by_ms": NOW_MS + 86_400_000,
        "placed_ms": NOW_MS - 120_000,
        "paid_ms": NOW_MS - 60_000,
        "platform": "tmall",
        "shop": "旗舰店",
        "receiver": to or receiver(),
    }
    return DeliveryOrder(
        code=code,
        created_ms=NOW_MS - 30_000,
        lines=tuple(
            DeliveryLine(line_no=number, sku=sku, quantity=quantity, price_fen=1570)
            for number, (sku, quantity) in enumerate(lines or [("CATFOOD", 2)], 1)
        ),
        dispatch=Dispatch(**dispatch | changes),
    )


def params(request: Request) -> dict[str, str]:
    """Read the query of a call of ours."""
    return dict(parse_qsl(urlsplit(request.url).query, strict_parsing=True))


def root(request: Request) -> etree._Element:
    """Read the body of a call of ours."""
    return etree.fromstring(request.body)


def texts(element: etree._Element | None) -> dict[str, str]:
    """Return the fields of an element."""
    assert element is not None
    return {field.tag: field.text or "" for field in element if not len(field)}


def pushed(
    body: str | bytes, method: str, *, at_ms: int = NOW_MS, secret: str = SECRET, **query: str
) -> Push:
    """Sign a call of the warehouse's."""
    raw = body if isinstance(body, bytes) else body.encode()
    named = {
        "method": method,
        "timestamp": text_of_time(at_ms),
        "format": "xml",
        "app_key": "12345678",
        "v": "2.0",
        "sign_method": "md5",
        "customerId": OPTIONS["customer_id"],
    } | query
    pairs = [(name.encode(), value.encode()) for name, value in named.items() if value]
    named["sign"] = callback_sign(pairs, raw, secret)
    return Push(raw, {"content-type": "text/xml"}, urlencode(named, quote_via=quote))


def reports(inner: str, method: str, house: Qimen = HOUSE) -> list:
    """Read what the warehouse reports."""
    return list(house.read_reports(pushed(f"<request>{inner}</request>", method), NOW_MS))


def fields(**texts: str) -> str:
    """Write fields."""
    return "".join(f"<{name}>{text}</{name}>" for name, text in texts.items())


def item(tag: str = "item", **texts: str) -> str:
    """Write a row of a list."""
    return f"<{tag}>{fields(**texts)}</{tag}>"


def answered(inner: str = "", *, flag: str = "success", code: str = "0", message: str = ""):
    """Answer a call of ours."""
    return Response(
        200,
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<response><flag>{flag}</flag><code>{code}</code><message>{message}</message>"
        f"{inner}</response>".encode(),
    )


def failed(code: str = "S001", message: str = "失败", inner: str = "") -> Response:
    """Answer with a failure."""
    return answered(inner, flag="failure", code=code, message=message)
