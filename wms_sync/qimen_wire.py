"""Qimen (奇门) on the wire: the signature over query and body, and XML that cannot bite.

Source: developer.alibaba.com/docs/doc.htm?articleId=118403 (calls), 118404 (signature).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from lxml import etree

from partners.errors import Forged, Malformed
from partners.model import Request
from partners.taobao import bytes_of, callback_sign, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lxml.etree import _Element as Element

    from partners.model import Push

MAX_XML_BYTES: Final = 1 << 20  # of a report or an answer; one of a thousand lines has 300 kB
MAX_QUERY_BYTES: Final = 8 << 10
MAX_PARAMS: Final = 64  # Qimen sends eight; each is decoded before we know who has sent it
MAX_TEXT: Final = 500  # characters of a field, and of a text of theirs that we keep

XML_TYPE: Final = "application/xml;charset=UTF-8"
_DECLARATION: Final = b'<?xml version="1.0" encoding="utf-8"?>'
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHOLE: Final = re.compile(r"([+-]?\d{1,9})(?:\.0{1,6})?", re.ASCII)


class Unreadable(ValueError):
    """A document is not what Qimen is known to send; the text says where."""


# -- signature -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """A call to us that one of our secrets has signed."""

    params: Mapping[bytes, bytes]  # of the query, decoded
    body: bytes

    def text(self, name: str) -> str:
        """Return a parameter, "" where there is none. Raises Malformed where it is no text."""
        try:
            return self.params.get(name.encode(), b"").decode()
        except UnicodeDecodeError as wrong:
            raise Malformed(f"{name} is no text") from wrong


def call(url: str, params: Mapping[str, str], root: Element, secret: str) -> Request:
    """Write a signed call."""
    body = xml_bytes(root)
    sent = {name: value for name, value in params.items() if value}
    encoded = [(name.encode(), value.encode()) for name, value in sent.items()]
    sent["sign"] = callback_sign(encoded, body, secret)
    # A blank as %20, never as +: whoever decodes it, it is a blank.
    query = urlencode(sent, quote_via=quote)
    return Request("POST", f"{url}?{query}", body, {"content-type": XML_TYPE})


def verified(push: Push, secrets: Sequence[str]) -> Called:
    """Hold a call against our secrets, over its bytes as they came, in constant time.

    Signed are the parameters of the query but for `sign`, by name, those without a value left out,
    and then the raw body. Raises Forged, and Malformed where it is too big to be looked at.
    """
    count = 1 + push.query.count("&")
    if len(push.body) > MAX_XML_BYTES or len(push.query) > MAX_QUERY_BYTES or count > MAX_PARAMS:
        raise Malformed(f"{len(push.query)} + {len(push.body)} bytes, {count} parameters")
    params = dict(pairs(bytes_of(push.query)))
    given = params.pop(b"sign", b"")
    signed = [(name, value) for name, value in params.items() if value]
    # All are tried, always: how long it takes tells nothing of which one it was.
    matches = [
        hmac.compare_digest(callback_sign(signed, push.body, secret).encode(), given)
        for secret in secrets
    ]
    if not any(matches):
        raise Forged("no secret of ours has signed this")
    return Called(params, push.body)


# -- writing -------------------------------------------------------------------------------------


def added(parent: Element, name: str, text: str | int, *, most: int | None = MAX_TEXT) -> None:
    """Put a field into an element, where it has a text; None: however long that is."""
    cleaned = cleared(str(text), most)
    if cleaned:
        etree.SubElement(parent, name).text = cleaned


def cleared(text: str, most: int | None = MAX_TEXT) -> str:
    """Return a text for people without what XML cannot hold, and not too long."""
    return _NOT_IN_XML.sub(" ", text)[:most].strip()


def is_writable(text: str) -> bool:
    """Say whether XML can hold a code just as it is."""
    return _NOT_IN_XML.search(text) is None and cleared(text) == text


def xml_bytes(root: Element) -> bytes:
    """Write a document."""
    return _DECLARATION + etree.tostring(root, encoding="utf-8")


# -- reading -------------------------------------------------------------------------------------


def read_xml(body: bytes, *roots: str) -> Element:
    """Read a document in UTF-8, without a type definition: so without entities of anybody's.

    Returns its root, one of `roots`. Raises Unreadable.
    """
    if len(body) > MAX_XML_BYTES:
        raise Unreadable(f"{len(body)} bytes, more than {MAX_XML_BYTES}")
    declared = _DECLARED.match(body)
    if declared is not None and declared[1].lower() not in {b"utf-8", b"utf8"}:
        raise Unreadable("its declared encoding is not UTF-8")
    if b"\x00" in body:  # so it would read what follows in another encoding than we look at it in
        raise Unreadable("it is UTF-16, or no text")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unreadable("it has a document type definition")
    # Made anew for each: a parser that two threads share waits for the other one.
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever is declared
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"it is no XML: {str(error)[:MAX_TEXT]}") from None
    if root.tag not in roots:
        raise Unreadable(f"{root.tag[:MAX_TEXT]} is not {' or '.join(roots)}")
    return root


def child(parent: Element, name: str) -> Element | None:
    """Return an element's child of a name. Raises Unreadable where it has two of them."""
    found = parent.findall(name)
    if len(found) > 1:
        raise Unreadable(f"{name} stands there {len(found)} times")
    return found[0] if found else None


def text_of(parent: Element, name: str) -> str:
    """Return a field without blanks around it, "" where it is missing or empty."""
    field = child(parent, name)
    if field is None:
        return ""
    text = (field.text or "").strip()
    if len(field) or len(text) > MAX_TEXT:
        raise Unreadable(f"{name} is no text of {MAX_TEXT} characters")
    return text


def needed(parent: Element, name: str) -> str:
    """Return a field that has to be there."""
    text = text_of(parent, name)
    if not text:
        raise Unreadable(f"{name} is missing in {parent.tag}")
    return text


def whole(text: str, name: str) -> int:
    """Read a whole number; some write it with nothing but noughts behind the point."""
    number = _WHOLE.fullmatch(text)
    if number is None:
        raise Unreadable(f"{name} {text[:MAX_TEXT]!r} is no whole number")
    return int(number[1])


def rows(parent: Element, name: str, each: str) -> Iterable[Element]:
    """Return the elements of a list; of a missing one none."""
    listed = child(parent, name)
    return () if listed is None else listed.findall(each)
