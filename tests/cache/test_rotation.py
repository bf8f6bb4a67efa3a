"""Many processes use one cache, and some are killed."""

from pathlib import Path

import pytest

from tests.cache.rotation import rotate


@pytest.fixture
def anyio_backend() -> str:
    # Of the program that starts processes, not of what they do.
    return "trio"


async def test_a_cache_that_many_processes_replace_is_never_read_corrupt_and_stays_bounded(tmp_path: Path) -> None:
    seen = await rotate(tmp_path, cycles=300, processes=8, kill_every=25, seed=7)

    assert seen.errors == []
    assert sum(seen.told.values()) >= 300
    assert seen.told.keys() <= {"ok", "empty", "lost"}
    # Eight replacements in a row, each between two looks of one reader, are not what happens.
    assert seen.told.get("lost", 0) <= 3
    assert seen.told["ok"] > 150
    # Eight in the end, and those on the way.
    assert seen.killed > 8
    assert seen.largest <= seen.bound
    # The current generation alone.
    assert seen.left == 1
