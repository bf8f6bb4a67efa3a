"""`fleetpacks bench storage`, as far as no daemon is needed."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from orchestrator.app import benching
from orchestrator.bench import plots
from orchestrator.bench.reading import read
from orchestrator.bench.result import Report
from orchestrator.bench.work.running import Progress
from orchestrator.cli import measuring
from orchestrator.errors import StorageError, UsageError
from tests.bench.made import report, series
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414 -- a fixture


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "--target"),
        (("--target", "here"), "expected a name and a directory"),
        (("--target", "=/tmp"), "expected a name and a directory"),
        (("--target", "a="), "expected a name and a directory"),
        (("--target", "a+b=/tmp"), "expected a name and a directory"),
        (("--target", "a=.", "--target", "a=."), "a is named twice"),
        (("--target", "a=/tmp", "--target", "b=/var/../tmp"), "a and b are one directory"),
        (("--target", "a=.", "--rounds", "0"), "--rounds"),
        (("--target", "a=.", "--json", "/no/such/directory/file"), "/no/such/directory"),
        (("--target", "a=.", "--output", "/dev/null/x"), "--output"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    run: Run, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = run("bench", "storage", *words, variables={"HOME": str(tmp_path)})

    assert done.code == 2
    assert complaint in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(what="making what is built", seconds=0.2), "making what is built  (0s)"),
        (
            Progress(what="round 1: pull on a", done=3, total=40, seconds=12, left=130),
            "3/40  round 1: pull on a  (12s, about 2m10s left)",
        ),
        (
            Progress(what="round 1: pull on a", done=4, total=40, seconds=13, left=129, value=1.234),
            "4/40  round 1: pull on a: 1.23 s  (13s, about 2m09s left)",
        ),
    ],
)
def test_progress_is_told_with_an_estimate(progress: Progress, line: str) -> None:
    assert measuring.told(progress) == line


class Gone(io.StringIO):
    """A terminal of which nobody can tell the width any more."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)


def test_a_terminal_that_is_gone_ends_nothing_and_what_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", gone := Gone())
    shown = measuring.Shown()

    shown.hear(Progress(what="pull on a", seconds=1))
    shown.hear(Progress(what="a: it could not be deleted", seconds=2, stays=True))
    shown.end()

    assert "a: it could not be deleted\n" in gone.getvalue()


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        ([], "interrupted before anything was measured; what was made on a and b is deleted\n"),
        (
            [Progress(what="pull on a", done=3, total=40, seconds=1)],
            "interrupted after 3 of 40 runs, of which nothing is kept; what was made on a and b is deleted\n",
        ),
        (
            [Progress(what="a: it stays", seconds=2, stays=True)],
            "; what was made on a and b is deleted, but for what is said above\n",
        ),
    ],
)
def test_who_breaks_it_off_learns_what_there_is_of_it(
    capsys: pytest.CaptureFixture[str], progress: list[Progress], said: str
) -> None:
    shown = measuring.Shown()
    for each in progress:
        shown.hear(each)

    shown.broken_off("a and b")

    assert capsys.readouterr().err.endswith(said)


def test_a_warning_of_a_benchmark_that_is_broken_off_is_kept_in_mind(capsys: pytest.CaptureFixture[str]) -> None:
    shown = measuring.Shown()

    shown.warn("tcp://a:1: what was built stays there")
    shown.broken_off("the builders")

    warning, end = capsys.readouterr().err.splitlines()
    assert warning == "warning: tcp://a:1: what was built stays there"
    assert end.endswith("; what was made on the builders is deleted, but for what is said above")


_REPORT = report(series("pull", "a", [1.0, 2.0]))


def test_a_report_that_cannot_be_written_is_on_the_screen_and_in_the_other_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(UsageError):
        measuring.tell(_REPORT, json_file=str(tmp_path / "none/report.json"), directory=tmp_path / "out")

    assert "\npull " in capsys.readouterr().out
    assert read(tmp_path / "out/report.json") == _REPORT


def test_a_picture_that_fails_is_told_and_the_report_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(_report: Report, _kind: str) -> bytes:
        raise ValueError("a font is broken")

    def check(_path: Path, *, said_by: str) -> str:
        return said_by

    monkeypatch.setattr(plots, "draw", draw)
    monkeypatch.setattr(plots, "check", check)

    measuring.tell(_REPORT, json_file="-", directory=tmp_path)

    said = capsys.readouterr()
    assert said.out.startswith("{")
    assert said.err == "no pictures: ValueError: a font is broken\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a"), "/a: No space left on device", "Make room there."),
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), "Transport endpoint", "See whether it is"),
    ],
)
def test_what_the_system_says_of_a_directory_is_an_error_for_people(error: OSError, message: str, hint: str) -> None:
    with pytest.raises(StorageError, match=message) as caught, benching.border():
        raise error

    assert caught.value.hint.startswith(hint)


def test_a_reader_that_has_left_is_none_of_them() -> None:
    with pytest.raises(BrokenPipeError), benching.border():
        raise BrokenPipeError


def test_a_cache_directory_that_cannot_be_made_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = run("bench", "storage", "--target", f"a={tmp_path}", variables={"HOME": str(tmp_path / "file")})

    assert done.code == 1
    assert f"error: {tmp_path}/file/.cache" in done.err
    assert "hint: See whether" in done.err
