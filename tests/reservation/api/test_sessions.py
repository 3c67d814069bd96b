"""Sessions of browsers: a cookie in place of a key, and a token for what changes something."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import httpx
import pytest
import redis.asyncio as redis
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from reservation.api.application import create_app
from reservation.api.sessions import COOKIE, LIFE_SECONDS, Sessions, session_secret
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import ConfigurationError
from reservation.security import Role
from reservation.store.keyring import CACHE_SECONDS, Keyring
from tests.reservation.api.conftest import SKU, slug

SECRET = b"s" * 32
MAX_SECONDS = 3 * LIFE_SECONDS


class Now:
    """A clock that stands where it is put."""

    at = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.at


def test_a_session_lives_for_its_time_and_is_renewed() -> None:
    now = Now()
    sessions = Sessions(SECRET, max_seconds=MAX_SECONDS, now=now)
    session, cookie = sessions.begin("abcd")
    header = f"other=1; {COOKIE}={cookie}; more=2".encode()
    assert sessions.read(header) == session
    now.at += LIFE_SECONDS - 1
    found = sessions.read(header)
    assert found is not None
    renewed, cookie = sessions.renew(found)
    assert renewed.csrf == session.csrf
    now.at += 1
    assert sessions.read(header) is None
    assert sessions.read(f"{COOKIE}={cookie}".encode()) == renewed


def test_no_renewal_reaches_beyond_the_longest_life() -> None:
    """A copy that is read for ever still ends; a bound that was lowered ends it sooner."""
    now = Now()
    sessions = Sessions(SECRET, max_seconds=MAX_SECONDS, now=now)
    began_at = int(now.at)
    session, cookie = sessions.begin("abcd")
    while int(now.at) < began_at + MAX_SECONDS - 1:
        now.at = min(now.at + LIFE_SECONDS - 1, began_at + MAX_SECONDS - 1)
        found = sessions.read(f"{COOKIE}={cookie}".encode())
        assert found is not None
        session, cookie = sessions.renew(found)
    assert (session.expires_at, sessions.seconds_left(session)) == (began_at + MAX_SECONDS, 1)
    lowered = Sessions(SECRET, max_seconds=LIFE_SECONDS, now=now)
    assert lowered.read(f"{COOKIE}={cookie}".encode()) is None
    now.at += 1
    assert sessions.read(f"{COOKIE}={cookie}".encode()) is None


def test_a_session_of_an_older_version_is_none() -> None:
    """Its signature is right, its content another."""
    sessions = Sessions(SECRET, max_seconds=MAX_SECONDS)
    content = base64.urlsafe_b64encode(b'{"key_id":"a","expires_at":9999999999,"csrf":"c"}').rstrip(
        b"="
    )
    signature = base64.urlsafe_b64encode(sessions._sign(content)).rstrip(b"=")
    assert sessions.read(COOKIE.encode() + b"=" + content + b"." + signature) is None


def test_only_who_has_the_secret_makes_sessions() -> None:
    _, cookie = Sessions(b"another" * 5, max_seconds=MAX_SECONDS).begin("abcd")
    assert Sessions(SECRET, max_seconds=MAX_SECONDS).read(f"{COOKIE}={cookie}".encode()) is None


@pytest.fixture
def app(engine: Engine, keyring: Keyring, settings: Settings) -> FastAPI:
    """Make the application with a secret that another process knows, too."""
    return create_app(engine, keyring, settings, secret=SECRET)


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_what_was_tampered_with_is_no_session(noise: bytes, at: int, byte: int) -> None:
    sessions = Sessions(SECRET, max_seconds=MAX_SECONDS)
    session, cookie = sessions.begin("abcd")
    assert sessions.read(COOKIE.encode() + b"=" + noise) is None
    changed = bytearray(cookie.encode())
    changed[at % len(changed)] = byte
    found = sessions.read(COOKIE.encode() + b"=" + bytes(changed))
    assert found in {None, session}
    assert found is None or bytes(changed).strip() == cookie.encode()


def test_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    secret = session_secret(data_dir)
    assert session_secret(data_dir) == secret
    (file,) = data_dir.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="too short"):
        session_secret(data_dir)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        session_secret(Path(os.devnull) / "x")


async def signed_in(client: httpx.AsyncClient, token: str) -> dict[str, str]:
    """Sign in; the client keeps the cookie. Returns the headers of what changes something."""
    answer = await client.post("/v1/session", json={"key": token})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFE_SECONDS}"):
        assert word in cookie
    assert token not in cookie
    return {"x-csrf-token": answer.json()["csrf"]}


@pytest.mark.usefixtures("stocked")
async def test_a_session_may_what_its_key_may(client: httpx.AsyncClient, keyring: Keyring) -> None:
    record, token = await keyring.create(Role.OPS, name="li")
    csrf = await signed_in(client, token)
    who = (await client.get("/v1/session")).json()
    assert (who["name"], who["role"]) == ("li", "ops")
    assert (await client.get(f"/v1/stock/{SKU}")).status_code == 200
    path = f"/v1/skus/{SKU}/breaker/trip"
    without = await client.post(path, json={"reason": "recall"})
    assert (without.status_code, slug(without)) == (403, "forbidden")
    other = await client.post(path, json={"reason": "recall"}, headers={"x-csrf-token": "x"})
    assert other.status_code == 403
    tripped = await client.post(path, json={"reason": "recall"}, headers=csrf)
    assert (tripped.status_code, tripped.json()["by"]) == (200, "li")
    await keyring.revoke(record.key_id)
    assert (await client.get("/v1/session")).status_code == 401


@pytest.mark.usefixtures("stocked")
async def test_a_channel_s_key_opens_no_board(client: httpx.AsyncClient, keyring: Keyring) -> None:
    """It is told so, and not left with a board that never comes."""
    _, token = await keyring.create(Role.CHANNEL, channels=("tmall",))
    answer = await client.post("/v1/session", json={"key": token})
    assert (answer.status_code, slug(answer)) == (403, "forbidden")
    assert "set-cookie" not in answer.headers


async def test_a_viewer_cannot_act(client: httpx.AsyncClient, keyring: Keyring) -> None:
    _, token = await keyring.create(Role.VIEWER)
    csrf = await signed_in(client, token)
    path = f"/v1/skus/{SKU}/breaker/trip"
    answer = await client.post(path, json={"reason": "recall"}, headers=csrf)
    assert (answer.status_code, slug(answer)) == (403, "forbidden")


async def test_signing_out_ends_every_copy_and_a_renewal_under_way(
    client: httpx.AsyncClient, keyring: Keyring, engine: Engine, settings: Settings
) -> None:
    """Also in another process; another session of the same key goes on."""
    _, token = await keyring.create(Role.VIEWER)
    csrf = await signed_in(client, token)
    copy = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    await client.get("/v1/session")
    renewed = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    assert (await client.delete("/v1/session")).status_code == 403
    other_keyring = Keyring(keyring._client)
    other = create_app(engine, other_keyring, settings, secret=SECRET)
    transport = httpx.ASGITransport(app=other)
    async with httpx.AsyncClient(transport=transport, base_url="http://other") as elsewhere:
        assert (await elsewhere.get("/v1/stock", headers=copy)).status_code != 401
        out = await client.delete("/v1/session", headers=csrf)
        assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"]) == (204, True)
        assert (await client.get("/v1/session")).status_code == 401
        client.cookies.clear()
        await signed_in(client, token)
        assert (await client.get("/v1/session")).status_code == 200
        client.cookies.clear()
        other_keyring._read_at = -CACHE_SECONDS  # what it has read is too old by now
        for asked in (client, elsewhere):
            for headers in (copy, renewed):
                answer = await asked.get("/v1/session", headers=headers)
                assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
    await other_keyring.close()


async def test_signing_out_that_the_store_does_not_take_is_told(
    client: httpx.AsyncClient, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session goes on, and its cookie is not taken away: it can be tried again."""
    _, token = await keyring.create(Role.VIEWER)
    csrf = await signed_in(client, token)
    nowhere = redis.Redis.from_url("unix:///nonexistent/store.sock")
    with monkeypatch.context() as fault:
        fault.setattr(keyring, "_client", nowhere)
        answer = await client.delete("/v1/session", headers=csrf)
    assert (answer.status_code, slug(answer)) == (503, "store-unavailable")
    assert "set-cookie" not in answer.headers
    assert (await client.get("/v1/session")).status_code == 200
    assert (await client.delete("/v1/session", headers=csrf)).status_code == 204


@pytest.mark.parametrize(("forwarded", "secure"), [("https", True), ("http", False), ("", False)])
async def test_behind_a_proxy_with_tls_the_cookie_is_for_tls(
    forwarded: str, *, secure: bool, client: httpx.AsyncClient, keyring: Keyring
) -> None:
    """The browser then never sends it in the clear."""
    _, token = await keyring.create(Role.VIEWER)
    headers = {"x-forwarded-proto": forwarded} if forwarded else {}
    answer = await client.post("/v1/session", json={"key": token}, headers=headers)
    cookie = answer.headers["set-cookie"]
    assert ("; Secure" in cookie) is secure
    assert "HttpOnly; SameSite=Strict" in cookie


@pytest.mark.parametrize("body", [{"key": "hf_nope"}, {"key": "x"}])
async def test_a_wrong_key_opens_nothing(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await client.post("/v1/session", json=body)
    assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
    assert "set-cookie" not in answer.headers


async def test_a_key_in_the_header_needs_no_token(
    client: httpx.AsyncClient, keyring: Keyring
) -> None:
    """And it counts, not the cookie."""
    _, viewer = await keyring.create(Role.VIEWER)
    _, ops = await keyring.create(Role.OPS)
    await signed_in(client, viewer)
    headers = {"authorization": f"Bearer {ops}"}
    answer = await client.put("/v1/stock/a", json={"on_hand": 1}, headers=headers)
    assert answer.status_code == 201
    assert (await client.get("/v1/session", headers=headers)).status_code == 401
