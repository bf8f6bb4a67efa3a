"""What was seen of an app's files holds for as long as each thing would be seen again, and no longer."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from langs.errors import LangError
from langs.files import AppFiles
from langs.listing import Listing, listing
from langs.seen import Seen
from langs.stamps import NO_STAMP, stamp_of
from tests.langs.conftest import Write
from tests.stamps import rewrite, tick

pytestmark = pytest.mark.usefixtures("at_rest")

Ask = Callable[[AppFiles], object]
Change = Callable[[Path], object]

FILES = {"go.mod": "module a", "src/deep/main.go": "package main", "other/main.go": "package other"}


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def replace(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


def link_away(path: Path, name: str) -> None:
    path.rename(path.parent / name)
    path.symlink_to(name)


def quietly(ask: Ask) -> Ask:
    """What is asked in vain was seen, too."""

    def asked(files: AppFiles) -> object:
        try:
            return ask(files)
        except LangError:
            return None

    return asked


CHANGES: dict[str, tuple[Ask, Change]] = {
    "content": (lambda files: files.read_text("go.mod"), lambda root: (root / "go.mod").write_text("module other")),
    "content of the same size and time": (
        lambda files: files.read_text("go.mod"),
        lambda root: rewrite(root / "go.mod", "module b"),
    ),
    "the head of a file": (lambda files: files.read_head("go.mod"), lambda root: rewrite(root / "go.mod", "module b")),
    "another file in its place": (
        lambda files: files.read_text("go.mod"),
        lambda root: (root / "src/deep/main.go").replace(root / "go.mod"),
    ),
    "permissions of a file": (lambda files: files.read_text("go.mod"), lambda root: (root / "go.mod").chmod(0o600)),
    "a file that was read is gone": (
        lambda files: files.read_text("src/deep/main.go"),
        lambda root: (root / "src/deep/main.go").unlink(),
    ),
    "a file that was not there": (lambda files: files.read_text("Procfile"), lambda root: (root / "Procfile").touch()),
    "a name that was not there": (lambda files: files.exists("Procfile"), lambda root: (root / "Procfile").touch()),
    "one behind dots": (
        lambda files: files.exists("src/../Procfile"),
        lambda root: (root / "Procfile").write_text("x"),
    ),
    "one read behind dots": (
        lambda files: files.read_text("src/../Procfile"),
        lambda root: (root / "Procfile").write_text("x"),
    ),
    "a directory behind dots": (lambda files: files.has_directory("src/../new"), lambda root: (root / "new").mkdir()),
    "a directory that was not there": (lambda files: files.has_directory("new"), lambda root: (root / "new").mkdir()),
    "a new file in the listing": (lambda files: files.listing, lambda root: (root / "src/deep/new.go").touch()),
    "another file beside one that went": (
        lambda files: files.listing,
        lambda root: (root / "src/deep/main.go").rename(root / "src/deep/new.go"),
    ),
    "a directory that became a link to such a one": (
        lambda files: files.glob("src/deep/*"),
        lambda root: link_away(root / "src", "moved"),
    ),
    "a file that became a directory": (
        lambda files: files.exists("go.mod"),
        lambda root: replace(root / "go.mod", Path.mkdir),
    ),
    "a new match of a pattern": (lambda files: files.glob("src/*/*.go"), lambda root: (root / "src/deep/n.go").touch()),
    "a new directory of a pattern": (
        lambda files: files.directories("src/*"),
        lambda root: (root / "src/wide").mkdir(),
    ),
    "a new file below": (lambda files: files.below("src"), lambda root: (root / "src/deep/new.go").touch()),
    "where a link leads": (
        lambda files: files.read_text("link"),
        lambda root: relink(root / "link", "other/main.go"),
    ),
    "where a link leads that is not read": (
        lambda files: files.exists("link"),
        lambda root: relink(root / "link", "src"),
    ),
    "what a link leads to": (
        lambda files: files.read_text("link"),
        lambda root: (root / "src/deep/main.go").write_text("x"),
    ),
    "a link in the middle": (
        lambda files: files.read_text("way/main.go"),
        lambda root: relink(root / "way", "other"),
    ),
    "a link in the middle of what is asked for": (
        lambda files: files.exists("way/main.go"),
        lambda root: relink(root / "way", "src"),
    ),
    "a link that led nowhere": (
        lambda files: files.read_text("broken"),
        lambda root: (root / "nowhere").write_text("x"),
    ),
    "a link that led out": (quietly(lambda files: files.read_text("out")), lambda root: relink(root / "out", "go.mod")),
    "what was no regular file": (
        quietly(lambda files: files.read_text("pipe")),
        lambda root: replace(root / "pipe", Path.touch),
    ),
}
NO_CHANGES: dict[str, Ask] = {
    "nothing was asked": lambda _files: None,
    "another file was read": lambda files: files.read_text("go.mod"),
    "other directories were listed": lambda files: files.glob("src/*.go"),
}


@pytest.fixture
def root(write: Write) -> Path:
    root = write(FILES)
    (root / "link").symlink_to("src/deep/main.go")
    (root / "way").symlink_to("src/deep")
    (root / "broken").symlink_to("nowhere")
    (root / "out").symlink_to("../secret")
    os.mkfifo(root / "pipe")
    tick(root)
    return root


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_seen_holds_until_it_changes(root: Path, change: str) -> None:
    ask, make = CHANGES[change]
    files = AppFiles(root)
    ask(files)
    held = files.seen.holds(str(files.root))

    make(root)

    assert held
    assert not files.seen.holds(str(files.root))


@pytest.mark.parametrize("asked", NO_CHANGES)
def test_what_was_not_looked_at_may_change(root: Path, asked: str) -> None:
    files = AppFiles(root)
    NO_CHANGES[asked](files)

    (root / "src/deep/main.go").write_text("x")
    (root / "src/deep/new.go").touch()

    assert files.seen.holds(str(files.root))


def test_a_file_that_came_and_went_is_nothing_that_was_seen(root: Path) -> None:
    files = AppFiles(root)
    list(files.listing)
    before = files.seen.stamps[""]

    (root / "swap").touch()
    with_it = files.seen.holds(str(files.root))
    (root / "swap").unlink()

    assert not with_it
    assert files.seen.holds(str(files.root))
    assert files.seen.stamps[""] != before
    assert files.seen.joined(AppFiles(root).seen).steady


def test_directories_around_and_beside_are_named(tmp_path: Path) -> None:
    for name in ("shop/api", "shop/shared", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "shop/way").symlink_to("shared")
    files = AppFiles(tmp_path / "shop/api", tmp_path)

    around = [each.root for each in files.enclosing]
    files.at("../way")

    assert around == [tmp_path / "shop", tmp_path]
    assert list(files.seen.beside) == [str(tmp_path / name) for name in ("shop", "", "shop/shared")]
    relink(tmp_path / "shop/way", "../elsewhere")
    assert not files.seen.holds(str(files.root))


def test_what_has_just_changed_is_not_believed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langs.stamps.REST_NS", 2_000_000_000)
    files = AppFiles(root)

    files.read_text("go.mod")

    assert not files.seen.holds(str(files.root))


def test_what_was_seen_in_two_ways_does_not_hold(root: Path) -> None:
    files = AppFiles(root)

    files.read_head("go.mod")
    (root / "go.mod").write_text("module other")
    files.read_head("go.mod")

    assert not files.seen.holds(str(files.root))


def test_two_looks_hold_together_where_they_agree(root: Path) -> None:
    one, two, three = AppFiles(root), AppFiles(root), Seen(stamps={"go.mod": None})
    one.read_text("go.mod")
    two.read_text("link")

    assert one.seen.joined(two.seen).holds(str(one.root))
    assert one.seen.joined(two.seen).stamps == one.seen.stamps | two.seen.stamps
    assert not one.seen.joined(three).holds(str(one.root))


@pytest.mark.parametrize("name", ["a\ud800b", "a\nb", "a\0b"])
def test_names_that_cannot_be_written_down_are_not_believed(root: Path, name: str) -> None:
    files = AppFiles(root)

    quietly(lambda asked: asked.read_text(f"src/../{name}"))(files)

    assert not files.seen.holds(str(files.root))


def test_a_directory_that_could_not_be_listed_is_not_believed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None: ...

    monkeypatch.setattr("langs.files.entries", failing)
    files = AppFiles(root)

    assert files.listing == ()
    assert not files.seen.holds(str(files.root))


def test_a_file_that_could_not_be_read_is_not_believed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("langs.files._read_beneath", failing)
    files = AppFiles(root)

    quietly(lambda asked: asked.read_text("go.mod"))(files)

    assert not files.seen.holds(str(files.root))


@pytest.mark.parametrize("most", [20_000, 2, 1])
def test_a_directory_that_was_listed_before_is_seen_as_if_it_was_listed_now(
    write: Write, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("langs.files.MAX_ENTRIES", most)
    root = write(FILES)
    os.mkfifo(root / "src/pipe")
    (root / "other/link").symlink_to("main.go")
    places = [str(root), *(str(path) for path in root.rglob("*") if path.is_dir())]
    listings = {place: listing(place, stamp_of(place) or NO_STAMP) for place in places}

    files, afresh = AppFiles(root, listings=listings), AppFiles(root)

    assert files.listing == afresh.listing
    assert files.seen == afresh.seen
    assert files.seen.steady == (most > 2)


def test_a_directory_that_was_listed_before_is_not_listed_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(FILES)
    listings = {str(root): Listing(stamp_of(str(root)) or NO_STAMP, directories=("src",))}

    files = AppFiles(root, listings=listings)
    monkeypatch.setattr("langs.files.entries", pytest.fail)

    assert files.first("go.mod", "src") is None
    assert files.has_directory("src")
    assert list(files.seen.stamps) == [""]
