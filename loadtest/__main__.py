"""`python -m loadtest`: the command, where what it needs is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("locust", "psutil", "rich", "typer")
WRONG_USAGE = 2

if __name__ == "__main__":
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.stderr.write(
            f"the load test is not installed here ({', '.join(missing)} missing): "
            "'make loadtest' does it, or pip install '.[server,loadtest]'\n"
        )
        sys.exit(WRONG_USAGE)

    from loadtest.command import app

    sys.exit(app())
