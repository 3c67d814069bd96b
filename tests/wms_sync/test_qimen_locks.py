"""Locks in Qimen's words: what is written, what each answer means, and before the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from lxml import etree

from partners.connection import Connection
from partners.errors import PartnerFault
from partners.model import Request, Response
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.errors import ConfigurationError
from tests.wms_sync.qimen_house import NOW_MS, OPTIONS, SECRET, order, qimen
from wms_sync.connector import TOO_MANY, UNSUPPORTED, Account, Locks
from wms_sync.model import Lock, Locked
from wms_sync.qimen import Qimen
from wms_sync.simulator import qimen as simulated
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

MINUTE_MS = 60_000
CODE = "tmall:2601220001@main"
LOCK = Lock(code=CODE, items=(("A", 2), ("猫粮", 1)), until_ms=NOW_MS + 30 * MINUTE_MS)


def locks_of(connector: Qimen) -> Locks:
    assert connector.locks is not None
    return connector.locks


LOCKS = locks_of(qimen(locks="inventoryreserve"))


def said(inner: str) -> Response:
    return Response(200, f"<response>{inner}</response>".encode())


def test_it_is_an_option() -> None:
    """Off unless it is chosen: many a warehouse has no such call."""
    assert qimen().locks is None
    assert qimen(locks="none").locks is None
    with pytest.raises(ConfigurationError, match="locks is none or inventoryreserve"):
        qimen(locks="yes")


def test_what_is_written() -> None:
    """Each field that the standard stars, the units of each SKU, how long; nobody's address."""
    root = etree.fromstring(LOCKS.lock([LOCK], NOW_MS).body)
    assert {one.tag: one.text for one in root if not len(one)} == {
        "ownerCode": "OWN",
        "orderCode": CODE,
        "orderSource": "213",
        "warehouseCode": "W01",
        "maxWarehouseNum": "1",
    }
    rows = [{one.tag: one.text for one in row} for row in root.find("itemInventories")]
    assert rows == [
        {
            "orderSourceCode": "2601220001",
            "subSourceCode": str(place),
            "itemCode": sku,
            "quantity": str(units),
        }
        for place, (sku, units) in enumerate(LOCK.items, start=1)
    ]
    assert root.findtext("extendProps/validUntil") == "2026-01-22 10:30:00"
    assert "method=taobao.qimen.inventoryreserve.create" in LOCKS.lock([LOCK], NOW_MS).url
    assert "method=taobao.qimen.inventoryreserve.cancel" in LOCKS.unlock(LOCK, NOW_MS).url


def test_sources_of_orders() -> None:
    """The standard's number of each channel, or the account's own."""
    own = locks_of(qimen(locks="inventoryreserve", order_source__douyin="999"))
    for channel, source in {"taobao": "201", "dealer-hz": "301", "douyin": "999"}.items():
        lock = Lock(code=f"{channel}:1@main", items=LOCK.items, until_ms=NOW_MS)
        assert etree.fromstring(own.lock([lock], NOW_MS).body).findtext("orderSource") == source


def listed(row: str, sku: str, flag: str, text: str) -> str:
    inner = f"<itemCode>{sku}</itemCode><flag>{flag}</flag><message>{text}</message>"
    return f"<itemInventories><{row}>{inner}</{row}></itemInventories>"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("<flag>success</flag><isRetry>N</isRetry>", Locked(code=CODE, taken=True)),
        (
            "<flag>failure</flag><code>S1</code><message>预占单已存在</message>",
            Locked(code=CODE, taken=True),
        ),
        (
            "<flag>failure</flag><code>S2</code><message>A 库存不足</message>",
            Locked(code=CODE, taken=False, reason="A 库存不足 (S2)", short=("A",)),
        ),
        (
            "<flag>failure</flag><code>S3</code><message>货主未授权</message>",
            Locked(code=CODE, taken=False, reason="货主未授权 (S3)"),
        ),
        (  # of a success each row counts
            "<flag>success</flag>" + listed("itemInventory", "猫粮", "failure", "缺货"),
            Locked(code=CODE, taken=False, reason="缺货", short=("猫粮",)),
        ),
        (
            "<flag>success</flag>" + listed("item_inventory", "A", "success", ""),
            Locked(code=CODE, taken=True),
        ),
    ],
)
def test_what_an_answer_means(answer: str, told: Locked) -> None:
    """Taken, or refused with the SKUs that are blamed."""
    assert LOCKS.read_locked(said(answer), [LOCK]) == [told]


@pytest.mark.parametrize(
    ("response", "code", "unknown"),
    [
        (said("<flag>failure</flag><code>30002</code><message>no</message>"), UNSUPPORTED, False),
        (
            said("<flag>failure</flag><code>9</code><message>Invalid method</message>"),
            UNSUPPORTED,
            False,
        ),
        (
            said("<flag>failure</flag><code>S9</code><isRetry>Y</isRetry><message>x</message>"),
            "S9",
            True,
        ),
        (said("<flag>failure</flag><code>isp.call-limited</code>"), TOO_MANY, False),
        (said("<flag>perhaps</flag>"), "unreadable", True),
        (Response(503, b""), "http-503", True),
    ],
)
def test_what_is_no_answer(response: Response, code: str, unknown: bool) -> None:  # noqa: FBT001
    """It has none; or nobody knows, and it is asked again."""
    for read in (
        lambda: LOCKS.read_locked(response, [LOCK]),
        lambda: LOCKS.read_unlocked(response),
    ):
        with pytest.raises(PartnerFault) as fault:
            read()
        assert (fault.value.code, fault.value.unknown) == (code, unknown)


def test_what_has_no_words() -> None:
    """A code that is too long, or that XML cannot hold."""
    assert LOCKS.problem(LOCK) == ""
    assert "longer than" in LOCKS.problem(Lock(code="x" * 51, items=LOCK.items, until_ms=1))
    assert "XML" in LOCKS.problem(Lock(code="x", items=(("A\x07", 1),), until_ms=1))


# -- before the simulated warehouse ---------------------------------------------------------------


@dataclass
class Met:
    """The connector's locks and the warehouse."""

    connector: Qimen
    connection: Connection
    clock: Clock
    site: Site
    settings: simulated.Settings

    @property
    def locks(self) -> Locks:
        """Give its locks."""
        return locks_of(self.connector)

    async def send(self, request: Request) -> Response:
        """Call the warehouse."""
        return await self.connection.send(request)

    async def lock(self, lock: Lock) -> Locked:
        """Ask for one."""
        request = self.locks.lock([lock], self.clock.now_ms())
        (told,) = self.locks.read_locked(await self.send(request), [lock])
        return told

    def free(self, sku: str = "A") -> tuple[int, int]:
        """Read what is free and locked there."""
        self.site.warehouse.catch_up()
        level = self.site.warehouse.goods.level(sku)
        return level.quantity, level.locked


@pytest.fixture
async def met() -> AsyncIterator[Met]:
    """Ten of A and of 猫粮."""
    clock = Clock(NOW_MS, speed=0)
    site = Site(clock, Faults(seed=1), Warehouse(clock, Ways(), seed=1))
    for sku in ("A", "猫粮"):
        site.warehouse.put_in(sku, Kind.GOOD, 10)
    account = simulated.Account(
        app_key="12345678",
        secret=SECRET,
        customer_id=OPTIONS["customer_id"],
        warehouse_code="W01",
        owner_code="OWN",
    )
    settings = simulated.Settings()
    async with served(simulated.Qimen(site, account, settings)) as url:
        connector = Qimen(
            Account(
                warehouse="main",
                code="W01",
                url=f"{url}{simulated.PATH}",
                owner="OWN",
                app_key="12345678",
                secrets=(SECRET,),
                options={**OPTIONS, "locks": "inventoryreserve"},
            )
        )
        connection = Connection(url)
        yield Met(connector, connection, clock, site, settings)
        await connection.close()


async def test_units_are_locked_renewed_and_unlocked(met: Met) -> None:
    """Once, however often it comes; what is not there any more is unlocked as well."""
    for _ in range(2):
        assert (await met.lock(LOCK)).taken
        assert met.free() == (8, 2)
    for _ in range(2):
        met.locks.read_unlocked(await met.send(met.locks.unlock(LOCK, NOW_MS)))
        assert met.free() == (10, 0)


async def test_its_order_takes_its_place(met: Met) -> None:
    """With no unit free for a moment; a lock that comes behind it does nothing."""
    asked = order(CODE)
    items = tuple((line.sku, line.quantity) for line in asked.lines)
    for sku, _ in items:
        met.site.warehouse.put_in(sku, Kind.GOOD, 10)
    lock = Lock(code=CODE, items=items, until_ms=NOW_MS + 30 * MINUTE_MS)
    assert (await met.lock(lock)).taken
    before = [met.free(sku) for sku, _ in items]
    request = met.connector.create([asked], NOW_MS)
    (created,) = met.connector.read_created(await met.send(request), [asked])
    assert created.accepted
    assert [met.free(sku) for sku, _ in items] == before
    assert (await met.lock(lock)).taken
    assert [met.free(sku) for sku, _ in items] == before
    assert met.site.warehouse.audit() == []


async def test_a_lock_ends_by_the_warehouses_clock(met: Met) -> None:
    """Where it reads the validity; else it lasts."""
    await met.lock(LOCK)
    met.clock.advance(30 * MINUTE_MS)
    assert met.free() == (10, 0)
    met.settings.reads_validity = False
    await met.lock(LOCK)
    met.clock.advance(300 * MINUTE_MS)
    assert met.free() == (8, 2)


async def test_what_is_short_is_named(met: Met) -> None:
    """All or nothing."""
    told = await met.lock(Lock(code=CODE, items=(("A", 11), ("猫粮", 1)), until_ms=LOCK.until_ms))
    assert (told.taken, told.short) == (False, ("A",))
    assert (met.free(), met.free("猫粮")) == ((10, 0), (10, 0))


async def test_a_warehouse_without_it_says_so(met: Met) -> None:
    """As one that was never told of the method."""
    met.settings.reserves = False
    with pytest.raises(PartnerFault) as fault:
        await met.lock(LOCK)
    assert fault.value.code == UNSUPPORTED
