"""An API of its own that knows systems of warehouses, beside a service that has the store.

Nothing is handed over there: what a test has put into the outbox stays as it is.
"""

from __future__ import annotations

import socket

from ops.server import run_api
from reservation.config import load

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    run_api(load(), [listener.detach()], serving=None, drain_seconds=5.0)
