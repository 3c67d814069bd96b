"""How much memory this machine, or the container that we are in, lets us use."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def physical_memory_bytes() -> int:
    """Count the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limits(own: Path, mount: Path) -> list[int]:
    """Read the limit of our control group and of each one above it, version 1 and 2."""
    try:
        entries = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:  # no control groups here
        return []
    limits = []
    for _, controllers, path in (entry for entry in entries if len(entry) == 3):
        if controllers == "":
            root, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Inside a container the path may be the host's: what is not there is skipped.
        group = root / path.lstrip("/")
        for directory in (group, *group.parents):
            if not directory.is_relative_to(root):
                break
            try:
                limits.append(int((directory / name).read_text()))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return limits


def memory_limit_bytes(own: Path = OWN_CGROUPS, mount: Path = CGROUPS) -> int:
    """Return the smallest of the machine's memory and every control group's limit."""
    return min([physical_memory_bytes(), *_limits(own, mount)])
