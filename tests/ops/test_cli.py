"""The command line: what each command answers, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from ops.cli import endings
from reservation.config import Settings
from reservation.errors import (
    ConfigurationError,
    InvalidRequest,
    StoreUnavailable,
    UnsafeStore,
)
from reservation.store.embedded import EmbeddedStore
from reservation.store.places import socket_url
from tests.ops.service import Service, holdfast
from tests.waiting import until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the data directory of `service`."""
    return tmp_path_factory.mktemp("cli") / "var"


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """Run everything for all tests here."""
    with Service("up", "--data-dir", data_dir, "--port", "0") as running:
        assert until(running.ready, "ready")
        yield running


def get(service: Service, token: str) -> int:
    """Use a key; return the status."""
    url = f"{service.url}/v1/availability?sku=CAT"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code


class TestKeys:
    """`holdfast keys`."""

    def test_a_key_lives_and_ends(self, service: Service, data_dir: Path) -> None:
        """A new key works at once, is printed once and alone, and ends when it is revoked."""
        made = holdfast(
            *("keys", "create", "--role", "channel", "--channel", "tmall", "--name", "gateway 1"),
            *("--data-dir", data_dir),
        )
        assert made.returncode == 0
        token = made.stdout.strip()
        assert made.stdout == f"{token}\n"
        assert token not in made.stderr
        assert get(service, token) == 200
        listed = holdfast("keys", "list", "--data-dir", data_dir)
        assert "gateway 1" in listed.stdout
        assert "tmall" in listed.stdout
        assert token.rsplit("_", 1)[1] not in listed.stdout
        revoked = holdfast("keys", "revoke", "gateway 1", HOLDFAST_DATA_DIR=str(data_dir))
        assert revoked.returncode == 0
        until(lambda: get(service, token) == 401, "it is refused", seconds=7)
        again = holdfast("keys", "revoke", "gateway 1", "--data-dir", data_dir)
        assert again.returncode == 1
        assert "keys list" in again.stderr

    def test_a_name_is_no_markup(self, service: Service, data_dir: Path) -> None:
        """A key named `[/x]` was made and never shown, and the list failed from then on."""
        assert service.ready()
        for name in ("[/x]", "[red]", ":boom:"):
            made = holdfast(
                *("keys", "create", "--role", "viewer", "--name", name, "--data-dir", data_dir)
            )
            assert f"({name}, viewer), shown only now" in made.stderr
            assert made.stdout.strip()
            assert name in holdfast("keys", "list", "--data-dir", data_dir).stdout

    @pytest.mark.parametrize(
        ("arguments", "cause"),
        [
            (["--role", "channel"], "give --channel"),
            (["--role", "ops", "--channel", "tmall"], "leave --channel out"),
            (["--role", "channel", "--channel", "T"], "not a channel"),
            (["--role", "viewer", "--name", " "], "name"),
            (["--role", "king"], "king"),
        ],
    )
    def test_wrong_usage(
        self, service: Service, data_dir: Path, arguments: list[str], cause: str
    ) -> None:
        """Exit code 2, and the option that is wrong is named."""
        assert service.ready()
        done = holdfast("keys", "create", *arguments, "--data-dir", data_dir)
        assert done.returncode == 2
        assert cause in done.stderr
        assert done.stdout == ""

    def test_a_keys_address_may_be_given(self, service: Service, data_dir: Path) -> None:
        """HOLDFAST_REDIS_URL is another way to name the store."""
        assert service.ready()
        listed = holdfast("keys", "list", HOLDFAST_REDIS_URL=socket_url(data_dir))
        assert listed.returncode == 0
        assert "admin" in listed.stdout


class TestAudit:
    """`holdfast audit`."""

    def test_it_is_clean(self, service: Service, data_dir: Path) -> None:
        """Exit code 0 and a sentence; with --json the figures."""
        assert service.ready()
        done = holdfast("audit", "--data-dir", data_dir)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Every invariant holds" in done.stdout
        told = json.loads(holdfast("audit", "--json", "--data-dir", data_dir).stdout)
        assert told["ok"] is True
        assert told["findings"] == []

    def test_it_finds_what_is_wrong(self, tmp_path: Path) -> None:
        """A counter that somebody changed by hand ends it with exit code 1."""
        settings = Settings(data_dir=tmp_path / "var")
        with EmbeddedStore(settings) as store, redis.Redis.from_url(store.url) as client:
            assert holdfast("audit", "--data-dir", settings.data_dir).returncode == 0
            client.hset("hf:{p0000}:held", "CAT@main", 5)
            done = holdfast("audit", "--data-dir", settings.data_dir)
            assert done.returncode == 1
            assert "CAT" in done.stdout
            told = holdfast("audit", "--json", "--data-dir", settings.data_dir)
            assert told.returncode == 1
            assert json.loads(told.stdout)["ok"] is False


class TestDoctor:
    """`holdfast doctor`."""

    def test_a_healthy_installation(self, service: Service, data_dir: Path) -> None:
        """Exit code 0; it knows its own service on the port."""
        port = service.url.rpartition(":")[2]
        done = holdfast("doctor", "--data-dir", data_dir, "--port", port)
        assert done.returncode == 0, done.stdout
        assert "Holdfast answers at" in done.stdout
        told = json.loads(
            holdfast("doctor", "--json", "--data-dir", data_dir, "--port", port).stdout
        )
        assert told["ok"] is True
        assert {"name", "verdict", "found", "remedy"} == set(told["checks"][0])


class TestEnds:
    """How commands end that cannot do what they are asked."""

    @pytest.mark.parametrize("command", [["keys", "list"], ["audit"], ["doctor"]])
    def test_no_store(self, tmp_path: Path, command: list[str]) -> None:
        """Exit code 3, and how to start one."""
        done = holdfast(*command, "--data-dir", tmp_path / "var")
        assert done.returncode == 3
        assert "holdfast up" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr

    def test_no_store_at_an_address(self) -> None:
        """Exit code 3, and the setting to look at."""
        done = holdfast("audit", HOLDFAST_REDIS_URL="redis://127.0.0.1:1")
        assert done.returncode == 3
        assert "check HOLDFAST_REDIS_URL" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "settings", "cause"),
        [
            (["up"], {"HOLDFAST_PORT": "many"}, "HOLDFAST_PORT"),
            (["up", "--port", "70000"], {}, "--port"),
            (["up", "--config", "/no/such.toml"], {}, "no such file"),
            (["up", "--host", "no.such.host.invalid", "--port", "0"], {}, "--host"),
            (["api", "--workers", "0"], {}, "--workers"),
            (["audit"], {"HOLDFAST_REDIS_URL": "redis+sentinel://x"}, "HOLDFAST_REDIS_URL"),
            (["nothing"], {}, "nothing"),
            (
                ["up"],
                {"HOLDFAST_WMS": '{"hz": {"connector": "rest", "url": "http://w", "code": "1"}}'},
                "wms.hz: rest needs secrets",
            ),
            (
                ["agents"],
                {"HOLDFAST_WMS": '{"hz": {"connector": "abacus", "url": "http://w", "code": "1"}}'},
                "wms.hz: no connector 'abacus'",
            ),
        ],
    )
    def test_wrong_usage(
        self, tmp_path: Path, arguments: list[str], settings: dict[str, str], cause: str
    ) -> None:
        """Exit code 2, and what is wrong is named."""
        done = holdfast(*arguments, HOLDFAST_DATA_DIR=str(tmp_path / "var"), **settings)
        assert done.returncode == 2
        assert cause in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_file_of_settings(self, tmp_path: Path) -> None:
        """--config names a file; the environment wins over it, an option over both."""
        file = tmp_path / "holdfast.toml"
        file.write_text(f'data_dir = "{tmp_path}/from-file"\nport = 0\n')
        told = holdfast("keys", "list", "--config", file)
        assert f"{tmp_path}/from-file" in told.stderr
        told = holdfast("keys", "list", "--config", file, HOLDFAST_DATA_DIR=f"{tmp_path}/from-env")
        assert f"{tmp_path}/from-env" in told.stderr

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (ConfigurationError("x"), 2),
            (InvalidRequest([("/a", "b")]), 2),
            (UnsafeStore("x"), 1),
            (StoreUnavailable("x", effect="unknown"), 3),
            (ZeroDivisionError("x"), 1),
            (KeyboardInterrupt(), 130),
        ],
    )
    def test_every_error_has_its_code(
        self, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
    ) -> None:
        """No error reaches the user as a traceback."""

        def fail() -> None:
            raise error

        with pytest.raises(SystemExit) as left:
            endings.ending_well(fail)
        assert left.value.code == code
        assert "Traceback" not in capsys.readouterr().err

    def test_debug_shows_the_traceback(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who asks for it sees where it happened."""
        monkeypatch.setenv("HOLDFAST_LOG_LEVEL", "debug")
        assert endings.report(ZeroDivisionError("x")) == 1
        assert "ZeroDivisionError" in capsys.readouterr().err

    def test_help(self) -> None:
        """Every command of the contract is there."""
        told = holdfast("--help").stdout
        for command in ("up", "api", "agents", "keys", "stock", "replay", "audit", "doctor"):
            assert command in told
        assert "127.0.0.1)." in holdfast("up", "--help").stdout  # in brackets it was lost
