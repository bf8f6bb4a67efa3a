"""Many processes refresh and read one package cache, and some are killed."""

import time
from pathlib import Path

import pytest

from tests.cache.packagerotation import rotate, store_of


@pytest.fixture
def anyio_backend() -> str:
    # Of the program that starts processes, not of what they do.
    return "trio"


async def test_a_package_cache_that_many_processes_replace_is_never_read_half(tmp_path: Path) -> None:
    seen = await rotate(tmp_path, cycles=300, processes=6, kill_every=20, seed=5)

    assert seen.errors == []
    assert seen.told.keys() <= {"ok", "empty"}
    assert seen.told["ok"] > 250
    # Six in the end, and those on the way.
    assert seen.killed > 6
    store = store_of(tmp_path)
    # Some hours later, when nobody reads any more what was replaced.
    store.sweep(now=time.time() + 3 * 3600)
    current = store.current()
    assert current is not None
    assert [path.name for path in store.generations.iterdir()] == [current.generation]
    assert sorted(path.name for path in store.path.iterdir()) == ["current", "generations"]
    assert store.source() is not None
