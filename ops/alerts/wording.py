"""What an alert says to people, in Chinese and English. Pure.

Texts are templates by language; `Words` fills them in. What others named (a SKU, a reason) can
make no link, mention, markup or emphasis of a robot's markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from urllib.parse import quote

from msgspec.structs import asdict

from ops.alerts.alert import Alert
from reservation.receivers import AlertType, Language

MOST_FIGURES: Final = 3  # warehouses that are named; the rest is counted

# Signs that markdown acts on, and their likes that it leaves alone.
_HARMLESS: Final = str.maketrans("<>[]*`\\", "＜＞［］＊｀＼")

_WORDS: Final[dict[Language, dict[str, str]]] = {
    Language.ZH: {
        "breaker.opened": "已熔断停售",
        "breaker.half_opened": "进入试探",
        "breaker.closed": "已恢复销售",
        "health.at_risk": "库存有风险",
        "health.healthy": "库存恢复健康",
        "many": "{n} 条提醒",
        "count": "{what} {n} 个",
        "test": "【测试】",
        "since": "时间",
        "why": "原因",
        "figures": "数据",
        "last": "最近一次失败",
        "todo": "处理",
        "open": "在看板查看",
        "board": "打开看板",
        "colon": "：",
        "stop": "。",
        "between": "，",
        "list": "、",
        "failed locks": "{failures} 次锁定失败",
        "failed lock in half-open": "试探中再次锁定失败",
        "by_hand": "{by} 手动操作：{reason}",
        "retry": "{at} 自动试探",
        "restocked": "库存增加",
        "cooled": "冷却时间已到",
        "succeeded": "试探期间两单成功",
        "shortage": "{channel} 要 {requested} 件，可售 {available} 件（{warehouse} 仓）",
        "level": "{warehouse} 仓在库 {on_hand}、预占 {held}、已确认 {committed}、可售 {available}",
        "more": "另有 {n} 个仓",
        "ratio": "预占未出库 ÷ 可用库存 {ratio}，直播曝光权重 {weight}",
        "infinite": "无可用库存",
        "todo breaker.opened": "所有渠道已停止接单，已预占和已付款的订单照常。"
        "补货或更正库存后自动试探，也可在看板上恢复",
        "todo breaker.opened by hand": "所有渠道已停止接单，已预占和已付款的订单照常。"
        "只能在看板上手动恢复",
        "todo breaker.half_opened": "两单成功即恢复，再失败一次即熔断，无需操作",
        "todo breaker.closed": "所有渠道可下单，无需操作",
        "todo health.at_risk": "直播间请降低该商品曝光，并尽快出库或补货",
        "todo health.healthy": "直播曝光可恢复，无需操作",
    },
    Language.EN: {
        "breaker.opened": "suspended",
        "breaker.half_opened": "on trial",
        "breaker.closed": "open again",
        "health.at_risk": "at risk",
        "health.healthy": "healthy again",
        "many": "{n} alerts",
        "count": "{n} {what}",
        "test": "[TEST] ",
        "since": "Since",
        "why": "Why",
        "figures": "Figures",
        "last": "Last failure",
        "todo": "What to do",
        "open": "Look at it on the board",
        "board": "Open the board",
        "colon": ": ",
        "stop": ".",
        "between": ", ",
        "list": ", ",
        "failed locks": "{failures} failed locks",
        "failed lock in half-open": "failed again on trial",
        "by_hand": "{by}, by hand: {reason}",
        "retry": "tried again at {at}",
        "restocked": "there is more stock",
        "cooled": "the cool-down is over",
        "succeeded": "two orders were granted on trial",
        "shortage": "{channel} wanted {requested}, {available} available in {warehouse}",
        "level": "{warehouse} has {on_hand} on hand, {held} held, {committed} committed, "
        "{available} available",
        "more": "{n} more warehouses",
        "ratio": "unshipped ÷ available {ratio}, exposure weight {weight}",
        "infinite": "nothing available",
        "todo breaker.opened": "No channel can order it; held and paid orders go on. More or "
        "corrected stock lets it be tried, or reopen it on the board",
        "todo breaker.opened by hand": "No channel can order it; held and paid orders go on. Only "
        "a person reopens it, on the board",
        "todo breaker.half_opened": "Nothing. Two granted orders reopen it, one more failure "
        "suspends it again",
        "todo breaker.closed": "Nothing. Every channel can order it",
        "todo health.at_risk": "Show it less in the livestream, and ship or restock it",
        "todo health.healthy": "Nothing. The livestream may show it as before",
    },
}


class Words:
    """Say alerts in one language, for one deployment.

    `board_url` is where people reach the board; `utc_offset_minutes` is of the times they read.
    """

    def __init__(self, language: Language, board_url: str, utc_offset_minutes: int) -> None:
        self._texts = _WORDS[language]
        self._board_url = board_url
        self._zone = timezone(timedelta(minutes=utc_offset_minutes))

    def text(self, key: str, **values: object) -> str:
        """Fill a template in."""
        return self._texts[key].format(**values)

    def link(self, alert: Alert) -> str:
        """Name the SKU's page on the board."""
        return f"{self._board_url}#/sku/{quote(alert.sku, safe='')}"

    def board_link(self) -> str:
        """Name the board."""
        return self._board_url

    def time(self, at_ms: int, *, zone: bool = False) -> str:
        """Write a time as people read it where the deployment is."""
        at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)
        return at.strftime("%m-%d %H:%M:%S") + (f" ({at.tzname()})" if zone else "")

    def what(self, alert: Alert) -> str:
        """Say in two words what happened."""
        return self.text(alert.type)

    def why(self, alert: Alert) -> str:
        """Say what brought it about."""
        match alert.type:
            case AlertType.AT_RISK | AlertType.HEALTHY:
                return self._ratio(alert)
            case AlertType.ON_TRIAL:
                return self.text("restocked" if alert.by else "cooled")
            case AlertType.REOPENED if not alert.by:
                return self.text("succeeded")
        if alert.by:
            return self.text("by_hand", by=harmless(alert.by), reason=harmless(alert.reason))
        known = alert.reason if alert.reason in self._texts else "failed locks"
        said = self.text(known, failures=alert.failures)
        if alert.retry_at_ms:
            said += self._texts["between"] + self.text("retry", at=self.time(alert.retry_at_ms))
        return said

    def figures(self, alert: Alert) -> str:
        """Say what there is of the SKU now."""
        return self._joined([self.text("level", **asdict(level)) for level in alert.levels], "; ")

    def failure(self, alert: Alert) -> str:
        """Say what the failed lock asked for that opened the breaker; "" where none did."""
        told = [self.text("shortage", **asdict(one)) for one in alert.shortages]
        return self._joined(told, self._texts["list"])

    def todo(self, alert: Alert) -> str:
        """Say what to do about it."""
        by_hand = " by hand" if alert.type is AlertType.SUSPENDED and alert.by else ""
        return self.text(f"todo {alert.type}{by_hand}")

    def counts(self, alerts: Sequence[Alert]) -> str:
        """Count alerts by what happened, the worst first."""
        told = []
        for kind in AlertType:
            number = sum(alert.type is kind for alert in alerts)
            if number:
                told.append(self.text("count", what=self.text(kind), n=number))
        return self._texts["between"].join(told)

    def _ratio(self, alert: Alert) -> str:
        ratio = self.text("infinite") if alert.ratio is None else f"{alert.ratio:.2%}"
        return self.text("ratio", ratio=ratio, weight=f"{alert.weight:.2f}")

    def _joined(self, told: list[str], between: str) -> str:
        rest = len(told) - MOST_FIGURES
        if rest > 0:
            told = [*told[:MOST_FIGURES], self.text("more", n=rest)]
        return between.join(told)


def harmless(text: str) -> str:
    """Take from a text what a robot's markdown would act on, its lines too; it stays readable."""
    return " ".join(text.translate(_HARMLESS).split())


def name_of(alert: Alert) -> str:
    """Name what an alert is about: the SKU, and the warehouse where it is about one."""
    name = harmless(alert.sku)
    return f"{name} @ {alert.warehouse}" if alert.warehouse else name
