"""A `holdfast` process under test: the real command line, in a process tree that we may kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.waiting import alive, until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
ADDRESS = re.compile(r"service +(http://\S+)")


def environment(**settings: str) -> dict[str, str]:
    """Return our environment without its HOLDFAST settings, with those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, **settings}


def holdfast(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ops", *map(str, arguments)],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Service:
    """A running `holdfast up`, `api` or `agents`; on leaving nothing of it is left."""

    def __init__(self, *arguments: str | Path, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops", *map(str, arguments)],
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._said: dict[str, str] = {"stdout": "", "stderr": ""}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._said
        ]
        for reader in self._readers:
            reader.start()
        self._tree: set[int] = set()

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            for line in pipe:
                self._said[name] += line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.tree()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self._tree:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(5)

    @property
    def output(self) -> str:
        """Return what it has said on standard output."""
        return self._said["stdout"]

    @property
    def errors(self) -> str:
        """Return what it and its children have said on standard error."""
        return self._said["stderr"]

    @property
    def url(self) -> str:
        """Wait until it is up; return its address."""
        return until(self._address, "the service is up", seconds=START_SECONDS)

    def _address(self) -> str | None:
        assert self.process.poll() is None, f"it ended: {self.errors}"
        found = ADDRESS.search(self.output)
        # The address is the first line of several: wait for the last.
        return found[1] if found and "try" in self.output else None

    def tree(self) -> dict[str, list[int]]:
        """Find its processes by what they are: those of KINDS."""
        kinds: dict[str, list[int]] = {kind: [] for kind in KINDS}
        for pid in _descendants(self.process.pid):
            command = _command(pid)
            for kind, sign in _SIGNS.items():
                if any(word.endswith(sign) for word in command):
                    kinds[kind].append(pid)
                    break
            self._tree.add(pid)
        return kinds

    def ready(self) -> bool:
        """Say whether it answers that it is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit status."""
        self.tree()
        self.process.send_signal(number)
        status = self.process.wait(30)
        for reader in self._readers:
            reader.join(5)
        return status

    def nothing_left(self) -> bool:
        """Say whether every process ever seen in its tree is gone."""
        return not any(alive(pid) for pid in self._tree)


def key_of(data_dir: Path) -> dict[str, str]:
    """Return the header that opens a service."""
    return {"Authorization": f"Bearer {(data_dir / 'admin.key').read_text().strip()}"}


def put_stock(url: str, headers: dict[str, str], on_hand: int) -> int:
    """Count a SKU; return the status."""
    body = {"on_hand": on_hand}
    return httpx.put(f"{url}/v1/stock/CAT", json=body, headers=headers, timeout=10).status_code


def on_hand(url: str, headers: dict[str, str]) -> int | None:
    """Read the count; None while the service cannot say."""
    try:
        answer = httpx.get(f"{url}/v1/stock/CAT", headers=headers, timeout=5)
    except httpx.HTTPError:
        return None
    return answer.json()["warehouses"][0]["on_hand"] if answer.is_success else None


KINDS = ("api", "agents", "feed", "warehouses", "guardian", "server", "simulator")
# How a word of the command line ends; in this order: a guardian's names the server too.
_SIGNS = {
    "guardian": "guardian.py",
    "server": "-server",
    "api": "api",
    "agents": "agents",
    "feed": "feed",
    "warehouses": "warehouses",
    "simulator": "simulator",
}


def _command(pid: int) -> list[str]:
    try:
        parts = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
    # Of a Python program only what it runs counts, not where Python is.
    words = [os.fsdecode(part) for part in parts]
    return words[1:] if Path(words[0]).name.startswith("python") else [Path(words[0]).name]


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
