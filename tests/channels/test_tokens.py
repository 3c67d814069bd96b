"""What opens a platform: asked for first, renewed before its end or where it is refused, once."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.errors import TokenRefused
from channels.model import PlatformOrder
from channels.registry import adapter_of
from channels.tokens import TokenFile
from channels.transport import RENEW_MS, Platform
from partners.errors import PartnerFault
from reservation.shops import Shop
from tests.channels.bazaar import NOW_MS, BazaarServer


class Opened:
    """A platform, and a clock that the test moves; in a data directory its token is kept."""

    def __init__(
        self,
        bazaar: BazaarServer,
        token: str = "",
        data_dir: Path | None = None,
        app_key: str = "",
        **options: str,
    ) -> None:
        self.now_ms = NOW_MS
        shop = Shop(
            platform="tests.channels.bazaar:Bazaar",
            url=bazaar.url,
            app_key=app_key,
            token=token,
            options=options,
        )
        self.platform = Platform(
            adapter_of("bazaar", shop),
            token,
            kept=data_dir and TokenFile(data_dir, "bazaar", shop),
            now_ms=lambda: self.now_ms,
        )

    async def order(self) -> PlatformOrder | None:
        """Ask for an order."""
        adapter = self.platform.adapter
        return await self.platform.ask(lambda at: adapter.detail("1", at), adapter.read_detail)


@pytest.fixture
async def opened(bazaar: BazaarServer) -> AsyncIterator[Opened]:
    """Open a platform whose tokens end."""
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = set()
    made = Opened(bazaar, tokens="end")
    yield made
    await made.platform.close()


async def test_a_token_is_asked_for_once(bazaar: BazaarServer, opened: Opened) -> None:
    for _ in range(3):
        assert await opened.order() is not None
    assert bazaar.refreshes == [""]


async def test_a_refused_token_is_renewed_and_the_call_made_again(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """By what came with the one before."""
    await opened.order()
    bazaar.tokens = set()
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_new_token_that_is_refused_is_not_renewed_at_once(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """Whoever asks next tries again."""
    await opened.order()
    asked: list[str] = []

    def shut(path: str) -> None:
        asked.append(path.partition("?")[0])
        if path.startswith("/orders"):
            bazaar.tokens = set()

    bazaar.before = shut
    with pytest.raises(TokenRefused):
        await opened.order()
    assert asked == ["/orders/1", "/token", "/orders/1"]


async def test_callers_that_are_refused_together_renew_once(
    bazaar: BazaarServer, opened: Opened
) -> None:
    await opened.order()
    bazaar.tokens = set()
    together = threading.Barrier(3)
    calls: list[str] = []

    def meet(path: str) -> None:
        if path.startswith("/orders"):
            calls.append(path)
            if len(calls) <= 3:
                together.wait(5)

    bazaar.before = meet
    found = await asyncio.gather(*(opened.order() for _ in range(3)))
    assert None not in found
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_caller_that_is_refused_late_takes_the_token_that_there_is_by_then(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """Its own had been renewed by another one while the platform refused it."""
    await opened.order()
    bazaar.tokens = set()
    orders: list[str] = []
    renewed = threading.Event()

    def hold(path: str) -> None:
        if path.startswith("/orders"):
            orders.append(path)
            match len(orders):
                case 2:
                    assert renewed.wait(5)
                case 3:
                    renewed.set()

    bazaar.before = hold
    found = await asyncio.gather(opened.order(), opened.order())
    assert None not in found
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_token_is_renewed_before_its_end(bazaar: BazaarServer, opened: Opened) -> None:
    """So that no call of an order fails for it."""
    bazaar.token_until_ms = NOW_MS + 3_600_000
    await opened.order()
    opened.now_ms = bazaar.token_until_ms - RENEW_MS - 1
    await opened.order()
    assert bazaar.refreshes == [""]
    opened.now_ms += 1
    bazaar.token_until_ms = 1 << 62
    await opened.order()
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_what_refreshes_may_run_out_too(bazaar: BazaarServer, opened: Opened) -> None:
    """After two weeks of rest, say: then it begins as the first time."""
    await opened.order()
    bazaar.tokens = set()
    bazaar.before = lambda path: bazaar.faults.extend([(403, {})] * path.endswith("refresh-1"))
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", ""]


async def test_a_platform_that_is_busy_is_no_reason_to_begin_anew(
    bazaar: BazaarServer, opened: Opened
) -> None:
    await opened.order()
    bazaar.tokens = set()
    asked: list[str] = []

    def busy(path: str) -> None:
        if path.startswith("/token"):
            asked.append(path)
            bazaar.faults.append((503, {}))

    bazaar.before = busy
    with pytest.raises(PartnerFault, match="503"):
        await opened.order()
    assert asked == ["/token?refresh=refresh-1"]
    bazaar.before = lambda path: None
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_where_no_token_can_be_asked_for_refused_stays_refused(bazaar: BazaarServer) -> None:
    """The account's own is taken again once it opens again."""
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = {"mine"}
    opened = Opened(bazaar, "mine")
    assert await opened.order() is not None
    bazaar.tokens = set()
    calls: list[str] = []
    bazaar.before = calls.append
    for _ in range(2):
        with pytest.raises(TokenRefused):
            await opened.order()
    assert calls == ["/orders/1"] * 2
    bazaar.tokens = {"mine"}
    assert await opened.order() is not None
    await opened.platform.close()


# -- over restarts, and for several processes ------------------------------------------------------


class House:
    """A data directory whose processes open the bazaar, one after the other or beside."""

    def __init__(self, bazaar: BazaarServer, path: Path, stack: AsyncExitStack) -> None:
        self._bazaar, self._path, self._stack = bazaar, path, stack
        self.file = path / "tokens" / "bazaar.json"

    def files(self) -> list[str]:
        """Name what is kept."""
        return sorted(path.name for path in self.file.parent.iterdir())

    def begins(self, token: str = "", app_key: str = "") -> Opened:
        """Begin a process."""
        opened = Opened(self._bazaar, token, self._path, app_key, tokens="end")
        self._stack.push_async_callback(opened.platform.close)
        return opened


@pytest.fixture
async def house(bazaar: BazaarServer, tmp_path: Path) -> AsyncIterator[House]:
    """Keep tokens in a directory that is not there yet."""
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = set()
    async with AsyncExitStack() as stack:
        yield House(bazaar, tmp_path / "var", stack)


async def test_a_token_outlives_its_process(bazaar: BazaarServer, house: House) -> None:
    """And so does what renews it: the next process asks for neither anew."""
    await house.begins().order()
    again = house.begins()
    await again.order()
    assert bazaar.refreshes == [""]
    bazaar.tokens = set()
    assert await again.order() is not None
    assert bazaar.refreshes == ["", "refresh-1"]
    bazaar.tokens = set()  # while nobody runs
    assert await house.begins().order() is not None
    assert bazaar.refreshes == ["", "refresh-1", "refresh-2"]


async def test_a_token_is_for_us_alone(house: House) -> None:
    """The file from its first instant, and nothing is left beside it but the lock."""
    await house.begins().order()
    assert oct(house.file.stat().st_mode & 0o777) == "0o600"
    assert oct(house.file.parent.stat().st_mode & 0o777) == "0o700"
    assert house.files() == ["bazaar.json", "bazaar.lock"]


async def test_what_renews_a_token_may_have_run_out_meanwhile(
    bazaar: BazaarServer, house: House
) -> None:
    """Then it begins as the first time, as ever."""
    await house.begins().order()
    bazaar.tokens = set()
    bazaar.before = lambda path: bazaar.faults.extend([(403, {})] * path.endswith("refresh-1"))
    assert await house.begins().order() is not None
    assert bazaar.refreshes == ["", ""]


async def test_processes_share_a_token(bazaar: BazaarServer, house: House) -> None:
    """Whoever comes second takes what the first was given: what renews counts once."""
    one, other = house.begins(), house.begins()
    await asyncio.gather(one.order(), other.order())
    assert bazaar.refreshes == [""]
    bazaar.tokens = set()
    found = await asyncio.gather(one.order(), other.order())
    assert None not in found
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_one_process_at_a_time_renews(bazaar: BazaarServer, house: House) -> None:
    """The other one waits, and dies without harm."""
    await house.begins().order()
    other = house.begins()
    await other.order()
    bazaar.tokens = set()
    lock = os.open(house.file.with_suffix(".lock"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waiting = asyncio.create_task(other.order())
    refused = asyncio.Event()
    loop = asyncio.get_running_loop()
    bazaar.before = lambda path: (
        path.startswith("/orders") and loop.call_soon_threadsafe(refused.set)
    )
    await refused.wait()
    assert bazaar.refreshes == [""]
    os.close(lock)
    assert await waiting is not None
    assert bazaar.refreshes == ["", "refresh-1"]


@pytest.mark.parametrize(("token", "app_key"), [("another", ""), ("", "another")])
async def test_a_token_of_another_account_is_none(
    bazaar: BazaarServer, house: House, token: str, app_key: str
) -> None:
    """Whose settings they were cannot be opened by what these get."""
    await house.begins().order()
    await house.begins(token, app_key).order()
    assert bazaar.refreshes == ["", ""]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"account": 1}', b"\xff\xfe"])
async def test_a_file_that_cannot_be_read_is_said_and_none(
    bazaar: BazaarServer, house: House, content: bytes
) -> None:
    """The next token takes its place."""
    house.file.parent.mkdir(parents=True)
    house.file.write_bytes(content)
    with capture_logs() as said:
        await house.begins().order()
    assert [line["event"] for line in said] == ["token_unreadable"]
    await house.begins().order()
    assert bazaar.refreshes == [""]


async def test_a_token_that_cannot_be_kept_opens_all_the_same(
    bazaar: BazaarServer, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says so, without a word of it; an older one is not left for the next process."""
    opened = house.begins()
    await opened.order()
    bazaar.tokens = set()

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with capture_logs() as said:
        assert await opened.order() is not None
    path = str(house.file)
    reason = "No space left on device"
    assert said == [
        {"event": "token_not_kept", "path": path, "reason": reason, "log_level": "warning"}
    ]
    assert house.files() == ["bazaar.lock"]
    monkeypatch.undo()
    bazaar.tokens = set()
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", "refresh-1", "refresh-2"]


async def test_where_nothing_is_to_be_asked_for_nothing_is_kept(
    bazaar: BazaarServer, tmp_path: Path
) -> None:
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = {"mine"}
    opened = Opened(bazaar, "mine", tmp_path)
    assert await opened.order() is not None
    await opened.platform.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (nothing may wait here)
