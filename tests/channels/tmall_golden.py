"""Golden payloads of Tmall, and trades made from them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from partners.model import Response

_FOLDER = Path(__file__).parent / "golden" / "tmall"


def golden(name: str) -> Response:
    """Return a payload as the platform's answer, byte for byte."""
    return Response(200, (_FOLDER / f"{name}.json").read_bytes())


_TWO_LINES = json.loads(golden("trade_paid_two_lines").body)


def trade(lines: list[dict[str, Any]] | None = None, **changes: Any) -> Response:
    """Return the paid trade of two lines with members changed; one that is None is left out."""
    answer = copy.deepcopy(_TWO_LINES)
    members = answer["trade_fullinfo_get_response"]["trade"]
    for line, change in zip(members["orders"]["order"], lines or [], strict=False):
        _change(line, change)
    _change(members, changes)
    return answering(answer)


def answering(answer: object, status: int = 200) -> Response:
    """Return something as an answer."""
    return Response(status, json.dumps(answer, ensure_ascii=False).encode())


def _change(members: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if value is None:
            members.pop(name, None)
        else:
            members[name] = value
