"""What an alert says to people, in Chinese and English. Pure.

Texts are templates by language; `Words` fills them in. What others named (a SKU, a reason) can
make no link, mention, markup or emphasis of a robot's markdown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Final
from urllib.parse import quote

from msgspec.structs import asdict

from channels.feed.offers import Kind
from channels.intake.moves import Anomaly
from ops.alerts.alert import OF_CHANNELS, OF_FINDINGS, OF_HOUSES, Alert
from ops.alerts.standing import GIVEN_UP
from reservation.receivers import AlertType, Language

MOST_FIGURES: Final = 3  # warehouses that are named; the rest is counted
MOST_LINE: Final = 120  # characters of what others wrote that stand in a line

# Signs that markdown acts on, and their likes that it leaves alone.
_HARMLESS: Final = str.maketrans("<>[]*`\\", "＜＞［］＊｀＼")

# What happened, in the order in which it is told: the worst first.
HEADLINES: Final = tuple(
    headline
    for kind in AlertType
    for headline in (
        [f"{kind} {anomaly}" for anomaly in (*Anomaly, GIVEN_UP)]
        if kind is AlertType.ANOMALY
        else [kind.value]
    )
)
# What the intake says of an order of some kinds in few words of its own, and how it is said here.
_SHORT: Final = frozenset({Anomaly.SHORT, Anomaly.REJECTED})
_SAID: Final = (
    (_SHORT, re.compile(r" (\d+) of a quota's (\d+)"), "wanted of quota"),
    (_SHORT, re.compile(r" (\d+) of (\d+)"), "wanted"),
    ({Anomaly.LINES_DIFFER}, re.compile(r" (\d+) of (\d+)"), "wanted of held"),
    ({Anomaly.UNKNOWN_SKU}, re.compile(r" in ([A-Za-z0-9_-]{1,32})(?=,|$)"), "in warehouse"),
    ({Anomaly.UNKNOWN_SKU}, re.compile(r"^no code of ours on lines (.+)$"), "nameless"),
)
# That much its headline says.
_SAID_ALREADY: Final = re.compile(
    r"^beyond what is held: |, and its stock was given back$"
    r"|(?:; )?its platform was told so at \S+$"
)

_WORDS: Final[dict[Language, dict[str, str]]] = {
    Language.ZH: {
        "breaker.opened": "已熔断停售",
        "order.anomaly short": "已付款但库存不足",
        "order.anomaly suspended": "已付款但商品已熔断",
        "order.anomaly rejected": "缺货，已通知平台拒单",
        "order.anomaly unknown-sku": "含未知商品",
        "order.anomaly unknown-word": "平台用语无法识别",
        "order.anomaly released": "已付款但占用已被释放",
        "order.anomaly lines-differ": "付款数量超出预占",
        "order.anomaly invalid": "订单数据无效",
        "order.anomaly given-up": "平台查询失败，已停止重试",
        "channel.dead_letter": "库存未能更新到渠道",
        "channel.dead_parcel": "发货未能回传平台",
        "channel.not_closed": "渠道未下架，仍可下单",
        "warehouse.silent": "仓库系统无响应",
        "warehouse.late_ahead": "订单即将超时",
        "warehouse.anomaly": "仓库订单异常",
        "warehouse.shortfall": "仓库实物少于承诺",
        "warehouse.report_dead": "仓库回传待人工处理",
        "warehouse.drift": "仓库实物与账面不符",
        "late at": "{at} 首单等待满 8 小时，除非每小时接 {needed} 单；当前每小时 {rate} 单",
        "not late": "预计没有订单会等待超过 8 小时",
        "stuck": "已有 {n} 单等待超过 8 小时",
        "amiss rejected": "仓库拒单",
        "amiss shipped-though-released": "库存已释放但已出库",
        "amiss not-in-store": "库存中没有该占用",
        "amiss no-details": "没有收货信息，请补填（PUT /v1/reservations/…/shipping）后重试，或拦截",
        "amiss cancel-unanswered": "仓库未答复取消请求，请联系仓库拦截",
        "amiss code-used": "单号曾被使用",
        "amiss shipped-short": "少发，其余不会再发",
        "amiss shipped-though-cancelled": "仓库已取消但仍发货",
        "amiss lacking": "仓库缺货",
        "amiss stuck": "卡在仓库",
        "short": "承诺 {promised} 件，缺 {units} 件",
        "gone beyond": "仓库已出 {untaken} 件，账上没有",
        "drift missing": "比账面少 {range} 件",
        "drift surplus": "比账面多 {range} 件",
        "drift foreign": "另有 {foreign} 件被非我方订单占用",
        "from to": "{least}–{most}",
        "report dead": "第 {report} 号；{reason}",
        "report odd": "第 {report} 号已入账；{reason}",
        "amiss lock-refused": "仓库拒绝预占库存",
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
        "rest": "另有 {n} 个",
        "wanted": " 要 {0} 件（可售 {1} 件）",
        "wanted of quota": " 要 {0} 件（渠道配额余 {1} 件）",
        "wanted of held": " 下单 {0} 件（已占 {1} 件）",
        "in warehouse": "（{0} 仓）",
        "nameless": "以下行没有商家编码：{0}",
        "dead stock": "应显示 {units} 件；{reason}",
        "dead parcel": "包裹 {parcel}；{reason}",
        "not closed suspended": "该商品已熔断；渠道答复：{reason}",
        "not closed at risk": "该商品库存有风险；渠道答复：{reason}",
        "dead exposure": "直播曝光权重 {weight}；{reason}",
        "todo order.anomaly short": "补货后自动占用；无货请联系买家退款",
        "todo order.anomaly suspended": "商品恢复后自动占用；无货请联系买家退款",
        "todo order.anomaly rejected": "确认平台已关闭订单、买家已退款；关闭后自动消除",
        "todo order.anomaly unknown-sku": "补上商家编码或库存，再在看板上重试",
        "todo order.anomaly unknown-word": "请开发人员补充渠道的词表，再在看板上重试",
        "todo order.anomaly released": "该订单已没有占用。确认发货或退款，再在看板上忽略",
        "todo order.anomaly lines-differ": "核对平台订单与占用，处理后在看板上重试或忽略",
        "todo order.anomaly invalid": "核对平台订单，人工处理后在看板上忽略",
        "todo order.anomaly given-up": "检查渠道的授权和网络，再在看板上重试",
        "todo channel.dead_letter": "修正商品对应关系或授权，再在看板上重发；之后的变化会自动通知",
        "todo channel.dead_parcel": "到平台后台核对该订单，修正后在看板上重发，或手动发货后忽略",
        "todo channel.not_closed": "请立即到平台后台手动下架，否则会超卖；"
        "修正商品对应关系或授权后在看板上重发。系统也会每几分钟自动重试",
        "todo warehouse.silent": "请联系仓库或检查网络；系统会自动重试，恢复后按优先级继续下发",
        "todo warehouse.late_ahead": "请仓库增加产能，或提前告知买家；看板可试算需要的产能",
        "todo warehouse.anomaly": "在看板上按原因重试、忽略或拦截",
        "todo warehouse.shortfall": "请仓库盘点或补货，或决定哪些订单不发；处理后在看板上忽略",
        "todo warehouse.report_dead": "在看板上查看原因，修正后重试；已另行处理的请忽略",
        "todo warehouse.drift": "请仓库盘点并回传，或更正库存；看板上可重新比对，已知悉的请忽略",
        "todo health.healthy": "直播曝光可恢复，无需操作",
    },
    Language.EN: {
        "breaker.opened": "suspended",
        "order.anomaly short": "paid and short of stock",
        "order.anomaly suspended": "paid and a SKU suspended",
        "order.anomaly rejected": "short and refused to the platform",
        "order.anomaly unknown-sku": "with an unknown SKU",
        "order.anomaly unknown-word": "with a word in no table",
        "order.anomaly released": "paid after its stock was given back",
        "order.anomaly lines-differ": "paid for more than is held",
        "order.anomaly invalid": "with impossible figures",
        "order.anomaly given-up": "given up after its platform did not tell",
        "channel.dead_letter": "not told to its channel",
        "channel.dead_parcel": "with a parcel its platform was not told of",
        "channel.not_closed": "NOT CLOSED at its channel",
        "warehouse.silent": "does not answer",
        "warehouse.late_ahead": "will have orders waiting longer than 8 hours",
        "warehouse.anomaly": "amiss at its warehouse",
        "warehouse.shortfall": "less at the warehouse than is promised",
        "warehouse.report_dead": "reported by the warehouse and left to people",
        "warehouse.drift": "not as many at the warehouse as in our books",
        "late at": "the first order will have waited 8 hours at {at} unless it takes {needed} an "
        "hour; now it takes {rate}",
        "not late": "nobody will wait longer than 8 hours, as far as can be foreseen",
        "stuck": "{n} orders have waited longer than 8 hours",
        "amiss rejected": "rejected by the warehouse",
        "amiss shipped-though-released": "shipped, though its stock was given back",
        "amiss not-in-store": "our stock does not know it any more",
        "amiss no-details": "nobody knows where it goes: tell it (PUT /v1/reservations/…/shipping) "
        "and retry it, or keep it back",
        "amiss cancel-unanswered": "the warehouse does not say whether it keeps it back: ask it",
        "amiss code-used": "its number was used before",
        "amiss shipped-short": "shipped short, nothing more leaves",
        "amiss shipped-though-cancelled": "shipped, though the warehouse had cancelled it",
        "amiss lacking": "units lack there",
        "amiss stuck": "stuck at the warehouse",
        "short": "{units} of {promised} promised are not there",
        "gone beyond": "{untaken} more have gone than we had",
        "drift missing": "{range} fewer than in our books",
        "drift surplus": "{range} more than in our books",
        "drift foreign": "{foreign} bound there to orders that are not ours",
        "from to": "{least} to {most}",
        "report dead": "report {report}; {reason}",
        "report odd": "report {report} was applied; {reason}",
        "amiss lock-refused": "the warehouse does not keep its units",
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
        "rest": "and {n} more",
        "wanted": " {0} wanted ({1} available)",
        "wanted of quota": " {0} wanted ({1} left of the channel's quota)",
        "wanted of held": " {0} ordered ({1} held)",
        "in warehouse": " in {0}",
        "nameless": "no code of ours on lines {0}",
        "dead stock": "{units} to be shown; {reason}",
        "dead parcel": "parcel {parcel}; {reason}",
        "not closed suspended": "it is suspended and may still be ordered there; {reason}",
        "not closed at risk": "it is at risk and may still be ordered there; {reason}",
        "dead exposure": "exposure weight {weight}; {reason}",
        "todo order.anomaly short": "It takes its stock as soon as there is enough. "
        "Where none will, refund the buyer",
        "todo order.anomaly suspended": "It takes its stock once "
        "the SKU is reopened. Where none will come, refund the buyer",
        "todo order.anomaly rejected": "See that the platform closes it and refunds the buyer. "
        "Then it goes by itself",
        "todo order.anomaly unknown-sku": "Give the line our code, or the SKU a level, then retry "
        "it on the board",
        "todo order.anomaly unknown-word": "Have the word put into the channel's tables, then "
        "retry it on the board",
        "todo order.anomaly released": "Nothing is kept for it. Ship it or refund the buyer, then "
        "dismiss it on the board",
        "todo order.anomaly lines-differ": "Compare the order with what is held, mend it, then "
        "retry or dismiss it on the board",
        "todo order.anomaly invalid": "Look at the order with its platform, then dismiss it on the "
        "board",
        "todo order.anomaly given-up": "Check the channel's authorisation and the network, then "
        "retry it on the board",
        "todo channel.dead_letter": "Mend its listing or the channel's authorisation, then send it "
        "again on the board. What changes later goes by itself",
        "todo channel.dead_parcel": "Compare the order with its platform, mend it, then send it "
        "again on the board; or tell the platform by hand and dismiss it there",
        "todo channel.not_closed": "Take it off the platform's shop by hand now, or it is "
        "oversold. Mend its listing or the channel's authorisation and send it again on the board; "
        "it is tried every few minutes by itself, too",
        "todo warehouse.silent": "Call the warehouse, or look at the network. It is tried by "
        "itself and goes on by priority once it answers",
        "todo warehouse.late_ahead": "Have the warehouse take more, or tell the buyers in time; "
        "the board says what a rate would do",
        "todo warehouse.shortfall": "Have it counted or restocked there, or decide which orders do "
        "not leave; then dismiss it on the board",
        "todo warehouse.report_dead": "The board says why. Mend that and retry it, or dismiss it "
        "once you have seen to it",
        "todo warehouse.drift": "Have it counted there and reported, or correct the stock; have it "
        "looked at again or dismiss it on the board",
        "todo warehouse.anomaly": "Retry it, dismiss it or keep it back on the board, as the "
        "reason says",
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

    def text(self, key: str, *places: object, **values: object) -> str:
        """Fill a template in."""
        return self._texts[key].format(*places, **values)

    def link(self, alert: Alert) -> str:
        """Name the page on the board of what it is about."""
        if alert.type is AlertType.ANOMALY:
            order = quote(alert.order_id or "~", safe="")
            return f"{self._board_url}#/channels/{alert.channel}/{order}"
        if alert.type is AlertType.HOUSE_AMISS:
            return f"{self._board_url}#/order/{quote(alert.about, safe='')}"
        if alert.type in OF_HOUSES:
            return f"{self._board_url}#/warehouses"
        if alert.type in OF_CHANNELS:
            return f"{self._board_url}#/channels"
        return f"{self._board_url}#/sku/{quote(alert.sku, safe='')}"

    def board_link(self, alerts: Sequence[Alert]) -> str:
        """Name the page on the board where all of it can be seen."""
        kinds = {alert.type for alert in alerts}
        if kinds <= OF_HOUSES:
            return f"{self._board_url}#/warehouses"
        return self._board_url + ("#/channels" if kinds <= OF_CHANNELS else "")

    def time(self, at_ms: int, *, zone: bool = False) -> str:
        """Write a time as people read it where the deployment is."""
        at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)
        return at.strftime("%m-%d %H:%M:%S") + (f" ({at.tzname()})" if zone else "")

    def what(self, alert: Alert) -> str:
        """Say in two words what happened."""
        return self.text(headline_of(alert))

    def why(self, alert: Alert) -> str:
        """Say what brought it about."""
        match alert.type:
            case kind if kind in OF_CHANNELS | OF_HOUSES:
                return self._why_undone(alert)
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
        return self.text(f"todo {headline_of(alert)}{by_hand}")

    def counts(self, alerts: Sequence[Alert]) -> str:
        """Count alerts by what happened, the worst first."""
        numbers = Counter(map(headline_of, alerts))
        told = [self.count(one, numbers[one]) for one in HEADLINES if numbers[one]]
        return self._texts["between"].join(told)

    def count(self, headline: str, number: int) -> str:
        """Say how often something happened."""
        return self.text("count", what=self.text(headline), n=number)

    def _why_undone(self, alert: Alert) -> str:
        if alert.type in OF_HOUSES:
            return self._why_amiss(alert)
        unfit = alert.type is AlertType.ANOMALY
        return self._why_unfit(alert) if unfit else self._why_untold(alert)

    def _why_amiss(self, alert: Alert) -> str:
        """Say what is amiss with a warehouse, or with an order there."""
        if alert.type is AlertType.HOUSE_AMISS:
            reason = _shortened(harmless(alert.reason))
            return self.text(f"amiss {alert.kind}") + (f"; {reason}" if reason else "")
        if alert.type in OF_FINDINGS:
            return self._why_found(alert)
        stuck = self.text("stuck", n=alert.stuck) if alert.stuck else ""
        if not alert.late_ms:
            return stuck or self.text("not late")
        figures = {"needed": alert.needed_per_hour, "rate": alert.per_hour}
        late = self.text("late at", at=self.time(alert.late_ms), **figures)
        return f"{stuck}; {late}" if stuck else late

    def _why_found(self, alert: Alert) -> str:
        """Say what a report or the comparison has found."""
        if alert.type is AlertType.HOUSE_REPORT_DEAD:
            reason = _shortened(harmless(alert.reason))
            return self.text(f"report {alert.kind}", report=alert.report, reason=reason)
        said = []
        if alert.type is AlertType.HOUSE_SHORT:
            if alert.units:
                said.append(self.text("short", units=alert.units, promised=alert.promised))
            if alert.untaken:
                said.append(self.text("gone beyond", untaken=alert.untaken))
            return "; ".join(said)
        if alert.units:
            least, most = sorted((abs(alert.low), abs(alert.high)))
            both = str(least) if least == most else self.text("from to", least=least, most=most)
            direction = "missing" if alert.units < 0 else "surplus"
            said.append(self.text(f"drift {direction}", range=both))
        if alert.foreign:
            said.append(self.text("drift foreign", foreign=alert.foreign))
        return "; ".join(said)

    def _why_untold(self, alert: Alert) -> str:
        """Say what a channel was not told, and what it answered."""
        told = {"weight": f"{alert.weight:.2f}", "units": alert.units}
        told |= {"parcel": harmless(alert.parcel), "reason": _shortened(harmless(alert.reason))}
        if alert.type is AlertType.NOT_CLOSED:
            return self.text(f"not closed {alert.closes}", **told)
        if alert.type is AlertType.DEAD_PARCEL:
            return self.text("dead parcel", **told)
        key = "dead exposure" if alert.kind == Kind.EXPOSURE else "dead stock"
        return self.text(key, **told)

    def _why_unfit(self, alert: Alert) -> str:
        """Say why an order does not fit, in our words for the intake's."""
        said = _SAID_ALREADY.sub("", alert.reason)
        for kinds, pattern, key in _SAID:
            if alert.kind in kinds:
                said = pattern.sub(partial(self._said, key), said)
        return _shortened(harmless(said))

    def _said(self, key: str, found: re.Match[str]) -> str:
        return self.text(key, *found.groups())

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
    """Name what an alert is about: the SKU (at a warehouse, told to a channel), or the order."""
    name = harmless(alert.about)
    if alert.about == alert.warehouse:
        return name
    if alert.type in {AlertType.DEAD_LETTER, AlertType.NOT_CLOSED}:
        return f"{name} → {alert.channel}"
    return f"{name} @ {alert.warehouse}" if alert.warehouse else name


def headline_of(alert: Alert) -> str:
    """Name what happened as texts are found by it."""
    return f"{alert.type} {alert.kind}" if alert.type is AlertType.ANOMALY else alert.type.value


def is_standing(alert: Alert) -> bool:
    """Say whether it tells what stands undone with a channel or a warehouse."""
    return alert.type in OF_CHANNELS | OF_HOUSES


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LINE else f"{text[: MOST_LINE - 1]}…"
