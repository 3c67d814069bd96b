"""The two clients themselves: one shape, no secrets in sight, small to install."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

import pytest

from reservation.api.problems import KINDS
from reservation.client import (
    AsyncClient,
    Client,
    InsufficientStock,
    OutcomeUnknown,
    Problem,
    Unavailable,
)
from reservation.client.errors import REFUSALS
from reservation.errors import ConfigurationError

# Faults are Unavailable; the client has no method that a path does not take.
NO_CLASS = {
    "store-unavailable",
    "overloaded",
    "archive-unavailable",
    "internal-error",
    "method-not-allowed",
}


# What a method of the one hands out or takes, as a method of the other does.
SYNCHRONOUS = (
    (re.compile(r"AsyncGenerator\[Event \| Reset, None\]"), "Events"),  # another thread may end it
    (re.compile(r"AsyncGenerator\[(.*), None\]"), r"Generator[\1, None, None]"),
    (re.compile(r"Awaitable\[(.*?\])\]"), r"\1"),
)


def _signature(method: Callable[..., object]) -> str:
    text = str(inspect.signature(method))
    for asynchronous, synchronous in SYNCHRONOUS:
        text = asynchronous.sub(synchronous, text)
    return text


def _public(kind: type) -> dict[str, str]:
    return {
        name: _signature(member)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods() -> None:
    """Name for name, with the same parameters, results and documentation."""
    asynchronous = _public(AsyncClient)
    asynchronous["close"] = asynchronous.pop("aclose")
    assert asynchronous == _public(Client)
    for name in asynchronous:
        other = getattr(AsyncClient, "aclose" if name == "close" else name)
        assert getattr(Client, name).__doc__ == other.__doc__


def test_every_refusal_of_the_service_has_its_class() -> None:
    """And the client knows none that the service does not."""
    assert set(REFUSALS) == {str(slug) for slug in KINDS} - NO_CLASS


def test_the_key_is_not_shown() -> None:
    """A client in a log line names its service only."""
    with Client("http://127.0.0.1:1", "secret-key-of-mine") as client:
        assert repr(client) == "Client('http://127.0.0.1:1')"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://[::1", "http://x:0"]
)
def test_an_impossible_address_is_refused(url: str) -> None:
    """At once, with the address in the sentence."""
    with pytest.raises(ConfigurationError, match=re.escape(repr(url))):
        Client(url, "a-key")


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "key\n"])
def test_an_impossible_key_is_refused(key: str) -> None:
    """At once, without the key in the sentence."""
    with pytest.raises(ConfigurationError, match="a key is made of printable ASCII") as error:
        AsyncClient("http://127.0.0.1:1", key)
    assert not key or key not in str(error.value)


@pytest.mark.parametrize("option", ["request_id", "traceparent"])
def test_an_impossible_header_is_refused(option: str) -> None:
    """Before anything is sent."""
    with Client("http://127.0.0.1:1", "a-key") as client, pytest.raises(ConfigurationError):
        client.with_options(**{option: "two\nlines"})


def test_errors_cross_processes() -> None:
    """A refusal and a fault survive pickling: worker processes hand them on."""
    members = {"lines": [{"sku": "x", "warehouse": "main", "requested": 2, "available": 1}]}
    refused = InsufficientStock(Problem(slug="insufficient-stock", status=409, members=members))
    copy = pickle.loads(pickle.dumps(refused))  # noqa: S301 (our own)
    assert (type(copy), copy.lines, str(copy)) == (InsufficientStock, refused.lines, str(refused))
    unknown = pickle.loads(pickle.dumps(OutcomeUnknown("gone", attempts=3)))  # noqa: S301 (same)
    assert (unknown.detail, unknown.attempts, unknown.effect) == ("gone", 3, "unknown")


def test_faults_say_what_may_be_done_now() -> None:
    """Nothing happened, or the same id again is safe: the sentence says which."""
    assert str(Unavailable("gone")) == "gone (nothing was applied; it may be sent again)"
    assert "sending the same id again is safe" in str(OutcomeUnknown("gone"))


def _closure(names: list[str]) -> set[str]:
    """Follow requirements without extras; names of distributions, normalised."""
    found: set[str] = set()
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform or version of Python
            continue
        found.add(name)
        for requirement in requirements:
            if "extra ==" not in requirement:
                names.append(re.split(r"[ ;<>=!~\[(]", requirement, maxsplit=1)[0])
    return found


BLOCKED_IMPORT = """
import sys
from importlib.abc import MetaPathFinder

allowed = set(sys.argv[1].split(",")) | sys.stdlib_module_names | {"reservation"}

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import reservation.client
print(*sorted(name for name in sys.modules if name.startswith("reservation.")))
"""


def test_the_client_needs_only_the_base_dependencies() -> None:
    """It is imported where nothing but httpx and msgspec is installed, and pulls no engine in."""
    base = _closure(["httpx", "msgspec"])
    modules = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if any(re.sub(r"[-_.]+", "-", name).lower() in base for name in distributions)
    }
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKED_IMPORT, ",".join(sorted(modules))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    others = {name for name in ran.stdout.split() if not name.startswith("reservation.client")}
    model = {"reservation.model", "reservation.quota_model"}
    assert others == {*model, "reservation.status", "reservation.errors"}
