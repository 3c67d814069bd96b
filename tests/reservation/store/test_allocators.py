"""What the server keeps comes back as it was written, whichever allocator stands in front of it.

An allocator that damages memory shows in entries of the event log that grow and are trimmed, among
many small fields: within seconds they read otherwise, or the server ends at an assertion.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import redis

from reservation.config import Durability, Settings
from reservation.store.binary import find_allocator, find_binary
from reservation.store.embedded import EmbeddedStore

SEEDS = (
    1,
    *(pytest.param(seed, marks=pytest.mark.chaos) for seed in (2, 3)),
)  # each saw the damage of the one that was found to do it in half of its runs
ROUNDS, ROUND = 100, 500  # entries a pipeline
FIELDS = 100_000
TEXT = bytes(97 + number % 26 for number in range(10_000))


def _allocators() -> list[str]:
    """Name those that may be in front of the server on this machine."""
    settings = Settings()
    found = find_allocator(settings, find_binary(settings))
    return ["libc"] if found is None else ["libc", str(found)]


@pytest.mark.chaos
@pytest.mark.parametrize("allocator", _allocators())
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read_again(allocator: str, seed: int, tmp_path: Path) -> None:
    """Streams whose entries are as small and as large as those of calls, and a growing hash."""
    draw = random.Random(seed)
    settings = Settings(data_dir=tmp_path, durability=Durability.MEMORY, store_allocator=allocator)
    with (
        EmbeddedStore(settings) as store,
        redis.Redis(unix_socket_path=str(store.socket)) as client,
    ):
        store.wait_until_loaded(timeout_seconds=30)
        for _ in range(ROUNDS):
            key, written = f"stream{draw.randrange(3)}", []
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(ROUND):
                    fields = {b"e": TEXT[: _size(draw)], b"b": TEXT[5 : 5 + draw.randrange(120)]}
                    written.append(fields)
                    pipeline.xadd(key, fields)  # type: ignore[arg-type]
                    pipeline.hset(
                        "hash", str(draw.randrange(FIELDS)), TEXT[: draw.randrange(1, 80)]
                    )
                pipeline.execute()
            read = [fields for _, fields in client.xrevrange(key, count=ROUND)]
            assert read[::-1] == written
            if draw.random() < 0.05:
                client.xtrim(key, maxlen=0, approximate=False)


def _size(draw: random.Random) -> int:
    """Draw a size; around 2,000 and 4,096 bytes a node of a stream is full."""
    return draw.choice(
        [
            draw.randrange(1, 200),
            draw.randrange(1_800, 2_300),
            draw.randrange(3_800, 4_400),
            draw.randrange(1, 9_000),
        ]
    )
