"""Package caches in a directory: what is read is whole, what is over goes, what others put there stays."""

import os
import time
from pathlib import Path

import pytest

from orchestrator import owner
from orchestrator.cache import mounts
from orchestrator.cache.local import LostError
from orchestrator.cache.mounts import Store, Writing, measured, plain, prune
from orchestrator.cache.succession import Current, Size

_LATER = 3 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "npm", "main")


def write(store: Store, *names: str, seen: dict[str, int] | None = None) -> Path:
    """A generation with these files; each holds its own name."""
    writing = Writing(store)
    for name in names:
        path = writing.content / store.tool / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert writing.commit(seen=seen or {}, cold=None) is not None
    writing.discard()
    return writing.content


def generations(store: Store) -> list[str]:
    return sorted(path.name for path in store.generations.iterdir())


def test_what_was_written_last_is_read(store: Store) -> None:
    assert store.source() is None

    write(store, "a")
    last = write(store, "b/c", "d")

    source = store.source()
    assert source is not None
    assert (source.root, source.size, source.ours) == (last, 4, True)
    assert (source.root / "npm/b/c").read_text() == "b/c"


def test_what_was_replaced_stays_for_readers_and_goes_later(store: Store) -> None:
    first = write(store, "a")
    second = write(store, "b")

    store.sweep()
    assert len(generations(store)) == 2

    store.sweep(now=time.time() + _LATER)
    assert (first.exists(), second.exists()) == (False, True)
    assert store.source() is not None


def test_nothing_is_written_without_content_and_what_was_begun_is_gone(store: Store) -> None:
    writing = Writing(store)
    writing.content.mkdir()

    assert writing.commit(seen={}, cold=None) is None
    writing.discard()

    assert generations(store) == []
    assert store.current() is None


def test_an_empty_cache_is_one(store: Store) -> None:
    writing = Writing(store)
    (writing.content / "npm").mkdir(parents=True)

    current = writing.commit(seen={}, cold=None)

    assert current is not None
    assert (current.entries, current.size) == (0, 0)


@pytest.mark.parametrize("lost", ["file", "bytes", "all"])
def test_a_generation_that_has_lost_something_is_not_used(store: Store, lost: str) -> None:
    content = write(store, "a", "b")
    match lost:
        case "file":
            (content / "npm/a").unlink()
        case "bytes":
            (content / "npm/a").write_text("")
        case _:
            content.rename(content.with_name("elsewhere"))

    with pytest.raises(LostError, match="incomplete"):
        store.source()

    write(store, "c")
    assert store.source() is not None


@pytest.mark.parametrize("said", [b"", b"{", b'{"generation": "../../etc"}', b'{"generation": 7}', b"\xff"])
def test_a_pointer_that_cannot_be_understood_is_replaced(store: Store, said: bytes) -> None:
    write(store, "a")
    (store.path / "current").write_bytes(said)

    with pytest.raises(LostError):
        store.current()

    write(store, "b")
    assert store.source() is not None


def test_what_killed_processes_left_goes(store: Store) -> None:
    write(store, "a")
    killed = owner.name().split("-")
    # A process that has never been.
    killed[1], killed[2] = str(2**22 + 1), "1"
    left = store.generations / "-".join(killed)
    (left / "content/.fleetpacks-x").mkdir(parents=True)
    unfinished = Writing(store)

    store.sweep()

    assert not left.exists()
    assert unfinished.content.parent.exists()


def test_what_somebody_put_there_is_taken_as_it_is_without_ours(tmp_path: Path, store: Store) -> None:
    assert plain(tmp_path, "npm") is None
    write(store, "ours")
    assert plain(tmp_path, "npm") is None
    (tmp_path / "npm/_cacache").mkdir()
    (tmp_path / "npm/_cacache/x").write_text("theirs")

    source = plain(tmp_path, "npm")

    assert source is not None
    assert (source.root, source.size, source.ours) == (tmp_path, 6, False)
    assert mounts.left_out("npm") == "npm/.fleetpacks\n"


def test_links_are_not_followed_when_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "secret").write_bytes(bytes(1000))
    (tmp_path / "cache/link").symlink_to(tmp_path / "secret")
    (tmp_path / "cache/up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "cache/pipe")
    (tmp_path / "cache/a\nb").write_text("xy")

    assert measured(tmp_path / "cache") == Size(entries=4, size=2, own=2)
    assert measured(tmp_path / "absent") is None


def test_what_has_a_name_elsewhere_is_no_bytes_of_its_own(tmp_path: Path) -> None:
    for name, content in {"old/shared": "123", "new/own": "4567", "new/twice": "89"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "new/shared").hardlink_to(tmp_path / "old/shared")
    (tmp_path / "new/again").hardlink_to(tmp_path / "new/twice")

    assert measured(tmp_path / "new") == Size(entries=4, size=11, own=8)


def test_what_was_replaced_waits_with_the_bytes_that_nothing_else_holds(tmp_path: Path, store: Store) -> None:
    other = Store(tmp_path, "pip", "main")
    first = write(store, "a", "bc")
    writing = Writing(store)
    (writing.content / "npm").mkdir(parents=True)
    (writing.content / "npm/bc").hardlink_to(first / "npm/bc")
    (writing.content / "npm/def").write_text("def")
    writing.commit(seen={}, cold=None)
    write(other, "0123456789")
    other.drop()

    assert mounts.waiting_in(tmp_path) == len("a") + 10
    assert mounts.waiting_in(tmp_path / "absent") == 0


def test_what_nobody_used_for_longest_goes_when_there_is_no_room_for_all(tmp_path: Path) -> None:
    stores = [Store(tmp_path, tool, "main") for tool in ("npm", "pip", "uv")]
    for age, store in enumerate(stores):
        write(store, "0123456789")
        then = time.time() - 100 * age
        os.utime(store.path / "current", (then, then))
    # Read lately, although it was written first.
    assert stores[2].source() is not None

    gone = prune(tmp_path, budget=20)

    assert [each.key for each in gone] == ["pip/main"]
    assert [store.source() is None for store in stores] == [False, True, False]
    # Somebody may be reading it.
    assert len(generations(stores[1])) == 1
    stores[1].sweep(now=time.time() + _LATER)
    assert not stores[1].path.exists()
    assert prune(tmp_path, older_than=0.0, budget=None) != ()
    assert prune(tmp_path, older_than=0.0, budget=0) == ()


def test_what_is_written_to_a_deleted_cache_meanwhile_is_there(store: Store) -> None:
    store.path.mkdir(parents=True)
    # Long ago.
    store.point(Current(generation=None))
    writing = Writing(store)
    (writing.content / "npm").mkdir(parents=True)

    store.sweep()
    writing.commit(seen={}, cold=None)

    assert store.source() is not None


def test_pruning_leaves_alone_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "npm/_cacache").mkdir(parents=True)
    (tmp_path / "npm/_cacache/x").write_text("theirs")
    (tmp_path / "notes.txt").write_text("theirs")
    (tmp_path / "go/.fleetpacks/main/generations/notes").mkdir(parents=True)

    assert prune(tmp_path, older_than=0.0, budget=0) == ()

    assert (tmp_path / "npm/_cacache/x").exists()
    assert (tmp_path / "go/.fleetpacks/main/generations/notes").exists()
