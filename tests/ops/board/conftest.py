"""Fixtures: Debian's chromium, a service, and a page that has signed in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright
from pytest_asyncio import is_async_test

from tests.conftest import ADMIN_KEY, need_program
from tests.ops.service import Service

HERE = Path(__file__).parent
SECONDS = 10_000  # ms for what a busy machine may take


class Deployment:
    """A service of its own for a test of the board."""

    def __init__(self, service: Service, data_dir: Path) -> None:
        self.service = service
        self.data_dir = data_dir
        self.url = service.url
        self.client = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            timeout=10,
            trust_env=False,
        )

    def stock(self, **levels: int) -> None:
        """Put units on hand."""
        for sku, on_hand in levels.items():
            self.client.put(
                f"/v1/stock/{quote(sku, safe='')}", json={"on_hand": on_hand}
            ).raise_for_status()

    def reserve(self, reservation_id: str, sku: str, quantity: int) -> int:
        """Reserve; returns the status."""
        lines = [{"sku": sku, "quantity": quantity}]
        body = {"reservation_id": reservation_id, "lines": lines}
        return self.client.post("/v1/reservations", json=body).status_code

    def trip_by_failures(self, sku: str, channel: str = "douyin") -> None:
        """Let three locks fail."""
        statuses = [self.reserve(f"{channel}:{sku}-{n}", sku, 9_999) for n in range(3)]
        assert statuses == [409, 409, 409]


SETTINGS = {
    "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
    "HOLDFAST_DURABILITY": "memory",
    "HOLDFAST_LOG_LEVEL": "warning",
}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Run a service."""
    data_dir = tmp_path / "var"
    with Service("up", "--port", "0", "--data-dir", data_dir, **SETTINGS) as running:
        made = Deployment(running, data_dir)
        yield made
        made.client.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in one event loop: that of their browser."""
    for item in items:
        if item.path.is_relative_to(HERE) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Run chromium without a window, once: what a page leaves behind goes with its context."""
    path = need_program("chromium")
    async with async_playwright() as playwright:
        # A container's root has no sandbox of its own.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a page that fails its test where the page itself does."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    opened = await context.new_page()
    opened.set_default_timeout(SECONDS)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            faults.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield opened
    await context.close()
    assert faults == []


async def sign_in(page: Page, url: str, key: str = ADMIN_KEY) -> None:
    """Open the board and sign in."""
    await page.goto(f"{url}/board")
    await page.fill("#key", key)
    await page.press("#key", "Enter")
    await page.wait_for_selector(".strip")
