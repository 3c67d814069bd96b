"""Qimen's wire: signatures against vectors, and XML that is read or refused and does no harm."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from partners.errors import Forged, Malformed, MessageRefused, PartnerFault, UnknownWord
from partners.model import Push, Response
from partners.taobao import callback_sign
from tests.wms_sync.qimen_house import GOLDEN, NOW_MS, order, params, qimen
from wms_sync.qimen_reports import METHODS
from wms_sync.qimen_wire import (
    MAX_PARAMS,
    MAX_QUERY_BYTES,
    MAX_TEXT,
    MAX_XML_BYTES,
    Unreadable,
    added,
    call,
    child,
    cleared,
    is_writable,
    needed,
    read_xml,
    rows,
    text_of,
    verified,
    whole,
    xml_bytes,
)

# Computed from the documented algorithm (doc 118404); the platform has published none.
QUERY = {
    "app_key": "testerp_appkey",
    "customerId": "stub-cust-code",
    "format": "xml",
    "method": "taobao.qimen.itemlack.report",
    "sign_method": "md5",
    "timestamp": "2015-04-26 00:00:07",
    "v": "2.0",
}
LACK = "E4E83589F1454C1B677DDF0B59026C6A"
VECTORS = [
    ("taobao.qimen.itemlack.report", b"body", LACK),
    ("taobao.qimen.itemlack.report", b"", "349F96AB42F33BE919D3612688085D48"),
    ("taobao.qimen.entryorder.query", b"body", "5A8DF0731F0126C88118533F2C4A98DA"),
    (
        "taobao.qimen.order.cancel",
        (GOLDEN / "cancel.xml").read_bytes(),
        "4A5482DD33811FC9F2DC4281BEE8CE33",
    ),
]


def push(query: dict[str, str], body: bytes = b"body") -> Push:
    return Push(body, {}, urlencode(query))


@pytest.mark.parametrize(("method", "body", "sign"), VECTORS)
def test_vectors(method, body, sign):
    """What was computed is taken, however a blank is encoded and in whatever order they come."""
    query = QUERY | {"method": method, "sign": sign}
    turned = dict(reversed(query.items()))
    for written in (urlencode(query), urlencode(turned, quote_via=quote)):
        called = verified(Push(body, {}, written), ["test"])
        assert (called.text("method"), called.body) == (method, body)


@pytest.mark.parametrize(("method", "body", "sign"), VECTORS[-1:])
def test_our_calls_are_signed_alike(method, body, sign):
    """A call of ours with the same parameters and the same body has the same signature."""
    document = etree.fromstring(body)
    sent = dict(reversed((QUERY | {"method": method, "extra": ""}).items()))
    request = call("http://wms/service", sent, document, "test")
    assert request.method == "POST"
    assert request.url.startswith("http://wms/service?")
    assert request.body == body
    assert params(request) == QUERY | {"method": method, "sign": sign}
    assert "+" not in request.url
    assert request.headers == {"content-type": "application/xml;charset=UTF-8"}


@pytest.mark.parametrize(
    "forged",
    [
        push(QUERY | {"sign": LACK}, b"body "),
        push(QUERY | {"sign": LACK}, b""),
        push(QUERY),
        push(QUERY | {"sign": ""}),
        push(QUERY | {"sign": LACK.lower()}),
        push(QUERY | {"sign": LACK[:-1]}),
        push(QUERY | {"sign": "猫"}),
        push(QUERY | {"sign": LACK, "extra": "1"}),
        push(QUERY | {"sign": LACK, "v": "3.0"}),
        push({name: value for name, value in QUERY.items() if name != "v"} | {"sign": LACK}),
        Push(b"body", {}, f"{urlencode(QUERY | {'sign': LACK})}&v=3.0"),
        Push(b"body", {}, "sign=猫\ud800"),
        Push(b"body", {}, ""),
    ],
)
def test_forged(forged):
    """Whatever is changed, cut, added or not signed is forged, and nothing else fails."""
    with pytest.raises(Forged):
        verified(forged, ["test"])


def test_either_secret_opens_while_they_are_rotated():
    """The old secret opens beside the new one; a third does not, and none opens nothing."""
    signed = push(QUERY | {"sign": LACK, "empty": ""})
    assert verified(signed, ["new", "test"]).params[b"v"] == b"2.0"
    for secrets in (["new", "newer"], []):
        with pytest.raises(Forged):
            verified(signed, secrets)


@pytest.mark.parametrize(
    "big",
    [
        Push(b"x" * (MAX_XML_BYTES + 1), {}, urlencode(QUERY | {"sign": LACK})),
        Push(b"", {}, "a" * (MAX_QUERY_BYTES + 1)),
        Push(b"", {}, "&" * MAX_PARAMS),
    ],
)
def test_what_is_too_big_is_not_looked_at(big):
    """It is refused before it is decoded or signed."""
    with pytest.raises(Malformed):
        verified(big, ["test"])


# -- XML -----------------------------------------------------------------------------------------

_ENTITIES = "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>"
    for before, name in zip("abcdefghijk", "bcdefghijkz", strict=True)
)
LAUGHS = f"<!DOCTYPE r [<!ENTITY a 'ha'>{_ENTITIES}]><request>&z;</request>"
XXE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><request>&x;</request>'
DECLARED = '<?xml version="1.0" encoding="{}"?><request/>'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LAUGHS, "type definition"),
        (XXE, "type definition"),
        ('<!DOCTYPE r SYSTEM "http://127.0.0.1:1/r.dtd"><request/>', "type definition"),
        ("<!DOCTYPE request><request/>", "type definition"),
        (XXE.encode("utf-16"), "UTF-16"),
        (XXE.encode("utf-16-le"), "UTF-16"),
        ("<request/>".encode("utf-32"), "UTF-16"),
        (DECLARED.format("GBK"), "encoding"),
        (DECLARED.format("UTF-7"), "encoding"),
        (DECLARED.format("utf-16"), "encoding"),
        (f"\n{DECLARED.format('UTF-7')}", "encoding"),
        (
            DECLARED.format("utf-8").replace("<request/>", "<request>仓库</request>").encode("gbk"),
            "XML",
        ),
        ("<request>&foo;</request>", "XML"),
        ("<request>\x01</request>", "XML"),
        ("<request>&#0;</request>", "XML"),
        ("<request><a></request>", "XML"),
        ("<request/><request/>", "XML"),
        ("<a>" * 300 + "</a>" * 300, "XML"),
        ("", "XML"),
        (b"\xff\xfe", "XML"),
        ("<response/>", "not request"),
        ("<x:request xmlns:x='y'/>", "not request"),
        (b"<request>" + b" " * MAX_XML_BYTES + b"</request>", "bytes"),
    ],
)
def test_xml_that_bites_is_refused(body, said):
    """Entities, definitions, other encodings, oversize: each is refused, and says why."""
    with pytest.raises(Unreadable, match=said):
        read_xml(body if isinstance(body, bytes) else body.encode(), "request")


def test_a_file_is_never_read(tmp_path):
    """Were entities resolved, this would tell what stands in a file of ours."""
    secret = tmp_path / "secret"
    secret.write_text("tell-me")
    body = f"<!DOCTYPE r [<!ENTITY x SYSTEM '{secret.as_uri()}'>]><request><a>&x;</a></request>"
    with pytest.raises(Unreadable):
        read_xml(body.encode(), "request")


@pytest.mark.parametrize(
    "body",
    [
        DECLARED.format("utf-8"),
        DECLARED.format("UTF8"),
        "\ufeff<request/>",
        "<?xml version='1.0'?>\n<!-- of a warehouse --><request><?a b?></request>",
    ],
)
def test_harmless_xml_is_read(body):
    """With a declaration or without, a mark before it, comments in it."""
    document = read_xml(body.encode(), "request")
    assert (document.tag, len(document)) == ("request", 0)


def test_fields():
    """Blanks around a text go, comments too; what stands there twice or holds more is refused."""
    document = read_xml(
        "<r><a> 猫<!-- x -->粮\n</a><b><![CDATA[<&>]]></b><c/>"
        "<d>1</d><d>2</d><e>x<f/></e></r>".encode(),
        "r",
    )
    assert [text_of(document, name) for name in "abcz"] == ["猫粮", "<&>", "", ""]
    for name in "de":
        with pytest.raises(Unreadable, match=name):
            text_of(document, name)
    for name in "cz":
        with pytest.raises(Unreadable, match="missing"):
            needed(document, name)
    with pytest.raises(Unreadable):
        child(document, "d")
    assert list(rows(document, "z", "x")) == []
    long = read_xml(f"<r><a>{'x' * (MAX_TEXT + 1)}</a></r>".encode(), "r")
    with pytest.raises(Unreadable):
        text_of(long, "a")


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2), ("-3", -3), ("+1", 1), ("2.0", 2), ("12.00", 12), ("0", 0)]
)
def test_whole_numbers(text, number):
    """Noughts behind the point are no part of a unit."""
    assert whole(text, "n") == number


@pytest.mark.parametrize(
    "text", ["", "1.5", "1e3", "0x10", "٣", "1 ", "1" * 10, "--1", "inf", "1."]
)
def test_no_whole_numbers(text):
    """Anything else is no number of units."""
    with pytest.raises(Unreadable):
        whole(text, "n")


def test_what_xml_cannot_hold():
    """A text for people loses it; a code that has it cannot be written."""
    document = etree.Element("r")
    added(document, "a", " 张\x0b三\ufffe<&>\ud800 ")
    added(document, "b", "")
    added(document, "c", 0)
    again = read_xml(xml_bytes(document), "r")
    assert [text_of(again, name) for name in "abc"] == ["张 三 <&>", "", "0"]
    assert child(again, "b") is None
    assert is_writable("猫粮 A&B")
    assert not any(map(is_writable, ["a\ufffe", "a\x01", "x" * (MAX_TEXT + 1)]))
    assert len(cleared("x" * 9_999)) == MAX_TEXT


# -- nonsense ------------------------------------------------------------------------------------

WH42 = qimen(code="WH42")
_METHODS = [*METHODS, "taobao.qimen.deliveryorder.confirm", "nothing.report"]
_PIECES = [
    b"<item/>",
    b"<itemCode>A</itemCode>",
    b"</request>",
    b"<status>CLOSED</status>",
    b"&lt;",
]
_ANSWERS = [
    f"<response><flag>{flag}</flag><code>{code}</code>{inner}</response>".encode()
    for flag in ("success", "failure", "", "<x/>")
    for code in ("0", "isp.x", "<y/>", "x" * 600)
    for inner in (
        "",
        "<deliveryOrderId>1</deliveryOrderId>" * 2,
        "<orders><order/></orders>",
        "<items><item><itemCode>A</itemCode><quantity>x</quantity></item></items>",
        "<items><item><inventoryType>??</inventoryType></item></items>",
    )
]
_SEEDS = [(GOLDEN / "confirm.xml").read_bytes(), LAUGHS.encode(), XXE.encode()]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_SEEDS), st.data())
def test_any_body_is_read_or_refused(seed, data):
    """Signed, and with bytes cut out and put in: a report or a refusal, never anything else."""
    at = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(at, min(len(seed), at + 60)))
    body = seed[:at] + data.draw(st.binary(max_size=12) | st.sampled_from(_PIECES)) + seed[end:]
    method = data.draw(st.sampled_from(_METHODS))
    query = {"method": method, "timestamp": "2026-01-22 10:00:00"}
    pairs = [(name.encode(), value.encode()) for name, value in query.items()]
    signed = Push(body, {}, urlencode(query | {"sign": callback_sign(pairs, body, "s3cret")}))
    with suppress(MessageRefused, UnknownWord):
        WH42.read_reports(signed, NOW_MS)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None), max_size=60), st.binary(max_size=20))
def test_any_query_is_forged(query, body):
    """Whatever nobody has signed is refused as that."""
    with pytest.raises(MessageRefused):
        WH42.read_reports(Push(body, {}, query), NOW_MS)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60) | st.sampled_from(_ANSWERS), st.sampled_from([200, 200, 404, 429, 503])
)
def test_any_answer_is_read_or_a_fault(body, status):
    """No answer is anything but read, an unknown word or the warehouse's fault."""
    response = Response(status, body)
    for read in (
        lambda: WH42.read_created(response, [order()]),
        lambda: WH42.read_created(response, [order(), order("tmall:2@main")]),
        lambda: WH42.read_cancelled(response),
        lambda: WH42.read_done(response),
        lambda: WH42.read_stock(response),
    ):
        with suppress(UnknownWord, PartnerFault):
            read()
