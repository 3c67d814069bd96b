"""The report: one file that stands alone, the verdict first, its charts drawn in a browser."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

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
PHONE, WIDE = 390, 1280
NOTE_WHAT_IS_DRAWN = """
window.drawn = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  window.drawn.push(text);
  return fillText.call(this, text, ...place);
};
"""
NASTY = "</script><script>window.broken = true</script>"


def evidence(
    directory: Path, *, host: str = "http://127.0.0.1:8000", seconds: int = 60, **members: float
) -> Evidence:
    """Make what a run leaves."""
    counting = Counting(ZERO)
    for number in range(600):
        due = ZERO + number * seconds * 1_000_000 // 600
        outcome = "sku-suspended" if number % 7 == 0 else "done"
        counting.count("reserve", outcome, due, due + 300, due + 4_000 + number * 20)
        counting.count("availability", outcome, due, due + 300, due + 12_345_000 + number * 20)
    figures: Figures = counting.figures()
    figures.sizes, figures.orders, figures.host = (
        Sizes("hot_sku", 1, 600, float(seconds)),
        600,
        host,
    )
    for name, value in members.items():
        setattr(figures, name, value)
    figures.service = [
        ServiceSample(second, store_bytes=2e6 + second * 1e4) for second in range(0, seconds, 2)
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


def written(directory: Path, **members: Any) -> Path:
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


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"cut_off_seconds": 12.34}, "cut off after 12.3 s of 60.0 s. "),
        ({"cut_off_seconds": -0.5}, "cut off in the warm-up, before any of the 60.0 s that count"),
        (
            {"cut_off_seconds": 2, "unsent": 1_234},
            "cut off after 2.0 s of 60.0 s; 1,234 calls were due and had not been sent",
        ),
    ],
)
def test_a_run_that_was_cut_off_is_marked(
    members: dict[str, float], told: str, tmp_path: Path
) -> None:
    """First of all, and whatever else is kept."""
    text = written(tmp_path, **members).read_text()
    assert f'class="verdict bad"><b>Cut off</b><p>The run was {told}' in text
    assert ", cut off</title>" in text


@asynccontextmanager
async def opened(path: Path, width: int) -> AsyncIterator[Page]:
    """Open a report in a browser that notes each text that is drawn, and fails with the page."""
    chromium = need_program("chromium")
    faults: list[str] = []
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = await browser.new_page(viewport={"width": width, "height": 844})
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.add_init_script(NOTE_WHAT_IS_DRAWN)
        await page.goto(path.as_uri())
        yield page
        await browser.close()
    assert faults == []


async def test_a_phone_shows_every_column(tmp_path: Path) -> None:
    """390 pixels wide: nothing is beside the screen, nothing has to be pushed aside."""
    async with opened(written(tmp_path), PHONE) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE
        wide = (
            "[...document.querySelectorAll('section')].filter(s => s.scrollWidth > s.clientWidth)"
        )
        assert await page.evaluate(f"{wide}.map(s => s.querySelector('h2').innerText)") == []


async def test_a_tick_tells_where_it_stands(tmp_path: Path) -> None:
    """Every 2.5 s, the sixth is at 12.5 and not at 13."""
    async with opened(written(tmp_path, seconds=20), WIDE) as page:
        drawn = set(await page.evaluate("window.drawn"))
        assert {"2.5 s", "10 s", "12.5 s", "17.5 s"} <= drawn
        assert not {"13 s", "18 s"} & drawn


async def test_the_charts_are_drawn(tmp_path: Path) -> None:
    """Each has a canvas and a legend; a hostile address is text, and no script fails."""
    async with opened(written(tmp_path, host=NASTY), WIDE) as page:
        for key, title, _ in CHARTS:
            section = page.locator(f"#{key}")
            assert await section.locator("h2").inner_text() == title
            assert await section.locator("canvas").count() == 1, key
        told = await page.locator("#refusals .u-legend .u-value").all_inner_texts()
        assert len(told) > 1
        assert all(told)  # of the end, as long as nobody points at another time
        assert await page.evaluate("window.broken") is None
        assert NASTY in await page.inner_text("main")
