"""From a platform's push to a reservation, in a whole service, over kills."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from channels.adapter import At
from channels.feed import teller
from channels.feed.offers import look_at, offers_path
from channels.intake.inbox import Inbox, inbox_path
from channels.model import Hint, Listing, OrderLine, OrderState, PlatformOrder
from channels.parcels.parcels import Parcels, parcels_path
from channels.service import run_channels, tell_channels
from channels.simulator.dealer import Account as Secrets
from channels.simulator.dealer import Dealer
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop as SimulatedShop
from channels.simulator.trade import Sku, Stage, Wanted
from partners import loops
from partners.model import Request
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, SetStock, State
from reservation.shops import DeductsAt, Shop
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from tests.channels.corner import Corner, CornerShop, sign
from tests.channels.dealer import SECRET as DEALER_SECRET
from tests.conftest import ADMIN_KEY
from tests.ops.service import Service, holdfast
from tests.waiting import happens, until

GOLDEN = Path(__file__).parent / "golden" / "distributor"

SECRET = "the-secret-of-the-corner"
SETTINGS = {"HOLDFAST_ADMIN_KEY": ADMIN_KEY, "HOLDFAST_LOG_LEVEL": "warning"}
KEY = {"authorization": f"Bearer {ADMIN_KEY}"}


def config(tmp_path: Path, shop: CornerShop) -> Path:
    """Write the settings of one channel."""
    path = tmp_path / "holdfast.toml"
    path.write_text(
        "[channels.corner]\nplatform = 'tests.channels.corner:Corner'\n"
        f"url = '{shop.url}'\nsecrets = ['{SECRET}']\n"
    )
    return path


def told(shop: CornerShop, *said: tuple[str, str, int]) -> None:
    """Wait until the shop has been told something last."""
    until(lambda: tuple(shop.told[-len(said) :]) == said, f"it is told {said}", seconds=30)


def push(url: str, order: str, number: int) -> None:
    """Tell of an order, until it is acknowledged."""
    body = json.dumps({"id": f"m{number}", "order": order, "what": "settled"}).encode()
    seconds = str(int(time.time()))
    headers = {"x-corner": f"{sign(SECRET, body, seconds)};{seconds}"}

    def taken() -> bool:
        try:
            answer = httpx.post(f"{url}/v1/channels/corner/messages", content=body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    until(taken, "the message is taken", seconds=30)


def committed(url: str) -> int:
    """Read what is committed of A."""
    level = httpx.get(f"{url}/v1/stock/A", headers=KEY).json()["warehouses"][0]
    return int(level["committed"])


def test_what_was_acknowledged_becomes_a_reservation_whatever_dies(
    tmp_path: Path, shop: CornerShop
) -> None:
    """The agents are killed while the platform does not answer; another one goes on."""
    arguments = ("up", "--port", "0", "--data-dir", tmp_path / "var")
    with Service(*arguments, "--config", config(tmp_path, shop), **SETTINGS) as service:
        url = service.url
        stock = httpx.put(f"{url}/v1/stock/A", json={"on_hand": 100}, headers=KEY)
        assert stock.status_code == 201
        shop.tell("1", "settled", ("A", 2))
        push(url, "1", 1)
        until(lambda: committed(url) == 2, "the order is moved")
        shop.faults += [(503, {})] * 3
        for number in range(2, 12):
            shop.tell(str(number), "settled", ("A", 2))
            push(url, str(number), number)
            push(url, str(number), number)
            if number == 5:
                (agents,) = service.tree()["agents"]
                os.kill(agents, signal.SIGKILL)
        until(lambda: committed(url) == 22, "all are moved", seconds=40)
        assert set(shop.asked) == {str(number) for number in range(1, 12)}


@pytest.mark.chaos
def test_a_process_of_its_own_tells_channels_whatever_dies(
    tmp_path: Path, shop: CornerShop
) -> None:
    """Killed, another one goes on; the agents' death does not stop it."""

    def count(units: int) -> None:
        stock = httpx.put(f"{url}/v1/stock/A", json={"on_hand": units}, headers=KEY)
        assert stock.is_success

    arguments = ("up", "--port", "0", "--data-dir", tmp_path / "var")
    with Service(*arguments, "--config", config(tmp_path, shop), **SETTINGS) as service:
        url = service.url
        count(100)
        told(shop, ("show", "A", 100))
        (feed,) = service.tree()["feed"]
        os.kill(feed, signal.SIGKILL)
        count(90)
        told(shop, ("show", "A", 90))
        (agents,) = service.tree()["agents"]
        os.kill(agents, signal.SIGSTOP)
        count(80)
        told(shop, ("show", "A", 80))
        os.kill(agents, signal.SIGCONT)
        shown = 'holdfast_channel_told_total{channel="corner",outcome="told"} 3.0'
        until(lambda: shown in httpx.get(f"{url}/metrics").text, "its figures are summed")
        assert service.end() == 0
        assert service.nothing_left()


@pytest.mark.chaos
def test_where_no_channel_is_named_nobody_tells_any(tmp_path: Path) -> None:
    with Service("up", "--port", "0", "--data-dir", tmp_path / "var", **SETTINGS) as service:
        assert service.url
        tree = service.tree()
        assert len(tree["agents"]) == 1
        assert tree["feed"] == []


def test_agents_alone_tell_channels_too(
    tmp_path: Path, shop: CornerShop, server: EmbeddedStore
) -> None:
    """They do all that there is to do, in one process."""
    where = {"HOLDFAST_REDIS_URL": server.url, "HOLDFAST_DURABILITY": "memory"}
    arguments = ("--data-dir", tmp_path / "var", "--config", config(tmp_path, shop))
    with (
        Service("agents", *arguments, **SETTINGS, **where),
        Service("api", "--port", "0", *arguments, **SETTINGS, **where) as api,
    ):
        stock = httpx.put(f"{api.url}/v1/stock/A", json={"on_hand": 7}, headers=KEY)
        assert stock.is_success
        told(shop, ("show", "A", 7))


async def test_of_several_one_tells_and_the_next_one_when_that_ends(
    store: Store, engine: Engine, settings: Settings, shop: CornerShop, tmp_path: Path
) -> None:
    """Two that told would each have what the other one tells for its own."""
    listings = tmp_path / "corner.csv"
    listings.write_text("sku,item_id,platform_sku_id\nA,a,\n")
    corner = Shop(
        platform="tests.channels.corner:Corner",
        url=shop.url,
        secrets=(SECRET,),
        listings=listings,
    )
    told = settings.model_copy(update={"channels": {"corner": corner}})

    async def shows(units: int) -> None:
        await engine.set_stock(SetStock("A", "main", units, 0), SYSTEM)

        async def shown() -> bool:
            return shop.told[-1:] == [("show", "a", units)]

        await happens(shown)

    first, second = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(tell_channels(store, told, first))
    await shows(10)
    with capture_logs() as said:
        other = asyncio.create_task(tell_channels(store, told, second))
        await shows(9)
    assert [line["event"] for line in said] == ["channels_wait"]
    first.set()
    await one
    assert not other.done()
    await shows(8)
    second.set()
    await other
    assert shop.tries == len(shop.told) == 3


async def test_a_dealers_files_are_taken_where_its_settings_name_a_folder(
    store: Store, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """By the same process; old messages are forgotten there, too."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Inbox(inbox_path(settings.data_dir))
    inbox.keep([("dealer", Hint(message_id="old", topic="t"))], 1)
    inbox.begun("dealer", 0)  # its orders are of long ago
    folder = tmp_path / "orders"
    folder.mkdir()
    dealer = Shop(platform="distributor", options={"orders": str(folder)})
    raw = (GOLDEN / "HZ01_20260122101500.csv").read_bytes().replace(b"CATFOOD-10KG", b"A")
    raw = raw.replace("猫砂-膨润土 5L".encode(), b"A").replace(b'"TOY, red ""S"""', b"A")
    (folder / "HZ01_20260122101500.csv").write_bytes(raw)
    hash_path = folder / "HZ01_20260122101500.csv.sha256"
    hash_path.write_text(hashlib.sha256(raw).hexdigest())
    stop = asyncio.Event()
    told = settings.model_copy(update={"channels": {"dealer": dealer}})
    running = asyncio.create_task(run_channels(store, told, stop))
    with capture_logs() as said:  # it has nobody to tell, and no setting lacks
        telling = asyncio.create_task(tell_channels(store, told, stop))
        await asyncio.sleep(0)

    async def moved() -> bool:
        stock = await engine.stock("A")
        assert stock is not None
        level = stock.levels[0]
        return (level.on_hand, level.held, level.committed) == (9, 3, 3)

    async def kept_house() -> bool:
        again = Hint(message_id="old", topic="t")
        return not hash_path.exists() and inbox.keep([("dealer", again)], 1) == 1

    await happens(moved)
    await happens(kept_house)
    stop.set()
    await asyncio.gather(running, telling)
    assert said == []
    inbox.close()


async def test_a_dealer_that_cannot_be_asked_is_told_of_parcels_by_its_own_lines(
    store: Store, engine: Engine, settings: Settings
) -> None:
    """Its message has told them; the carrier goes by the dealer's name for it."""
    for sku in "AB":
        await engine.set_stock(SetStock(sku, "main", 10, 0), SYSTEM)
    clock = Clock()
    world = ShopWorld(clock, Faults(), SimulatedShop(clock))
    dealer = Dealer(world, Secrets(sending=(DEALER_SECRET,), receiving=(DEALER_SECRET,)))
    kinds = [Sku(sku_id="", outer_id=sku, quantity=9, price_fen=29) for sku in "AB"]
    item = world.shop.offer("two", kinds)
    placed = world.shop.place([Wanted(item.item_id, sku, 1) for sku in item.skus], paid=True)
    told = PlatformOrder(
        order_id=placed.order_id,
        state=OrderState.PAID,
        word="paid",
        lines=tuple(
            OrderLine(line_id=str(number), sku=sku, quantity=1, state=OrderState.PAID)
            for number, sku in enumerate("AB", 1)
        ),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=1,
        changed_at_ms=1,
    )
    hint = Hint(message_id="m", topic="order.paid", order_id=placed.order_id, order=told)
    inbox = Inbox(inbox_path(settings.data_dir))
    inbox.keep([("dealer", hint)], 1)
    parcels = Parcels(parcels_path(settings.data_dir), {"dealer"})
    stop = asyncio.Event()
    async with served(dealer) as url:
        shop = Shop(
            platform="distributor",
            url=f"{url}/webhooks",
            secrets=(DEALER_SECRET,),
            carriers={"SF": "顺丰"},
        )
        named = settings.model_copy(update={"channels": {"dealer": shop}})
        running = asyncio.create_task(run_channels(store, named, stop))

        async def confirmed() -> bool:
            found = (await engine.reservation(f"dealer:{placed.order_id}")).reservation
            return found is not None and found.state is State.CONFIRMED

        async def shipped() -> bool:
            return placed.stage is Stage.PART_SHIPPED

        await happens(confirmed)
        parcels.add(
            f"dealer:{placed.order_id}",
            "F1",
            company="SF",
            tracking_number="SF1",
            lines=[Line("B", "main", 1)],
            at_ms=1,
        )
        await happens(shipped)
        stop.set()
        await running
    found = [line.parcel and line.parcel.company for line in placed.lines.values()]
    assert found == [None, "顺丰"]
    inbox.close()
    parcels.close()


@pytest.mark.chaos
def test_a_platform_that_there_is_not_is_said_before_anything_starts(tmp_path: Path) -> None:
    """Exit code 2, with the channel's name; nothing is left."""
    path = tmp_path / "holdfast.toml"
    path.write_text("[channels.corner]\nplatform = 'amazon'\n")
    for command in ("up", "api", "agents"):
        done = holdfast(command, "--config", path, "--data-dir", tmp_path / "var")
        assert done.returncode == 2
        assert "channels.corner: no platform 'amazon'" in done.stderr
    assert not (tmp_path / "var").exists()


def listed(tmp_path: Path, name: str, rows: str) -> Path:
    """Write listings."""
    path = tmp_path / f"{name}.csv"
    path.write_text(f"sku,item_id,platform_sku_id\n{rows}")
    return path


def offers_of(settings: Settings, channel: str) -> list[str]:
    """Name why a channel is not told any more of what it refused."""
    found = look_at(offers_path(settings.data_dir), lambda told: told.dead(channel, None, 9)) or []
    return [one.reason for one in found]


async def test_one_channels_mistake_stops_no_other(
    store: Store, engine: Engine, settings: Settings, shop: CornerShop, tmp_path: Path
) -> None:
    """One whose items' ids are none of its platform's, one whose listings have gone, a right one.

    The first has a dead letter that says why.
    """
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    right = Shop(
        platform="tests.channels.corner:Corner",
        url=shop.url,
        secrets=(SECRET,),
        listings=listed(tmp_path, "corner", "A,a,\n"),
    )
    wrong = Shop(
        platform=f"{__name__}:Buggy",
        url=shop.url,
        secrets=(SECRET,),
        listings=listed(tmp_path, "wrong", "A,a,\n"),
    )
    gone = right.model_copy(update={"listings": tmp_path / "gone.csv"})
    channels = {"gone": gone, "wrong": wrong, "right": right}
    stop = asyncio.Event()
    with capture_logs() as said:
        told = settings.model_copy(update={"channels": channels})
        running = asyncio.create_task(tell_channels(store, told, stop))

        async def shown() -> bool:
            return shop.told == [("show", "a", 10)] and bool(offers_of(settings, "wrong"))

        await happens(shown)
        stop.set()
        await running
    assert offers_of(settings, "wrong") == ["bug: KeyError: 'no such item'"]
    assert [line["channel"] for line in said if line["event"] == "channel_left_out"] == ["gone"]
    assert "wrong" in {line["channel"] for line in said if line["event"] == "channel_bug"}


class Buggy(Corner):
    """A shop whose adapter has a bug."""

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Fail."""
        del listing, units, key, at
        raise KeyError("no such item")


async def test_a_file_of_parcels_that_cannot_be_used_is_waited_for(
    store: Store, settings: Settings, shop: CornerShop
) -> None:
    """What works beside it in the process works on."""
    corner = Shop(platform="tests.channels.corner:Corner", url=shop.url, secrets=(SECRET,))
    told = settings.model_copy(update={"channels": {"corner": corner}})
    parcels_path(settings.data_dir).mkdir(parents=True)
    stop = asyncio.Event()
    with capture_logs() as said:
        running = asyncio.create_task(run_channels(store, told, stop))

        async def waits() -> bool:
            return any(line["event"] == "channels_wait" for line in said) or running.done()

        await happens(waits)
        assert not running.done()
        stop.set()
        await running


async def test_an_end_does_not_wait_for_a_platforms_pace(
    store: Store,
    engine: Engine,
    settings: Settings,
    shop: CornerShop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Orders that are to be asked for are asked for the next time; none is moved twice."""
    monkeypatch.setattr(loops, "LAST_SECONDS", 0.2)
    await engine.set_stock(SetStock("A", "main", 100, 0), SYSTEM)
    inbox = Inbox(inbox_path(settings.data_dir))
    numbers = [str(number) for number in range(1, 31)]
    for number in numbers:
        shop.tell(number, "settled", ("A", 1))
    hints = [Hint(message_id=number, topic="t", order_id=number) for number in numbers]
    inbox.keep([("corner", hint) for hint in hints], 1)
    inbox.close()

    async def committed_at(calls_per_second: float, units: int) -> int:
        stop = asyncio.Event()
        corner = Shop(
            platform="tests.channels.corner:Corner",
            url=shop.url,
            secrets=(SECRET,),
            calls_per_second=calls_per_second,
        )
        told = settings.model_copy(update={"channels": {"corner": corner}})
        running = asyncio.create_task(run_channels(store, told, stop))

        async def moved() -> bool:
            return await level() >= units

        await happens(moved)
        stop.set()
        async with asyncio.timeout(5):
            await running
        return await level()

    async def level() -> int:
        stock = await engine.stock("A")
        assert stock is not None
        return stock.levels[0].committed

    assert await committed_at(2, 1) < 10  # all of them would take 15 s
    assert await committed_at(1_000, 30) == 30


async def test_telling_has_a_pace_of_its_own(
    store: Store,
    engine: Engine,
    settings: Settings,
    shop: CornerShop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often a platform may be asked for orders."""
    monkeypatch.setattr(teller, "LAST_SECONDS", 0.2)
    skus = [f"A{number}" for number in range(8)]
    for sku in skus:
        await engine.set_stock(SetStock(sku, "main", 10, 0), SYSTEM)
    corner = Shop(
        platform="tests.channels.corner:Corner",
        url=shop.url,
        secrets=(SECRET,),
        listings=listed(tmp_path, "corner", "".join(f"{sku},{sku},\n" for sku in skus)),
        calls_per_second=1_000,
        tells_per_second=0.2,
    )
    told = settings.model_copy(update={"channels": {"corner": corner}})
    stop = asyncio.Event()
    running = asyncio.create_task(tell_channels(store, told, stop))

    async def begun() -> bool:
        return bool(shop.told)

    await happens(begun)
    stop.set()
    await running
    assert len(shop.told) == 1


async def test_what_is_being_told_when_all_ends_is_noted(
    store: Store, engine: Engine, settings: Settings, shop: CornerShop, tmp_path: Path
) -> None:
    """Its answer is waited for a little: it need not be told again."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    here, opened = threading.Event(), threading.Event()

    def wait(*_: str) -> None:
        here.set()
        opened.wait(10)

    shop.at_the_door = wait
    corner = Shop(
        platform="tests.channels.corner:Corner",
        url=shop.url,
        secrets=(SECRET,),
        listings=listed(tmp_path, "corner", "A,a,\n"),
    )
    told = settings.model_copy(update={"channels": {"corner": corner}})
    stop = asyncio.Event()
    running = asyncio.create_task(tell_channels(store, told, stop))

    async def at_the_door() -> bool:
        return here.is_set()

    await happens(at_the_door)
    stop.set()
    asyncio.get_running_loop().call_later(0.1, opened.set)
    await running
    counts = look_at(offers_path(settings.data_dir), lambda offers: offers.counts("corner"))
    assert counts == (0, 0)
