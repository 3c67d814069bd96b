"""Rules for what we ask and tell: pure, without secrets, to the account's own address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from channels.adapter import Adapter
from channels.conformance.checking import check, same
from channels.conformance.counterpart import NOW_MS
from channels.conformance.rules import AT, MESSAGE_ID, ORDER_ID, WINDOW, Rules, written
from channels.conformance.vacuum import Impure, vacuum
from channels.model import Listing, Parcel, PlatformOrder
from partners.errors import Forged, PartnerFault
from partners.model import Request, Response

LISTING: Final = Listing(
    sku="CATFOOD-10KG", item_id="3539925204033339669", platform_sku_id="1736502463777799"
)
PARCEL: Final = Parcel(company="SF", tracking_number="SF214151283")


class Calls(Rules):
    """An adapter writes requests; who it writes them for sends them, at their pace."""

    def test_nothing_is_left_unsaid(self) -> None:
        """What a platform that asks must also read is there, and its figures can be."""
        kind = self.counterpart.adapter
        check(not kind.unsaid(), f"{kind.__name__} does not say {', '.join(kind.unsaid())}")
        check(kind.platform, "a platform has a name")
        url = kind.default_url
        check(not url or url.startswith(("http://", "https://")), f"{url} is no default_url")
        figures = (kind.answer_seconds, kind.page_size, kind.longest_window_ms)
        check(all(figure > 0 for figure in figures), f"figures are above 0: {figures}")
        check(kind.calls_per_second > 0, "calls_per_second is above 0")

    def calls(self, adapter: Adapter, order: PlatformOrder) -> dict[str, Request | None]:
        """Write every call there is."""
        part = Parcel(company="SF", tracking_number="SF214151284", lines=(order.lines[0].line_id,))
        calls = {
            "detail": adapter.detail(ORDER_ID, AT),
            "changed": adapter.changed(*WINDOW, 1, AT),
            "the second page": adapter.changed(*WINDOW, 2, AT),
            "token": adapter.token("", AT),
            "show": adapter.show(LISTING, 5, "key-1", AT),
            "close": adapter.close(LISTING, "key-2", AT),
            "reopen": adapter.reopen(LISTING, 4, "key-3", AT),
            "shipped": adapter.shipped(ORDER_ID, PARCEL, AT),
            "shipped in part": adapter.shipped(ORDER_ID, part, AT),
            "reject": adapter.reject(order, AT),
        }
        if adapter.queue:
            calls["fetch"] = adapter.fetch(AT)
            calls["confirm_fetched"] = adapter.confirm_fetched([MESSAGE_ID], AT)
        return calls

    def paid(self) -> PlatformOrder:
        """Read a paid order, in any way."""
        return next(iter(self.readings(self.order()).values()))

    def test_calls_go_to_the_account(self) -> None:
        """They begin with its URL, and no two kinds of them are the same call."""
        url = "http://127.0.0.1:9"
        seen: dict[tuple[str, str, bytes], str] = {}
        for name, call in self.calls(self.made(url=url), self.paid()).items():
            if call is None:
                continue
            check(call.url.startswith(url), f"{name} goes to {call.url}")
            check(call.method.isupper(), f"{name} is sent by {call.method}")
            other = seen.setdefault((call.method, call.url, call.body), name)
            check(other == name, f"{name} is the same call as {other}")

    def test_no_secret_is_sent(self) -> None:
        """A secret signs; in a call it would be everybody's on the way."""
        for name, call in self.calls(self.made(), self.paid()).items():
            if call is None:
                continue
            sent = call.url + call.body.decode("latin-1") + "".join(call.headers.values())
            for secret in self.counterpart.account.secrets:
                check(secret not in sent, f"{name} has a secret in it")

    def test_stock_is_shown_as_it_is(self) -> None:
        """None at all as well; another number is another call."""
        adapter = self.made()
        calls = [adapter.show(LISTING, units, "key-1", AT) for units in (0, 1, 2)]
        bodies = {(call.method, call.url, call.body) for call in calls}
        check(len(bodies) == len(calls), "two numbers of units are shown by the same call")

    def test_it_is_pure(self) -> None:
        """The same again gives the same: twice, by another one, and cut off from the world."""
        everything, adapter = self._everything(), self.made()
        expected = {name: _said(say, adapter) for name, say in everything.items()}
        again = {name: _said(say, adapter) for name, say in everything.items()}
        with vacuum():
            another = self.made()
            alone = {name: _said(say, another) for name, say in everything.items()}
        for name, value in expected.items():
            same(f"{name}, the second time,", again[name], value)
            same(f"{name}, without clock and network,", alone[name], value)

    def _everything(self) -> dict[str, Callable[[Adapter], object]]:
        """Name all that an adapter does, each with what it is given."""
        side, order, adapter = self.counterpart, self.order(), self.made()
        push, strange = self.push(), self.push(secret=self.counterpart.stranger)
        paid, done = self.paid(), side.done()
        found: dict[str, Callable[[Adapter], object]] = {
            "a push": lambda one: one.read_push(push, NOW_MS),
            "a stranger's push": lambda one: one.read_push(strange, NOW_MS),
            "taken": lambda one: one.acknowledge(),
            "refused": lambda one: one.refuse(Forged("it")),
            "later": lambda one: one.later(),
            "what is written": lambda one: self.calls(one, paid),
            "what is done": lambda one: [one.read_done(response) for response in done],
        }
        for failure in side.failures():
            found[failure.name] = partial(_read_done, failure.response)
        if adapter.detail(ORDER_ID, AT) is not None:
            detail = written("detail", side.detail(order))
            found["a detail"] = lambda one: one.read_detail(detail)
        if adapter.changed(*WINDOW, 1, AT) is not None:
            page = written("changed", side.changed([order], 1))
            found["a page"] = lambda one: one.read_changed(page)
        if adapter.queue:
            fetched = written("fetched", side.fetched([(MESSAGE_ID, order)]))
            found["what is fetched"] = lambda one: one.read_fetched(fetched)
        if adapter.token("", AT) is not None:
            token = written("token", side.token("open", "again", 7_200))
            found["a token"] = lambda one: one.read_token(token, NOW_MS)
        return found


def _read_done(response: Response, adapter: Adapter) -> None:
    adapter.read_done(response)


def _said(say: Callable[[Adapter], object], adapter: Adapter) -> str:
    try:
        return repr(say(adapter))
    except Impure:
        raise
    except Exception as error:  # noqa: BLE001 (which one it is, other rules say)
        facts = vars(error) if isinstance(error, PartnerFault) else {}
        return f"{type(error).__name__}: {error} {facts}"
