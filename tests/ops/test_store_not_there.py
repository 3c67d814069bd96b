"""A service whose store is not there, still loads, or cannot load at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx
import pytest
import redis

from reservation.config import Settings
from reservation.store import embedded
from reservation.store.embedded import EmbeddedStore
from tests.ops.service import Service, holdfast, on_hand, put_stock
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds the tree's processes in /proc"
)


def _address_of(service: Service) -> str | None:
    """Find the port of a service that is not up yet: its parent listens before all else."""
    inodes = set()
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            return f"http://127.0.0.1:{int(fields[1].split(':')[1], 16)}"
    return None


def _detail(url: str, word: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
    except httpx.HTTPError:
        return None
    return answer.text if answer.status_code == 503 and word in answer.text else None


def _fill_and_rewrite(store: EmbeddedStore) -> None:
    """Make the store's data a snapshot of many keys, whose loading can be slowed down."""
    with redis.Redis.from_url(store.url) as client:
        client.mset({f"ballast{number}": "x" * 100 for number in range(2_000)})
        client.bgrewriteaof()
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "rewritten")


class TestStoreNotThere:
    """A service without its store answers, and says so."""

    def test_it_waits_for_the_store(self, program: str, tmp_path: Path) -> None:
        """Requests get 503 `not_applied`, /readyz says why; then it serves, without a restart."""
        settings = Settings(data_dir=tmp_path / "store", store_binary=program)
        store = EmbeddedStore(settings)
        token = "an-operators-own-key-0123456789"
        headers = {"Authorization": f"Bearer {token}"}
        with Service(
            *("api", "--data-dir", tmp_path / "var", "--port", "0"),
            HOLDFAST_REDIS_URL=store.url,
            HOLDFAST_ADMIN_KEY=token,
        ) as service:
            url = until(lambda: _address_of(service), "it listens")
            workers = until(lambda: service.tree()["api"], "a worker")
            assert httpx.get(f"{url}/healthz").is_success
            not_ready = httpx.get(f"{url}/readyz")
            assert not_ready.status_code == 503
            assert "not reachable" in not_ready.text
            body = {"reservation_id": "tmall:1", "lines": [{"sku": "CAT", "quantity": 1}]}
            refused = httpx.post(f"{url}/v1/reservations", json=body, headers=headers)
            assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
            assert refused.headers["Retry-After"]
            with store:
                assert until(lambda: put_stock(url, headers, 3) == 201, "it serves")
                assert service.ready()
                assert service.tree()["api"] == workers

    @pytest.mark.chaos
    def test_it_says_that_the_store_is_loading(
        self, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While the store loads its data, /readyz names that; afterwards everything is there."""
        render = embedded.render_configuration
        slow = "key-load-delay 1000\nloading-process-events-interval-bytes 1024\n"
        settings = Settings(data_dir=tmp_path / "store", store_binary=program)
        store = EmbeddedStore(settings)
        arguments = ("api", "--data-dir", tmp_path / "var", "--port", "0")
        token = "an-operators-own-key-0123456789"
        given = {"HOLDFAST_REDIS_URL": store.url, "HOLDFAST_ADMIN_KEY": token}
        headers = {"Authorization": f"Bearer {token}"}
        with store, Service(*arguments, **given) as service:
            assert put_stock(service.url, headers, 8) == 201
            _fill_and_rewrite(store)
        monkeypatch.setattr(embedded, "render_configuration", lambda *a: render(*a) + slow)
        with Service(*arguments, **given) as service:
            url = until(lambda: _address_of(service), "it listens")
            until(lambda: _detail(url, "not reachable"), "it answers", seconds=20)
            with store:
                told = until(lambda: _detail(url, "loading"), "it says that the store loads")
                assert "loading its data" in told
                refused = httpx.put(f"{url}/v1/stock/CAT", json={"on_hand": 1}, headers=headers)
                assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
                assert until(lambda: on_hand(url, headers), "loaded", seconds=30) == 8


class TestStoreThatCannotLoad:
    """Data that no server reads."""

    def test_up_ends_with_the_servers_words(self, program: str, tmp_path: Path) -> None:
        """`up` gives up before it has ever worked, and says what the server says."""
        settings = Settings(data_dir=tmp_path / "var", store_binary=program)
        with EmbeddedStore(settings) as store:
            redis.Redis.from_url(store.url).set("order", "1")
        (log,) = store.directory.glob("appendonlydir/*.incr.aof")
        log.write_bytes(b"nonsense" + log.read_bytes())
        ended = holdfast(
            "up", "--data-dir", tmp_path / "var", "--port", "0", HOLDFAST_STORE_BINARY=program
        )
        assert ended.returncode in {1, 3}
        assert "Bad file format" in ended.stderr
        assert "store.log" in ended.stderr
        assert "Traceback" not in ended.stderr
