"""A walk that stands on an earlier one finds what a walk without finds, whatever was done to the tree in between."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langs.stamps import Stamps
from orchestrator.workspace.files import walk
from orchestrator.workspace.listings import Listings
from tests.stamps import rewrite, tick
from tests.workspace.conftest import Plant

pytestmark = pytest.mark.usefixtures("at_rest")

Change = Callable[[Path], object]

FILES = {"top.py": "", "a/main.py": "", "a/deep/er/x.py": "", "b/.gitignore": "*.log\n", "b/x.log": "", "b/y.log": ""}


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are listed from now on, by their names."""
    names: list[str] = []
    scan = os.scandir

    def scanned(path: str) -> Iterator[os.DirEntry[str]]:
        names.append(Path(path).name)
        return scan(path)

    monkeypatch.setattr("os.scandir", scanned)
    return names


def walked(root: Path) -> Listings:
    """What a walk leaves for the next one."""
    tick(root)
    listings = Listings()
    walk(root, listings=listings)
    return Listings(listings.lasting)


def in_its_place(path: Path, make: Change) -> None:
    """What `make` makes, with the times of what was there, in a directory with the times that it had."""
    times, above = path.lstat(), path.parent.stat()
    (shutil.rmtree if path.is_dir() else os.unlink)(path)
    make(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    os.utime(path.parent, ns=(above.st_atime_ns, above.st_mtime_ns))


def swap(one: Path, other: Path) -> None:
    one.rename(one.parent / "aside")
    other.rename(one)
    (one.parent / "aside").rename(other)


CHANGES: dict[str, Change] = {
    "a new file": lambda root: (root / "a/new.py").write_text(""),
    "a new file deep down": lambda root: (root / "a/deep/er/new.py").write_text(""),
    "a new directory": lambda root: shutil.copytree(root / "a", root / "c"),
    "a file that is gone": lambda root: (root / "a/main.py").unlink(),
    "a directory that is gone": lambda root: shutil.rmtree(root / "a/deep"),
    "a name in other letters": lambda root: (root / "a/main.py").rename(root / "a/Main.py"),
    "a file that moved": lambda root: (root / "a/main.py").rename(root / "b/main.py"),
    "directories that changed places": lambda root: swap(root / "a", root / "b"),
    "a directory in the place of a file": lambda root: in_its_place(root / "a/main.py", Path.mkdir),
    "a file in the place of a directory": lambda root: in_its_place(root / "a/deep", Path.touch),
    "a link in the place of a directory": lambda root: in_its_place(root / "a", lambda path: path.symlink_to("b")),
    "a directory that becomes another's git": lambda root: (root / "a/deep").rename(root / "a/.git"),
    "a new .gitignore": lambda root: (root / "a/.gitignore").write_text("deep\n"),
    "a .gitignore that is gone": lambda root: (root / "b/.gitignore").unlink(),
    "a .gitignore behind its size and time": lambda root: rewrite(root / "b/.gitignore", "y*.l*\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_a_walk_finds_what_is_there(plant: Plant, change: str) -> None:
    root = plant(FILES)
    before, listings = walk(root), walked(root)

    CHANGES[change](root)
    after = walk(root, listings=listings)

    assert after == walk(root) != before


def test_what_is_as_it_was_is_not_listed_again(plant: Plant, listed: list[str]) -> None:
    root = plant(FILES)
    listings = walked(root)
    (root / "a/deep/new.py").write_text("")
    listed.clear()

    walk(root, listings=listings)

    assert listed == ["deep"]
    assert listings.news
    assert set(listings.lasting) == {str(root), *(f"{root}/{path}" for path in ("a", "a/deep", "a/deep/er", "b"))}


def test_where_nothing_changed_there_is_no_news(plant: Plant) -> None:
    listings = walked(plant(FILES))

    walk(plant({}), listings=listings)

    assert listings.lasting
    assert not listings.news


def test_what_has_just_changed_is_not_kept(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(FILES)
    monkeypatch.setattr("langs.stamps.REST_NS", 3600 * 1_000_000_000)

    listings = Listings()
    walk(root, listings=listings)

    assert not listings.lasting


def test_what_changed_between_the_look_and_the_listing_is_listed_the_next_time(plant: Plant, listed: list[str]) -> None:
    root = plant({"a/x.py": ""})
    tick(root)
    stamps = Stamps()
    early = [stamps[str(root)], stamps[f"{root}/a"]]
    (root / "a/y.py").write_text("")
    listings = Listings(look=stamps.__getitem__)
    found = walk(root, listings=listings)
    listed.clear()

    again = walk(root, listings=Listings(listings.lasting))

    assert found == again == ("a/x.py", "a/y.py")
    assert [each.stamp for each in listings.lasting.values()] == early
    assert listed == ["a"]


def test_what_is_gits_own_is_never_found(plant: Plant) -> None:
    root = plant({".git/HEAD": "", "a/.git/hooks/x.py": "", "a/b.py": "", "c/.git": "gitdir: ../a/.git\n"})
    listings = walked(root)

    assert walk(root) == walk(root, listings=listings) == ("a/b.py",)


def test_names_that_cannot_be_written_are_not_kept(plant: Plant) -> None:
    root = plant({"a/x.py": "", "b/y.py": ""})
    (root / "a" / os.fsdecode(b"caf\xe9")).touch()

    listings = Listings()
    found = walk(root, listings=listings)

    assert os.fsdecode(b"a/caf\xe9") in found
    assert set(listings.lasting) == {str(root), f"{root}/b"}


def test_a_link_is_never_kept_as_what_it_leads_to(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(plant({"x.py": ""}))

    listings = Listings()
    found = walk(tmp_path / "link", listings=listings)

    assert found == ("x.py",)
    assert not listings.lasting


_PATHS = st.sampled_from(["a", "b", "a/x", "a/b", "a/b/x", "a/.gitignore", ".gitignore", "b/y", "b/a", "b/a/x"])
_STEPS = st.lists(st.tuples(st.sampled_from(["write", "mkdir", "remove", "move", "link"]), _PATHS, _PATHS), max_size=6)


def _step(root: Path, what: str, path: str, other: str) -> None:
    place = root / path
    match what:
        case "write":
            place.write_text("x\n/b/\n")
        case "mkdir":
            place.mkdir()
        case "remove":
            (shutil.rmtree if place.is_dir() and not place.is_symlink() else os.unlink)(place)
        case "move":
            place.rename(root / other)
        case _:
            place.symlink_to(other)


@given(rounds=st.lists(_STEPS, min_size=2, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_to_a_tree_every_walk_finds_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, str, str]]]
) -> None:
    root = tmp_path_factory.mktemp("walk") / "tree"
    (root / "a/b").mkdir(parents=True)
    listings = Listings()
    for steps in rounds:
        for step in steps:
            try:
                _step(root, *step)
            except (OSError, shutil.Error):
                continue
        tick(root)

        listings = Listings(listings.lasting)
        assert walk(root, listings=listings) == walk(root)
