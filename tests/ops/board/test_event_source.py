"""What a browser makes of our streams' signs of life."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page

from reservation.api.history import nothing_new


async def test_a_browser_goes_on_where_a_sign_of_life_said(page: Page) -> None:
    """It dispatches nothing for it, and names the id when it connects again."""
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        kind, body = b"text/html", b"<title>x</title>"
        if head.startswith("get /events"):
            asked.put_nowait(head.partition("last-event-id: ")[2].partition("\r\n")[0])
            kind, body = b"text/event-stream", b"retry: 1\n\n" + nothing_new("7-1.2")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nconnection: close\r\n\r\n" % kind)
        writer.write(body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.evaluate(
            """() => {
                window.told = 0;
                window.source = new EventSource("/events");
                window.source.onmessage = () => { window.told += 1; };
            }"""
        )
        async with asyncio.timeout(20):
            assert [await asked.get(), await asked.get()] == ["", "7-1.2"]
        assert await page.evaluate("window.told") == 0
        await page.evaluate("window.source.close()")
