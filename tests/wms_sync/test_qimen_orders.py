"""An order in Qimen's words: every field in its place, samples and rush orders marked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from reservation.errors import ConfigurationError
from tests.wms_sync.qimen_house import (
    HOUSE,
    NOW_MS,
    OPTIONS,
    order,
    params,
    qimen,
    receiver,
    root,
    texts,
)
from wms_sync.qimen_orders import CARRIERS, MAX_CODE, ORDER_TYPES, yuan_of_fen
from wms_sync.rules.priority import Lane


def shanghai(at_ms: int) -> str:
    zone = timezone(timedelta(hours=8))
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def written(one, house=HOUSE):
    return root(house.create([one], NOW_MS))


def test_a_whole_order():
    """Each field that 26002 wants is there, from the order, the account or its options."""
    document = written(order("tmall:2601220001@main", ("CATFOOD", 2), ("猫砂 A&B", 1)))
    head = document.find("deliveryOrder")
    assert texts(head) == {
        "deliveryOrderCode": "tmall:2601220001@main",
        "orderType": "JYCK",
        "warehouseCode": "W01",
        "sourcePlatformCode": "TM",
        "sourcePlatformName": "tmall",
        "createTime": shanghai(NOW_MS - 30_000),
        "placeOrderTime": shanghai(NOW_MS - 120_000),
        "payTime": shanghai(NOW_MS - 60_000),
        "operateTime": shanghai(NOW_MS - 30_000),
        "shopNick": "旗舰店",
        "logisticsCode": "OTHER",
        "logisticsName": "其他",
        "isUrgency": "N",
        "latestDeliveryTime": shanghai(NOW_MS + 86_400_000),
    }
    assert texts(head.find("senderInfo")) == {
        "name": "仓管",
        "mobile": "13900000000",
        "province": "浙江省",
        "city": "杭州市",
        "detailAddress": "余杭区 1 号",
    }
    assert texts(head.find("receiverInfo")) == {
        "name": "张三",
        "mobile": "13800000000",
        "province": "上海",
        "city": "上海市",
        "area": "浦东新区",
        "detailAddress": "世纪大道 1 号",
    }
    common = {
        "sourceOrderCode": "2601220001",
        "ownerCode": "OWN",
        "inventoryType": "ZP",
        "actualPrice": "15.70",
    }
    assert [texts(line) for line in document.findall("orderLines/orderLine")] == [
        {"orderLineNo": "1", "itemCode": "CATFOOD", "planQty": "2"} | common,
        {"orderLineNo": "2", "itemCode": "猫砂 A&B", "planQty": "1"} | common,
    ]
    assert document.find("extendProps") is None


def test_an_order_is_written_the_same_each_time():
    """A repetition differs in nothing but the time of the call."""
    first, later = (HOUSE.create([order()], at_ms) for at_ms in (NOW_MS, NOW_MS + 600_000))
    assert first.body == later.body
    assert params(first)["method"] == "taobao.qimen.deliveryorder.create"
    assert params(later)["timestamp"] == shanghai(NOW_MS + 600_000)


def test_a_sample_carries_its_bench_and_its_inspection():
    """For people in the remark, for machines in extendProps, for bills as a service."""
    sample = order(lane=Lane.SAMPLE, bench="B7", quality_check="开箱查验 & 拍照")
    house = qimen(sample_order_type="QTCK", sample_service_code="QC01")
    for document in (written(sample, house), root(qimen(batch="2", sample_order_type="QTCK",
        sample_service_code="QC01").create([sample, order("tmall:2@main")], NOW_MS))
        .find("orders/order")):  # fmt: skip
        head = document.find("deliveryOrder")
        assert head.findtext("remark") == "样品单; 打包台: B7; 质检: 开箱查验 & 拍照"
        assert head.findtext("serviceCode") == "QC01"
        assert head.findtext("orderType") == "QTCK"
        assert texts(document.find("extendProps")) == {
            "orderClass": "SAMPLE",
            "packingBench": "B7",
            "qualityCheck": "Y",
            "qualityInstruction": "开箱查验 & 拍照",
        }
    unchecked = written(order(lane=Lane.SAMPLE, bench="B7"))
    assert unchecked.findtext("extendProps/qualityCheck") == "N"
    assert unchecked.findtext("deliveryOrder/remark") == "样品单; 打包台: B7"


def test_bench_and_inspection_are_a_samples_alone():
    """What an order of another lane says of them is not sent; no service is billed."""
    document = written(order(bench="B7", quality_check="x"), qimen(sample_service_code="QC01"))
    assert document.find("extendProps") is None
    assert document.find("deliveryOrder/remark") is None
    assert document.find("deliveryOrder/serviceCode") is None


def test_a_rush_order_is_urgent():
    """IsUrgency says so."""
    assert written(order(lane=Lane.RUSH)).findtext("deliveryOrder/isUrgency") == "Y"


def test_a_hidden_address_goes_with_the_number_of_its_order():
    """Tmall's token opens with nothing else."""
    head = written(order(to=receiver(oaid="oaid=="))).find("deliveryOrder")
    assert head.findtext("receiverInfo/oaid") == "oaid=="
    assert head.findtext("oaidOrderSourceCode") == "2601220001"
    assert written(order()).find("deliveryOrder/oaidOrderSourceCode") is None


@pytest.mark.parametrize(
    ("platform", "code"),
    [("tmall", "TM"), ("douyin", "DYXD"), ("dealer-hz", "OTHERS"), ("shop9", "XHS")],
)
def test_platforms(platform, code):
    """A dealer's own system is one of the others, by its name; an option names a further one."""
    head = written(order(platform=platform), qimen(platform__shop9="XHS")).find("deliveryOrder")
    assert (head.findtext("sourcePlatformCode"), head.findtext("sourcePlatformName")) == (
        code,
        platform,
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        ("", "ZTO", "中通"),
        ("SF", "SF", "顺丰"),
        ("yunda", "YUNDA", "韵达"),
        ("JITU", "JITU", None),
    ],
)
def test_carriers(ours, theirs, name):
    """Ours are Qimen's own but where the account says otherwise; nobody's choice is its default."""
    house = qimen(default_carrier="ZTO", carrier__yunda="YUNDA")
    head = written(order(carrier=ours), house).find("deliveryOrder")
    assert (head.findtext("logisticsCode"), head.findtext("logisticsName")) == (theirs, name)
    assert CARRIERS["OTHER"] == "其他"


def test_a_cipher_is_written_whole():
    """Nobody could open it otherwise; `PUT …/shipping` takes 1,024 characters of each."""
    texts_of_it = {
        name: f"{number}" * 1_024
        for number, name in enumerate(("name", "mobile", "detail_address", "oaid"))
    }
    to = written(order(to=receiver(**texts_of_it))).find("deliveryOrder/receiverInfo")
    fields = ("name", "mobile", "detailAddress", "oaid")
    assert [to.findtext(field) for field in fields] == list(texts_of_it.values())


def test_a_shop_without_a_name_has_the_accounts():
    """ShopNick is needed."""
    head = written(order(shop=""), qimen(shop="总店")).find("deliveryOrder")
    assert head.findtext("shopNick") == "总店"


def test_an_order_that_is_not_paid_has_no_time_of_it():
    """PayTime may be left out."""
    assert written(order(paid_ms=None)).find("deliveryOrder/payTime") is None


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (order(f"tmall:{'1' * (MAX_CODE - 11)}@main"), ""),
        (order(f"tmall:{'1' * (MAX_CODE - 10)}@main"), "longer than the 50"),
        (order("tmall:1@main", ("猫\ufffe", 1)), "cannot be written"),
        (order(to=receiver(mobile="")), "no mobile"),
        (order(to=receiver(name="", city="")), "no name, no city"),
        (order(to=receiver(area="", zip_code="")), ""),
        (order(shop=""), "names no shop"),
    ],
)
def test_problems(one, said):
    """What Qimen cannot take is said before any call."""
    problem = HOUSE.problem(one)
    assert said in problem
    assert bool(problem) == bool(said)


@pytest.mark.parametrize(
    ("fen", "yuan"), [(0, "0.00"), (5, "0.05"), (1570, "15.70"), (10**12, "10000000000.00")]
)
def test_money(fen, yuan):
    """Without a float in between."""
    assert yuan_of_fen(fen) == yuan


def test_a_batch():
    """Each order stands whole in its own element."""
    house = qimen(batch="3")
    request = house.create([order(), order("tmall:2@main", ("B", 1))], NOW_MS)
    assert params(request)["method"] == "taobao.qimen.deliveryorder.batchcreate"
    each = root(request).findall("orders/order")
    assert [one.findtext("deliveryOrder/deliveryOrderCode") for one in each] == [
        "tmall:2601220001@main",
        "tmall:2@main",
    ]
    assert each[1].findtext("orderLines/orderLine/itemCode") == "B"
    for orders in ([], [order()] * 4):
        with pytest.raises(ValueError, match="1 to 3"):
            house.create(orders, NOW_MS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(({name: ""}, rf"wms\.main: Qimen needs options\.{name}: set") for name in OPTIONS),
        ({"order_type": "XX"}, f"order_type 'XX' is none of {', '.join(sorted(ORDER_TYPES))}"),
        ({"sample_order_type": "XX"}, "sample_order_type 'XX'"),
        ({"batch": "0"}, "batch is 1 to 50"),
        ({"batch": "51"}, "batch is 1 to 50"),
        ({"batch": "x"}, "batch is 1 to 50"),
        ({"freshness_seconds": "0"}, "freshness_seconds"),
        ({"freshness_seconds": "ten"}, "freshness_seconds"),
        ({"version": "abc"}, "version is one like"),
    ],
)
def test_poor_accounts(options, said):
    """What lacks or is wrong is named at construction, with the next step."""
    with pytest.raises(ConfigurationError, match=said):
        qimen(**options)


def test_all_that_lacks_is_named_at_once():
    """Nobody has to start it six times."""
    with pytest.raises(ConfigurationError, match=r"needs code, secrets, options\.customer_id: set"):
        qimen(code="", secrets=(), customer_id="")
