"""Where the service is and which key opens it, for the commands that speak HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from ops.admin_key import kept_key, key_file
from ops.replay.verdict import is_this_machine
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from reservation.config import Settings

KEY_VARIABLE = "HOLDFAST_KEY"
URL_VARIABLE = "HOLDFAST_URL"

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="The service [HOLDFAST_URL; default http://127.0.0.1:8000]."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="A key [HOLDFAST_KEY; default the data directory's admin key]."),
]


def service_url(settings: Settings, given: str | None) -> str:
    """Choose the address: the one given, HOLDFAST_URL, or where `holdfast up` listens.

    Raises ConfigurationError where it is no http address.
    """
    url = given or os.environ.get(URL_VARIABLE)
    if url is None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{settings.port}"
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        message = f"{url!r} is no address; give --url like http://127.0.0.1:8000"
        raise ConfigurationError(message)
    return url.rstrip("/")


def service_key(settings: Settings, given: str | None, url: str) -> str:
    """Choose the key: the one given, HOLDFAST_KEY, or the admin key of the data directory.

    The data directory's key goes to this machine only: another host has keys of its own.
    Raises ConfigurationError where there is none, saying how to give one.
    """
    key = given or os.environ.get(KEY_VARIABLE)
    if key is None and is_this_machine(url):
        key = kept_key(settings)
    key = (key or "").strip()
    if not key:
        message = f"no key for {url}: give --key, or set {KEY_VARIABLE}"
        if is_this_machine(url):
            message += ", or --data-dir with the directory of `holdfast up` (there is"
            message += f" no {key_file(settings)})"
        raise ConfigurationError(message)
    return key
