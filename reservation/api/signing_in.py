"""The endpoints of a browser's session: sign in with a key, look who one is, sign out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from reservation.api.exchange import NO_CONTENT, OK, Answer, json_answer
from reservation.api.forms import Form
from reservation.api.pipeline import CHALLENGE
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.sessions import Sessions, set_cookie
from reservation.api.views import View, time_field
from reservation.security import Action, Scope
from reservation.times import rfc3339

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.api.sessions import Session
    from reservation.security import ApiKey
    from reservation.store.keyring import Keyring


class SessionForm(Form):
    """A key, to sign in with."""

    key: str = Field(min_length=1, max_length=600)


class SessionView(View):
    """Who signed in; `csrf` goes into the header X-CSRF-Token of what changes something."""

    name: str
    role: str
    channels: list[str]
    csrf: str
    expires_at: str = time_field("Reading the session renews it, up to session_max_seconds.")


class SigningIn:
    """Sessions over HTTP."""

    def __init__(self, keyring: Keyring, sessions: Sessions, decoder: Decoder) -> None:
        self._keyring = keyring
        self._sessions = sessions
        self._decoder = decoder

    async def sign_in(self, call: Call) -> Answer:
        """Exchange a key for a session: the cookie stands for the key from then on."""
        form = self._decoder.read(SessionForm, call.body)
        key = await self._keyring.authenticate(form.key.strip())
        if key is None:
            detail = "The key is unknown or revoked; make one with 'holdfast keys create'."
            raise Refused(Problem(Slug.UNAUTHENTICATED, detail, headers=CHALLENGE))
        if key.scope(Action.READ_LEDGER) is Scope.NONE:
            detail = f"A key of the role {key.role} does not open the board; a viewer's does."
            raise Refused(Problem(Slug.FORBIDDEN, detail))
        session, cookie = self._sessions.begin(key.key_id)
        return self._told(call, key, session, cookie)

    async def who(self, call: Call) -> Answer:
        """Say who has signed in, and renew the session."""
        session, key = call.exchange.session, call.key
        if session is None or key is None:
            detail = "The request has no session; sign in with POST /v1/session."
            raise Refused(Problem(Slug.UNAUTHENTICATED, detail, headers=CHALLENGE))
        renewed, cookie = self._sessions.renew(session)
        return self._told(call, key, renewed, cookie)

    async def sign_out(self, call: Call) -> Answer:
        """End the session, with every copy of its cookie, and take the cookie away.

        Other processes hear of it within 5 s.
        """
        session = call.exchange.session
        if session is not None:
            await self._keyring.end_session(
                session.key_id, session.session_id, ends_at=self._sessions.ends_at(session)
            )
        return Answer(NO_CONTENT, b"", headers=(set_cookie("", secure=_secure(call), seconds=0),))

    def _told(self, call: Call, key: ApiKey, session: Session, cookie: str) -> Answer:
        document = {
            "name": key.name,
            "role": key.role,
            "channels": list(key.channels),
            "csrf": session.csrf,
            "expires_at": rfc3339(session.expires_at * 1000),
        }
        seconds = self._sessions.seconds_left(session)
        return json_answer(
            OK, document, (set_cookie(cookie, secure=_secure(call), seconds=seconds),)
        )


def _secure(call: Call) -> bool:
    """Say whether the browser came by https: to us, or to the proxy before us, which tells it."""
    forwarded = call.exchange.headers.get(b"x-forwarded-proto", b"").strip().lower()
    return forwarded == b"https" or call.exchange.scope.get("scheme") == "https"
