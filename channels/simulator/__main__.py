"""`python -m channels.simulator`: the command, where what it needs is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("httptools", "orjson", "rich", "starlette", "typer", "uvicorn")
WRONG_USAGE = 2

if __name__ == "__main__":
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.stderr.write(
            f"the simulators are not installed here ({', '.join(missing)} missing): "
            "pip install 'holdfast[server]'\n"
        )
        sys.exit(WRONG_USAGE)

    from channels.simulator.command import app

    sys.exit(app())
