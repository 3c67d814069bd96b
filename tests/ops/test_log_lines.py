"""Lines of one turn of the loop are one write; what matters is written at once, in order."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys

from ops.log_lines import Lines


class Stream(io.StringIO):
    """A stream that counts its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        """Note what is written."""
        self.writes.append(text)
        return super().write(text)


async def test_what_is_said_in_one_turn_is_written_together() -> None:
    stream = Stream()
    lines = Lines(stream)
    lines.info("a")
    lines.debug("b")
    assert stream.writes == []
    await asyncio.sleep(0)
    assert stream.writes == ["a\nb\n"]
    lines.info("c")
    await asyncio.sleep(0)
    assert stream.writes == ["a\nb\n", "c\n"]


async def test_a_warning_waits_for_nothing_and_overtakes_nothing() -> None:
    stream = Stream()
    lines = Lines(stream)
    lines.info("a")
    lines.warning("b")
    assert stream.writes == ["a\nb\n"]
    lines.error("c")
    assert stream.writes[1:] == ["c\n"]
    await asyncio.sleep(0)
    assert len(stream.writes) == 2


def test_without_a_loop_each_is_written_at_once() -> None:
    stream = Stream()
    lines = Lines(stream)
    lines.info("a")
    lines.info("b")
    assert stream.writes == ["a\n", "b\n"]


def test_a_loop_that_ends_loses_none_and_the_next_one_writes_too() -> None:
    """What the first has not come to writes the second, or the end of the process."""
    stream = Stream()
    lines = Lines(stream)
    loop = asyncio.new_event_loop()

    async def say(text: str) -> None:
        lines.info(text)
        if text == "a":
            loop.stop()

    first = loop.create_task(say("a"))
    loop.run_forever()
    loop.close()
    assert first.done()
    asyncio.run(say("b"))
    assert stream.getvalue() == "a\nb\n"


def test_the_end_of_a_process_writes_what_waits() -> None:
    script = (
        "import asyncio, sys; from ops.log_lines import Lines\n"
        "async def main(): Lines(sys.stdout).info('last'); asyncio.get_running_loop().stop()\n"
        "loop = asyncio.new_event_loop(); loop.create_task(main()); loop.run_forever()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "last\n"


def test_a_stream_that_takes_nothing_stops_nobody() -> None:
    """A full disk, or a reader that has left: who logs goes on."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, f"no room for {text}")

    Lines(Full()).error("lost")
