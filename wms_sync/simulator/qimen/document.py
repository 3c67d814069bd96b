"""Qimen's XML: read without DTDs and entities, written; and its times of China."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree

from wms_sync.simulator.qimen.problem import Problem

CHINA: Final = timezone(timedelta(hours=8))
FORM: Final = "%Y-%m-%d %H:%M:%S"
# Making one takes longer than reading an order.
_OF_REQUESTS: Final = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)
_OF_ANSWERS: Final = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)
HEAD: Final = '<?xml version="1.0" encoding="utf-8"?>'


class Node:
    """An element: its children by name, each at most once unless they are `rows`."""

    def __init__(self, element: etree._Element, path: str) -> None:
        self.element, self.path = element, path
        self._children = {child.tag: child for child in element}
        if len(self._children) != len(element) and len(self._children) > 1:
            names = [str(child.tag) for child in element]
            twice = next(name for name in names if names.count(name) > 1)
            raise Problem("invalid-field", f"{self.at(twice)} is there twice")

    def text(self, name: str) -> str:
        """Give the text of a child, without blanks around it; "" where there is none."""
        child = self._children.get(name)
        return "" if child is None else (child.text or "").strip()

    def required(self, name: str) -> str:
        """Give the text of a child. Raises Problem where there is none."""
        if not (text := self.text(name)):
            raise Problem("missing-field", f"{self.at(name)} is required")
        return text

    def child(self, name: str) -> Node | None:
        """Give a child that has children, if it is there."""
        child = self._children.get(name)
        return None if child is None else Node(child, self.at(name))

    def required_child(self, name: str) -> Node:
        """Give a child that has children. Raises Problem where it is not there."""
        if (child := self.child(name)) is None:
            raise Problem("missing-field", f"{self.at(name)} is required")
        return child

    def rows(self, name: str, row: str) -> list[Node]:
        """Give the rows of a list, at least one. Raises Problem."""
        within = self.required_child(name)
        rows = [Node(child, within.at(row)) for child in within.element if child.tag == row]
        if not rows:
            raise Problem("missing-field", f"{within.at(row)} is required")
        return rows

    def texts(self) -> Iterator[tuple[str, str]]:
        """Go through the children that have a text."""
        for name in self._children:
            if text := self.text(str(name)):
                yield str(name), text

    def whole(self, name: str) -> int:
        """Give a child as a number of 1 or more. Raises Problem."""
        text = self.required(name)
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:12]) < 10**9):
            raise Problem("invalid-field", f"{self.at(name)} is a whole number, not {text[:40]!r}")
        return int(text)

    def at(self, name: str) -> str:
        """Say where a child is, for whoever reads a failure."""
        return f"{self.path}/{name}" if self.path else name


def read(body: bytes) -> Node:
    """Read a request; a document that brings entities or a DTD is refused. Raises Problem."""
    try:
        root = etree.fromstring(body, _OF_REQUESTS)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Problem("invalid-xml", f"the body is no XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Problem("invalid-xml", "a DTD is not taken")
    if root.tag != "request":
        raise Problem("invalid-xml", "the body is a <request>")
    return Node(root, "")


def flag_of(body: bytes) -> str:
    """Read the flag of an answer; "" where it is none."""
    try:
        return str(etree.fromstring(body, _OF_ANSWERS).findtext("flag", "")).strip()
    except (etree.XMLSyntaxError, ValueError):
        return ""


def written(name: str, what: dict[str, Any]) -> bytes:
    """Write a document: a list repeats its element, None leaves it out."""
    return (HEAD + _element(name, what)).encode()


def _element(name: str, what: Any) -> str:
    if what is None:
        return ""
    if isinstance(what, list):
        return "".join(_element(name, each) for each in what)
    if isinstance(what, dict):
        inner = "".join([_element(key, value) for key, value in what.items()])
    else:
        inner = escape(str(what))
    return f"<{name}>{inner}</{name}>"


def written_time(at_ms: int) -> str:
    """Write a time as Qimen has it: China's, in whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA).strftime(FORM)


@lru_cache(maxsize=4096)  # an order has most of its times more than once
def read_time(text: str) -> int:
    """Read such a time, ms since 1970. Raises ValueError."""
    at = datetime.strptime(text, FORM).replace(tzinfo=CHINA)
    if at.strftime(FORM) != text:
        raise ValueError(f"a time is YYYY-MM-DD HH:MM:SS, not {text[:40]!r}")
    return int(at.timestamp()) * 1000
