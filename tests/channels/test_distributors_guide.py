"""What docs/distributors.md tells dealers to do is what is taken from them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from channels.model import Hint, OrderState
from channels.order_file import OrderFileName, read_order_file
from partners.errors import MessageRefused
from partners.model import Push
from tests.channels.dealer import NOW_MS, SECRET, dealer, order_of, push
from tests.conftest import need_program

GUIDE = (Path(__file__).parents[2] / "docs" / "distributors.md").read_text("utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return str(text)


def test_its_message_is_an_order() -> None:
    order = order_of(json.loads(block("json")))
    assert (order.order_id, order.paid_fen) == ("HZ20260122-0007", 38700)


def test_its_words_are_those_that_are_known() -> None:
    rows = re.findall(
        r"^\| (`[a-z_]+`.*?) \| (.*?) \| (held|committed|left|released) \|$", GUIDE, re.MULTILINE
    )
    state = {
        "held": OrderState.UNPAID,
        "committed": OrderState.PAID,
        "left": OrderState.SHIPPED,
        "released": OrderState.CLOSED,
    }
    told = {
        word.strip("`"): state[what]
        for english, chinese, what in rows
        for word in f"{english}, {chinese}".split(", ")
    }
    assert told == dict(dealer()._words)


def test_its_file_is_two_orders() -> None:
    name = OrderFileName("HZ01", NOW_MS + 900_000)
    file = read_order_file(block("csv").encode(), name=name)
    assert (len(file.orders), file.errors) == (2, ())


class Inbox:
    """Takes messages over HTTP as the adapter says."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        adapter = dealer()
        try:
            self.hints += adapter.read_push(Push(body, headers), int(time.time() * 1000))
            reply = adapter.acknowledge()
        except MessageRefused as why:
            reply = adapter.refuse(why)
        writer.write(b"HTTP/1.1 %d x\r\nconnection: close\r\n\r\n" % reply.status)
        await writer.drain()
        writer.close()


async def run(secret: str, tmp_path: Path, command: Sequence[str]) -> tuple[str, list[Hint]]:
    """Run a program of the guide; return what it prints and what has come of it."""
    inbox = Inbox()
    server = await asyncio.start_server(inbox.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOLDFAST_MESSAGES": f"http://127.0.0.1:{port}/v1/channels/dealer-hz/messages",
        "DEALER_SECRET": secret,
    }
    async with server:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
    return printed.decode().strip(), inbox.hints


PYTHON = (sys.executable, "-c", block("python"))
SHELL = ("sh", "-c", block("sh"))


@pytest.mark.parametrize(
    ("command", "order_id"),
    [(PYTHON, "HZ20260122-0007"), (SHELL, "HZ20260122-0008")],
    ids=["python", "shell"],
)
async def test_its_programs_send_an_order(
    tmp_path: Path, command: Sequence[str], order_id: str
) -> None:
    """With the dealer's secret, with its prefix or without; with another it is refused."""
    for tool in ("openssl", "curl") if command is SHELL else ():
        need_program(tool)
    printed, hints = await run(SECRET, tmp_path, command)
    assert printed == "204"
    (hint,) = hints
    assert hint.message_id == f"{order_id}-paid"
    assert hint.order is not None
    assert (hint.order.order_id, hint.order.state) == (order_id, OrderState.PAID)
    assert (await run(SECRET.removeprefix("whsec_"), tmp_path, command))[0] == "204"
    assert await run("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", tmp_path, command) == ("401", [])


def test_a_ping_is_taken() -> None:
    assert dealer().read_push(push({"type": "ping"}), NOW_MS) == ()
