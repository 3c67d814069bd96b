"""The WeCom group robot (企业微信群机器人).

Source: https://developer.work.weixin.qq.com/document/path/91770. 20 messages a minute a robot;
HTTP is 200 also where `errcode` is not 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import orjson

from ops.alerts.message import Markdown, composed
from ops.alerts.receiving import Request, judged_by_code

if TYPE_CHECKING:
    from ops.alerts.receiving import Parcel, Telling, Verdict

_MARKDOWN: Final = Markdown(
    newline="\n", heading='**<font color="{tone}">{0}</font>**', max_bytes=4_096
)
# -1 is busy; 45009 and 45033 are too often and too much at once, over after a minute. Anything else
# stays as it is: 93000 is a key that is no robot's, 40058 a message that it does not take.
_WAITS: Final = {-1: 0.0, 45_009: 60.0, 45_033: 60.0}


class WeCom:
    """Speaks to a group robot in its markdown."""

    def compose(self, telling: Telling) -> tuple[int, bytes]:
        """Write a message about the first of the alerts."""
        message = composed(telling, _MARKDOWN)
        document = {"msgtype": "markdown", "markdown": {"content": message.text}}
        return message.count, orjson.dumps(document)

    def request(self, parcel: Parcel) -> Request:
        """Make the request; the robot's key stands in its address."""
        return Request(parcel.receiver.url, parcel.body)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Judge the answer by its `errcode`."""
        return judged_by_code(status, headers, body, waits=_WAITS)
