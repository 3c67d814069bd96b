"""Access tokens: given out, refreshed, expired by the clock.

Sources: zsmhub/doudian-sdk core/create_token_request.go (fields, 7 and 14 days), reference 2.2 (a
code is good for 10 minutes). Whether an older token lives on after a new one was made is not
public: here one that was created lives on, one that was refreshed does not.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from channels.simulator.douyin.app import App, Settings
from channels.simulator.douyin.call import Call
from channels.simulator.douyin.problems import Problem, missing, token_failed

CODE_MS: Final = 600_000
MOST_TOKENS: Final = 1_000  # the oldest is forgotten

_Method = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Pair:
    access: str
    access_until_ms: int
    refresh_until_ms: int


class Tokens:
    """All tokens that were given out."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._made = 0
        self._codes: OrderedDict[str, int] = OrderedDict()  # until when, ms
        self._access: OrderedDict[str, int] = OrderedDict()
        self._pairs: OrderedDict[str, _Pair] = OrderedDict()  # by their refresh token

    def methods(self) -> dict[str, _Method]:
        """Give the methods by name."""
        return {"token.create": self.create, "token.refresh": self.refresh}

    def code(self, now_ms: int) -> str:
        """Let the merchant open the shop to the application: a code for one token."""
        code = self._name("code")
        _keep(self._codes, code, now_ms + CODE_MS)
        return code

    def check(self, access: str, now_ms: int) -> None:
        """Raise Problem where a token opens nothing."""
        if (until_ms := self._access.get(access)) is None:
            raise Problem(
                40_003,
                "isv.access-token-no-existed",
                "access_token不存在，请使用最新的access_token访问",
            )
        if now_ms >= until_ms:
            raise Problem(40_003, "isv.access-token-expired", "access_token已过期")

    def revoke(self) -> None:
        """Forget all tokens."""
        self._access.clear()
        self._pairs.clear()

    def create(self, call: Call) -> dict[str, Any]:
        """Give a token for a code, or for the shop to its own application."""
        call.only({"code", "grant_type", "shop_id", "auth_id", "auth_subject_type", "test_shop"})
        match call.text("grant_type"):
            case "authorization_code":
                self._use(call.text("code"), call.now_ms)
            case "authorization_self":
                if not call.has("shop_id"):
                    raise missing("shop_id")
                if call.id("shop_id") != self._app.shop_id or not self._settings.authorized:
                    raise token_failed(
                        "no-authorization", "店铺授权已失效，请重新引导商家完成店铺授权"
                    )
            case _:
                raise _wrong_grant()
        return self._give(call.now_ms)

    def refresh(self, call: Call) -> dict[str, Any]:
        """Give a new token for the old one's refresh token; both old ones end."""
        call.only({"grant_type", "refresh_token"})
        if call.text("grant_type") != "refresh_token":
            raise _wrong_grant()
        if (pair := self._pairs.pop(call.text("refresh_token"), None)) is None:
            raise token_failed("token-invalid", "token不存在")
        if call.now_ms >= pair.refresh_until_ms:
            raise token_failed("token-expired", "token已过期")
        self._access.pop(pair.access, None)
        return self._give(call.now_ms)

    def _use(self, code: str, now_ms: int) -> None:
        if (until_ms := self._codes.pop(code, None)) is None:
            raise token_failed("code-invalid", "code参数不正确，请引导商家重新授权获取code")
        if now_ms >= until_ms:
            raise token_failed("code-expired", "code已经失效（code的有效期为10分钟）")

    def _give(self, now_ms: int) -> dict[str, Any]:
        access, refresh = self._name("access"), self._name("refresh")
        access_until_ms = now_ms + self._settings.access_ms
        refresh_until_ms = now_ms + self._settings.refresh_ms
        _keep(self._access, access, access_until_ms)
        _keep(self._pairs, refresh, _Pair(access, access_until_ms, refresh_until_ms))
        return {
            "access_token": access,
            "expires_in": self._settings.access_ms // 1000,
            "refresh_token": refresh,
            "scope": "SCOPE",
            "shop_id": self._app.shop_id,
            "shop_name": self._app.shop_name,
            "authority_id": self._app.shop_id,
            "auth_subject_type": "shop",
        }

    def _name(self, kind: str) -> str:
        """Make a token up, the same ones in each run."""
        self._made += 1
        text = f"{kind} {self._made} {self._app.secret}".encode()
        return hashlib.sha256(text).hexdigest()[:36]


def _keep(kept: OrderedDict[str, Any], name: str, value: Any) -> None:
    kept[name] = value
    if len(kept) > MOST_TOKENS:
        kept.popitem(last=False)


def _wrong_grant() -> Problem:
    return token_failed(
        "grant-type-invalid", "grant_type参数取值不正确，请参照文档根据应用类型填写不同的值"
    )
