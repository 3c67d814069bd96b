"""The memory that the store may count on: the machine's, or its control group's."""

from __future__ import annotations

from pathlib import Path

from reservation.store.machine import memory_limit_bytes, physical_memory_bytes


def test_the_machines_memory_without_control_groups(tmp_path: Path) -> None:
    """Where there are no control groups, the machine decides."""
    assert memory_limit_bytes(tmp_path / "none", tmp_path) == physical_memory_bytes()


def test_version_2_counts_the_groups_above_too(tmp_path: Path) -> None:
    """A parent's smaller limit holds; `max` is none."""
    (tmp_path / "own").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("1048576\n")
    assert memory_limit_bytes(tmp_path / "own", tmp_path) == 1 << 20


def test_version_1_is_read_where_the_path_is_the_hosts(tmp_path: Path) -> None:
    """In a container the own path may not exist: the mount's root is the container's."""
    (tmp_path / "own").write_text("5:cpu:/x\n4:memory:/docker/abc\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2097152\n")
    assert memory_limit_bytes(tmp_path / "own", tmp_path) == 2 << 20
