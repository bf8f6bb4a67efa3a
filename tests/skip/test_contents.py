"""A context's digest: what changes it, what does not, and when a kept one is believed."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit.context import Context, Entry, patterns
from orchestrator.buildkit.session.patterns import Filter
from orchestrator.skip.contents import Contents


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app of files, a link and a directory, all of them at rest."""
    root = tmp_path / "app"
    (root / "src").mkdir(parents=True)
    (root / "src/main.go").write_text("package main")
    (root / "run.sh").write_text("true")
    (root / "notes.md").write_text("no input")
    (root / "current").symlink_to("src")
    _rest(root)
    return root


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return Contents(tmp_path / "kept")


def _rest(root: Path) -> None:
    """Change times cannot be set: the kept stamps are what is old, so everything was written long ago."""
    for path in (root, *root.rglob("*")):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read from now on."""
    read: list[str] = []

    def hashed(_context: Context, path: str, _entry: Entry, _check: Callable[[], None]) -> bytes:
        read.append(path)
        return b"x"

    monkeypatch.setattr("orchestrator.skip.contents._hash", hashed)
    return read


def _replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _same_size_and_time(root: Path) -> None:
    (root / "run.sh").write_text("trux")
    os.utime(root / "run.sh", (1_000_000_000, 1_000_000_000))


def _linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


_CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "src/main.go").write_text("package mine"),
    "content of the same size and time": _same_size_and_time,
    "a new file": lambda root: (root / "src/new.go").write_text("x"),
    "an empty new directory": lambda root: (root / "empty").mkdir(),
    "a removed file": lambda root: (root / "run.sh").unlink(),
    "another name": lambda root: (root / "run.sh").rename(root / "start.sh"),
    "permissions": lambda root: (root / "run.sh").chmod(0o755),
    "a directory's permissions": lambda root: (root / "src").chmod(0o700),
    "a link's target": lambda root: _linked(root / "current", "run.sh"),
    "a file that became a link": lambda root: _linked(root / "run.sh", "src"),
}
_NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "times": lambda root: os.utime(root / "run.sh"),
    "a file that is left out": lambda root: (root / "notes.md").write_text("more"),
    "a new file that is left out": lambda root: (root / "src/more.md").write_text("more"),
    "the same content in another file": lambda root: _replace(root / "run.sh", "true"),
    "nothing": lambda root: root.exists(),
    "files beside the app": lambda root: (root.parent / "other").write_text("x"),
}
_IGNORE = "# comment\n**/*.md\n"


@pytest.mark.parametrize("change", _CHANGES)
def test_what_a_build_sees_changes_the_digest(app: Path, contents: Contents, change: str) -> None:
    before = contents.read(app, _IGNORE)

    _CHANGES[change](app)
    after = contents.read(app, _IGNORE)

    assert after.digest != before.digest
    assert after.digest == Contents(app.parent / "unused").read(app, _IGNORE).digest
    assert contents.state(app, _IGNORE) == after.state != before.state


@pytest.mark.parametrize("change", _NO_CHANGES)
def test_what_no_build_sees_does_not(app: Path, contents: Contents, change: str) -> None:
    before = contents.read(app, _IGNORE)

    _NO_CHANGES[change](app)
    after = contents.read(app, _IGNORE)

    assert after.digest == before.digest


@pytest.mark.parametrize("change", _CHANGES)
def test_only_a_change_behind_size_and_time_makes_another_salt(app: Path, contents: Contents, change: str) -> None:
    contents.read(app, _IGNORE)

    _CHANGES[change](app)
    contents.read(app, _IGNORE)
    contents.read(app, _IGNORE)

    assert contents.salt(app, _IGNORE) == (change == "content of the same size and time")


def test_another_place_has_the_same_digest(app: Path, contents: Contents) -> None:
    before = contents.read(app, _IGNORE)

    app.rename(app.parent / "moved")
    after = contents.read(app.parent / "moved", _IGNORE)

    assert after.digest == before.digest


@pytest.mark.usefixtures("at_rest")
def test_what_is_at_rest_is_read_once(app: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    first = contents.read(app, _IGNORE)
    read = _watched(monkeypatch)

    again = contents.read(app, _IGNORE)
    (app / "run.sh").write_text("false")
    contents.read(app, _IGNORE)

    assert again.digest == first.digest
    assert read == ["run.sh"]


@pytest.mark.usefixtures("at_rest")
def test_apps_of_one_root_keep_what_each_has_read(
    app: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents.read(app, "src\n")
    contents.read(app, "run.sh\n")
    read = _watched(monkeypatch)

    contents.read(app, "src\n")
    contents.read(app, "run.sh\n")
    (app / "run.sh").write_text("TRUE")
    os.utime(app / "run.sh", (1_000_000_000, 1_000_000_000))
    contents.read(app, "run.sh\n")
    contents.read(app, "src\n")

    assert read == ["run.sh"]
    assert (contents.salt(app, "src\n"), contents.salt(app, "run.sh\n")) == (1, 0)


def test_a_reading_that_nobody_waits_for_ends(app: Path, contents: Contents, tmp_path: Path) -> None:
    class EndedError(Exception):
        pass

    def check() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        contents.read(app, _IGNORE, check=check)

    assert not (tmp_path / "kept").exists()


@pytest.mark.usefixtures("at_rest")
def test_what_is_used_is_not_swept(app: Path, contents: Contents, tmp_path: Path) -> None:
    contents.read(app, _IGNORE)
    (kept,) = (tmp_path / "kept").iterdir()
    os.utime(kept, (0, time.time() - 40 * 86_400))

    contents.read(app, _IGNORE)
    contents.sweep()

    assert kept.exists()


def test_what_was_just_written_is_read_again(app: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    contents.read(app, _IGNORE)
    read = _watched(monkeypatch)

    contents.read(app, _IGNORE)

    assert read == ["run.sh", "src/main.go"]


@pytest.mark.usefixtures("at_rest")
@pytest.mark.parametrize("damage", [b"", b"\xc1", b"junk", msgspec.msgpack.encode([2, "x", {}])])
def test_a_damaged_memory_counts_as_none(app: Path, contents: Contents, tmp_path: Path, damage: bytes) -> None:
    before = contents.read(app, _IGNORE)
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(damage)

    after = contents.read(app, _IGNORE)

    assert after == before


def test_where_nothing_can_be_kept_it_is_read_all_the_same(app: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    read = Contents(tmp_path / "file" / "kept").read(app, _IGNORE)

    assert read.files == 2


@pytest.mark.usefixtures("at_rest")
def test_old_memories_are_swept(app: Path, contents: Contents, tmp_path: Path) -> None:
    contents.read(app, _IGNORE)
    old = tmp_path / "kept" / "old"
    old.write_text("")
    os.utime(old, (0, time.time() - 40 * 86_400))

    contents.sweep()

    assert not old.exists()
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_names_that_are_no_text_are_read(app: Path, contents: Contents) -> None:
    before = contents.read(app, "")
    Path(os.fsdecode(bytes(app) + b"/\xff\n")).write_text("x")

    after = contents.read(app, "")
    again = contents.read(app, "")

    assert after.digest != before.digest
    assert again == after
    assert stat.S_ISDIR((app / "src").stat().st_mode)


_LINES = {
    "comments, blanks, spaces": ("# no\n\n  a  \n #b\n", ("a", "#b")),
    "slashes": ("/a\n./b/\n/\n//\n", ("a", "b", "/", "/")),
    "exceptions": ("!a\n! b\n!\n!/c\n", ("!a", "!b", "!", "!c")),
    "a mark of UTF-8": ("\ufeff#a\nb\r\n", ("b",)),
    "parents": ("a/../b\n../c\n", ("b", "../c")),
}


@pytest.mark.parametrize("case", _LINES)
def test_lines_are_read_as_the_daemon_reads_them(case: str) -> None:
    text, expected = _LINES[case]

    assert patterns(text) == expected


@given(st.text(alphabet="#! /.*ab\n\t\\[]", max_size=40))
def test_no_line_is_too_odd(text: str) -> None:
    assert all(patterns(text))


def test_the_filter_is_the_one_of_the_session() -> None:
    assert not Filter(exclude=patterns(_IGNORE)).decide("a/b.md", (0, 0)).send
