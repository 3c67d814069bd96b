"""The DingTalk group robot with a signature (钉钉群机器人，加签).

Source: https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages. 20 messages a
minute, else nothing is taken for 10 minutes; HTTP is 200 also where `errcode` is not 0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

import orjson

from ops.alerts.message import Markdown, composed
from ops.alerts.receiving import Request, judged_by_code

if TYPE_CHECKING:
    from ops.alerts.receiving import Parcel, Telling, Verdict

# Two blanks on either side: without them the lines run together in some of its clients.
# A body of 20,000 bytes is taken; escapes and the frame around the text need some.
_MARKDOWN: Final = Markdown(newline="  \n  ", heading="### {0}", max_bytes=12_000)
# -1 is busy, 130101 "send too fast, exceed 20 times per minute". Anything else stays as it is:
# 310000 is a signature, a keyword or an address that it does not take, 300001 no robot of its.
_WAITS: Final = {-1: 0.0, 130_101: 600.0}


class DingTalk:
    """Speaks to a group robot in its markdown, signed."""

    def compose(self, telling: Telling) -> tuple[int, bytes]:
        """Write a message about the first of the alerts."""
        message = composed(telling, _MARKDOWN)
        document = {
            "msgtype": "markdown",
            "markdown": {"title": message.title, "text": message.text},
            "at": {"atMobiles": [], "isAtAll": False},
        }
        return message.count, orjson.dumps(document)

    def request(self, parcel: Parcel) -> Request:
        """Make the request, signed for this instant; the robot allows an hour."""
        url, secret = parcel.receiver.url, parcel.receiver.secret
        assert secret is not None  # `receivers` sees to it
        between = "&" if "?" in url else "?"
        sign = quote_plus(signature(secret, parcel.at_ms))
        return Request(f"{url}{between}timestamp={parcel.at_ms}&sign={sign}", parcel.body)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Judge the answer by its `errcode`."""
        return judged_by_code(status, headers, body, waits=_WAITS)


def signature(secret: str, at_ms: int) -> str:
    """Sign an instant: base64 of HMAC-SHA256 over it and the secret, keyed by the secret."""
    digest = hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
