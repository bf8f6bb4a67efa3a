"""The times with which files are sent: what keeps one, what gets another, and what is never vouched for."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from orchestrator.buildkit.context import Context, is_file
from orchestrator.errors import ContextError
from orchestrator.skip.contents import Contents
from orchestrator.skip.times import Announced, Times

pytestmark = pytest.mark.usefixtures("at_rest")

_NAME = "0" * 32
_SECOND = 1_000_000_000
_FAR = msgspec.msgpack.encode((1, {b"run.sh": (b"", 1 << 63)}))
"""A ledger with a time that no message has room for."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    (root / "src").mkdir(parents=True)
    (root / "src/main.py").write_text("print(1)")
    (root / "run.sh").write_text("true")
    (root / "current").symlink_to("src")
    return root


def _clock(kept: Path, root: Path) -> Announced:
    return Times(kept, Contents(kept.parent / "contents")).clock(_NAME, root, "")


def _told(kept: Path, root: Path) -> Mapping[str, int]:
    """What a daemon is told now."""
    return _announced(_clock(kept, root), root)


def _announced(clock: Announced, root: Path) -> Mapping[str, int]:
    with Context(root, "") as context:
        return {path: clock.time(path, entry) for path, entry in context.entries() if is_file(entry)}


def _rewrite(root: Path) -> None:
    """As a fresh clone does it."""
    shutil.copytree(root, root.parent / "clone", symlinks=True, copy_function=shutil.copyfile)
    shutil.rmtree(root)
    (root.parent / "clone").rename(root)


def _change(file: Path, text: str) -> None:
    """Content of the same size, behind the same time."""
    status = file.stat()
    file.write_text(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_fresh_clone_keeps_all_times(kept: Path, app: Path) -> None:
    before = _told(kept, app)

    _rewrite(app)
    after = _told(kept, app)

    assert after == before
    assert set(before) == {"src/main.py", "run.sh"}


def test_a_clone_at_another_place_keeps_them_too(kept: Path, app: Path) -> None:
    before = _told(kept, app)

    moved = app.rename(app.parent / "moved")

    assert _told(kept, moved) == before


def test_other_content_of_the_same_size_and_time_gets_a_later_time(kept: Path, app: Path) -> None:
    before = _told(kept, app)

    _change(app / "run.sh", "trux")
    after = _told(kept, app)

    assert after["src/main.py"] == before["src/main.py"]
    assert after["run.sh"] >= before["run.sh"] + _SECOND


def test_content_that_comes_back_gets_a_later_time_than_what_was_between(kept: Path, app: Path) -> None:
    told: list[int] = []
    for text in ("true", "trux", "true"):
        _change(app / "run.sh", text)
        told.append(_told(kept, app)["run.sh"])

    assert told[0] + 2 * _SECOND <= told[1] + _SECOND <= told[2]


def test_a_clock_that_was_set_back_gives_later_times_all_the_same(
    kept: Path, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _told(kept, app)
    monkeypatch.setattr("orchestrator.skip.times.time.time_ns", lambda: _SECOND)

    _change(app / "run.sh", "trux")

    assert _told(kept, app)["run.sh"] > before["run.sh"]


def test_a_file_that_changes_after_it_was_looked_at_is_told_with_a_time_of_its_own(kept: Path, app: Path) -> None:
    before = _told(kept, app)
    clock = _clock(kept, app)

    (app / "run.sh").write_text("trux")
    (app / "new").write_text("new")
    told = _announced(clock, app)

    assert told["src/main.py"] == before["src/main.py"]
    assert told["run.sh"] not in before.values()
    assert told["new"] not in before.values()


def test_what_was_told_of_a_changing_file_is_told_of_no_other_content(kept: Path, app: Path) -> None:
    clock = _clock(kept, app)

    # The daemon is sent this under a time, and the file gets back what was looked at.
    _change(app / "run.sh", "trux")
    between = _announced(clock, app)["run.sh"]
    _change(app / "run.sh", "true")

    assert _told(kept, app)["run.sh"] != between


def test_what_changes_between_its_being_announced_and_read_is_sent_again(kept: Path, app: Path) -> None:
    clock = _clock(kept, app)
    announced = _announced(clock, app)

    clock.read("src/main.py", (app / "src/main.py").stat())
    _change(app / "run.sh", "trux")
    clock.read("run.sh", (app / "run.sh").stat())
    _change(app / "run.sh", "true")
    after = _told(kept, app)

    assert after["src/main.py"] == announced["src/main.py"]
    assert after["run.sh"] != announced["run.sh"]


def test_other_extended_attributes_have_another_time(kept: Path, app: Path) -> None:
    told: list[int] = []
    for value in (b"1", b"2", b"1"):
        os.setxattr(app / "run.sh", "user.key", value)
        told.append(_told(kept, app)["run.sh"])

    assert told[0] == told[2] != told[1]


def test_what_cannot_be_read_hinders_nobody_who_may_never_ask_for_it(
    kept: Path, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> bytes:
        raise ContextError("run.sh cannot be read", hint="make it readable")

    monkeypatch.setattr("orchestrator.skip.contents._hash", refused)

    assert set(_told(kept, app)) == {"src/main.py", "run.sh"}


def test_what_was_not_at_rest_is_vouched_for_by_no_time(kept: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_REST_NS", "_FINE_REST_NS"):
        monkeypatch.setattr(f"orchestrator.skip.contents.{name}", 60 * _SECOND)

    before, after = _told(kept, app), _told(kept, app)

    assert not {*before.values()} & {*after.values()}


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xc1" * 100, _FAR])
def test_a_damaged_ledger_counts_as_none(kept: Path, app: Path, damage: bytes) -> None:
    before = _told(kept, app)

    (kept / _NAME).write_bytes(damage)
    after = _told(kept, app)

    assert not {*before.values()} & {*after.values()}
    assert _told(kept, app) == after


def test_two_ledgers_are_told_apart_and_give_different_times(tmp_path: Path, app: Path) -> None:
    contents = Contents(tmp_path / "contents")

    one, two, again = (Times(tmp_path / name, contents) for name in ("one", "two", "one"))

    assert one.identity == again.identity != two.identity
    assert {*_told(tmp_path / "one", app).values()}.isdisjoint(_told(tmp_path / "two", app).values())


def test_an_identity_that_is_none_is_made_anew(kept: Path) -> None:
    contents = Contents(kept.parent / "contents")
    Times(kept, contents)
    (kept / "identity").write_bytes(b"\xff\n")

    made = Times(kept, contents).identity

    assert made.isalnum()
    assert Times(kept, contents).identity == made


def test_where_nothing_can_be_kept_there_are_no_times(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")

    with pytest.raises(OSError, match="kept"):
        Times(tmp_path / "kept", Contents(tmp_path / "contents"))
