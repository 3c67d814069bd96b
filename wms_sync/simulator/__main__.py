"""`python -m wms_sync.simulator`: the command, where what it needs is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("httptools", "lxml", "orjson", "rich", "starlette", "typer", "uvicorn")
WRONG_USAGE = 2

if __name__ == "__main__":
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.stderr.write(
            f"the simulator is not installed here ({', '.join(missing)} missing): "
            "pip install 'holdfast[server]'\n"
        )
        sys.exit(WRONG_USAGE)

    from wms_sync.simulator.command import app

    sys.exit(app())
