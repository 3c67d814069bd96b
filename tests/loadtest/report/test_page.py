"""The report: one file that stands alone, the verdict first, its charts drawn in a browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.async_api import async_playwright

from loadtest.evidence import Evidence
from loadtest.figures import Counting, Figures, ServiceSample
from loadtest.history import Call, Head, HistoryWriter, Reservation, Stock
from loadtest.report import write_report
from loadtest.report.page import CHARTS
from loadtest.slo import SHIPPED, Proofs, judge, read
from loadtest.workload.scenarios import Sizes
from tests.conftest import need_program
from tests.loadtest.test_slo import check

ZERO = 1_800_000_000_000_000
SECONDS = 10_000  # ms for what a busy machine may take
NASTY = "</script><script>window.broken = true</script>"


def evidence(directory: Path, *, host: str = "http://127.0.0.1:8000") -> Evidence:
    """Make what a run of a minute leaves."""
    counting = Counting(ZERO)
    for number in range(600):
        due = ZERO + number * 100_000
        outcome = "sku-suspended" if number % 7 == 0 else "done"
        counting.count("reserve", outcome, due, due + 300, due + 4_000 + number * 20)
    figures: Figures = counting.figures()
    figures.sizes, figures.orders, figures.host = Sizes("hot_sku", 1, 600, 60.0), 600, host
    figures.service = [
        ServiceSample(second, store_bytes=2e6 + second * 1e4) for second in range(0, 60, 2)
    ]
    run = Head(scenario="hot_sku", seed=1, started_at="2026-01-22T10:00:00Z")
    with HistoryWriter(directory / "history-w0.ndjson", run) as history:
        history.write(Stock("A", "main", 900, 0, ZERO - 5, ZERO - 4))
        for number in range(50):
            name, at_us = f"tmall:{number}", ZERO + number * 1_000_000
            lines = (("A", "main", 3),)
            history.write(
                Call("c", "reserve", name, at_us, at_us, 201, lines=lines, state="confirmed")
            )
            history.write(Reservation(name, "confirmed", at_us, at_us))
    return Evidence(directory, figures.sizes.draw(), figures, Proofs(check(), {"ok": False}))


def written(directory: Path, **members: str) -> Path:
    """Write the report of it."""
    found = evidence(directory, **members)
    path = directory / "report.html"
    verdicts = judge(read(SHIPPED, "hot_sku"), found.plan, found.figures, found.proofs)
    write_report(path, found, verdicts)
    return path


def test_a_report_stands_alone(tmp_path: Path) -> None:
    """Nothing is loaded from elsewhere: it can be sent by mail and opened in ten years."""
    text = written(tmp_path).read_text()
    assert not re.findall(r"(?:src|href)=", text)
    assert "url(" not in text
    assert "import(" not in text


def test_the_verdict_stands_first(tmp_path: Path) -> None:
    """Before any figure, with what is not kept by name."""
    text = written(tmp_path).read_text()
    body = text[text.index("<body>") :]
    verdict = re.search(r'class="verdict bad"><b>Not kept</b><p>([^<]*)', body)
    assert verdict is not None
    assert "audit of the store" in verdict[1]
    assert verdict.start() < body.index('class="tiles"') < body.index("<table")


async def test_the_charts_are_drawn(tmp_path: Path) -> None:
    """Each has a canvas and a legend; a hostile address is text, and no script fails."""
    path = written(tmp_path, host=NASTY)
    chromium = need_program("chromium")
    faults: list[str] = []
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = await browser.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(path.as_uri())
        for key, title, _ in CHARTS:
            section = page.locator(f"#{key}")
            assert await section.locator("h2").inner_text() == title
            assert await section.locator("canvas").count() == 1, key
        told = await page.locator("#refusals .u-legend .u-value").all_inner_texts()
        assert len(told) > 1
        assert all(told)  # of the end, as long as nobody points at another time
        assert await page.evaluate("window.broken") is None
        assert NASTY in await page.inner_text("main")
        await browser.close()
    assert faults == []
