"""The baselines are frozen: whoever changes one changes every figure, and must say so here."""

from __future__ import annotations

import httpx
import pytest

from loadtest.baselines import bare_echo, fastapi_echo
from loadtest.bench.machine import baseline_hashes
from loadtest.bench.orders import order_id, sku_name
from tests.conftest import RunningService

HASHES = {
    "bare_echo.py": "381f489c19ddb201b6b7fa99be9e7e3fb09400808f9c450a27c638a0750ce64a",
    "bare_writes.py": "ce92c2af7f8f08f2e48e58f443631353564d26e481be706c1bd90b57fd1d9a9d",
    "fastapi_echo.py": "067d8a8503eb9b1e039ab2bfb02139a19a644316a49d4da58ea8ad54b1069b49",
    "one_per_call.lua": "1c610047b9aba035e1fec1f1876082c503d7535f0e1aa9095f6e22329a5ea2d6",
    "postgres_hot.sql": "ec0cbdc02a6f4bf6558aab211cd9a43a017a7c64951268b129bccc41e70ab89c",
    "postgres_schema.sql": "afeba10c21b8481383194051eff3b5b07c0062ea99eb3280419fa5c755262d2d",
    "postgres_wide.sql": "9004e86e903dbdc54be18b3758b411f1e0ae680a0999822c671fc6e45c941571",
}


def test_no_baseline_has_changed() -> None:
    """A new baseline is named here; a changed one needs new accepted figures as well."""
    assert baseline_hashes() == HASHES


@pytest.mark.chaos
async def test_the_echoes_answer_as_much_as_the_product(service: RunningService) -> None:
    """Else they would have less to send."""
    headers = {"authorization": f"Bearer {service.admin_key}"}
    order = {"reservation_id": order_id(8_000_000), "lines": [{"sku": sku_name(0), "quantity": 1}]}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False) as client:
        await client.put(f"/v1/stock/{sku_name(0)}", json={"on_hand": 1_000_000})
        ours = await client.post("/v1/reservations", json=order)
    assert ours.status_code == 201
    for echo in (bare_echo.app, fastapi_echo.app):
        transport = httpx.ASGITransport(echo)
        async with httpx.AsyncClient(base_url="http://echo", transport=transport) as client:
            theirs = await client.post("/v1/reservations", json=order)
        assert theirs.status_code == 201
        assert len(theirs.content) == len(ours.content)
