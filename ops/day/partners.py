"""What the day's shops and its warehouse have agreed on, whoever plays it."""

from __future__ import annotations

from typing import Final

from ops.day.plan import EXPRESS_SKU, SAMPLE_SKUS, URGENT_WORD
from reservation.shops import Samples, Urgent

ORIGIN_MS: Final = 1_801_929_600_000  # midnight of 2027-02-07 in China, in the festival's week
WAREHOUSE: Final = "main"
CUSTOMER, CODE, OWNER = "C1", "W1", "O1"  # at Qimen: who we are, its warehouse, whose goods
BENCH, CHECK = "B7", "开箱查验"
BURST: Final = 20  # orders at once, after a quiet moment
# At 300 times a call that takes 100 ms arrives half a minute later: so much the warehouse lets pass
# beside its burst, or it would take our machine's delays for too many orders.
TRANSIT: Final = 20
PRICE_FEN: Final = 9_900
# A minute of real time is hours of the day: what is signed is fresh for as long as real calls take.
FRESH_SECONDS: Final = 86_400
SPREAD: Final = 0.5  # by which steps of the warehouse are longer or shorter

URGENT: Final = Urgent(words=(URGENT_WORD,), skus=(EXPRESS_SKU,))
SAMPLES: Final = Samples(skus=SAMPLE_SKUS, bench=BENCH, quality_check=CHECK)
QIMEN_OPTIONS: Final = {
    "customer_id": CUSTOMER,
    "freshness_seconds": str(FRESH_SECONDS),
    "shop": "旗舰店",  # of a dealer's orders, which name none
    "sender_name": "仓管",
    "sender_mobile": "13900000000",
    "sender_province": "浙江省",
    "sender_city": "杭州市",
    "sender_address": "余杭区 1 号",
}
