"""Tells the series of a process that has no API."""

from __future__ import annotations

import socket

import structlog
import uvicorn

from ops.listening import address_of
from ops.server import Server
from reservation.api.application import create_observed_app
from reservation.api.hardening import server_options
from reservation.config import Settings
from reservation.store.keyring import Keyring

log = structlog.get_logger(__name__)

TELLING_SECONDS = 1  # for the series that are being told when the agents end


def teller(settings: Settings, keyring: Keyring, listener: socket.socket) -> Server:
    """Make the server that tells the series of a process without an API."""

    def tell() -> None:
        log.info("metrics_served", address=f"{address_of(listener)}/metrics")

    config = uvicorn.Config(
        create_observed_app(keyring, settings),
        **server_options(),
        log_level="warning",
        timeout_graceful_shutdown=TELLING_SECONDS,
    )
    return Server(config, listeners=[listener], serving=tell)
