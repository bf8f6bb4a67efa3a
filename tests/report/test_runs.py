"""Where records lie: names in order, one that is meant, old ones that go."""

import datetime as dt
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.report import runs
from orchestrator.report.record import FILE
from orchestrator.report.recorder import Recorder
from orchestrator.report.redaction import Redactor
from tests.report.test_recorder import header

_NOW = dt.datetime(2026, 11, 21, 20, 50, tzinfo=dt.UTC)


def made(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / name / FILE).write_text("{}\n")


def left(directory: Path) -> list[str]:
    return [each.name for each in runs.newest_first(directory)]


def test_names_are_in_the_order_of_time_and_never_the_same() -> None:
    names = [runs.new_name(_NOW + dt.timedelta(seconds=number // 2)) for number in range(100)]

    assert len(set(names)) == 100
    assert [name[:16] for name in sorted(names)] == [name[:16] for name in names]


def test_the_newest_runs_stay_and_old_ones_go(tmp_path: Path) -> None:
    names = [f"202611{day:02}T000000Z-0000000{day % 10}" for day in (1, 15, 19, 20, 21)]
    made(tmp_path, *names, "not-a-run")

    runs.sweep(tmp_path, keep=3, days=5, now=_NOW)

    assert left(tmp_path) == names[:1:-1]
    assert (tmp_path / "not-a-run").exists()
    runs.sweep(tmp_path, keep=3, days=1, now=_NOW)
    assert left(tmp_path) == [names[4]]


def test_a_run_that_goes_on_is_never_swept(tmp_path: Path) -> None:
    old = "20200101T000000Z-00000000"
    recorder = Recorder(tmp_path, header(old), Redactor(), ended=lambda: None)

    runs.sweep(tmp_path, keep=1, days=1, now=_NOW)
    running = runs.is_running(recorder.path)
    recorder.close(30)
    over = not runs.is_running(recorder.path)
    runs.sweep(tmp_path, keep=1, days=1, now=_NOW)

    assert (running, over, left(tmp_path)) == (True, True, [])


def test_a_directory_that_is_not_there_holds_no_runs(tmp_path: Path) -> None:
    runs.sweep(tmp_path / "none", keep=1, days=1, now=_NOW)

    with pytest.raises(UsageError, match="there is no record of a run"):
        runs.find(tmp_path / "none", None)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (None, "20261121T000002Z-bbbbbbbb"),
        ("20261121T000001Z-aaaaaaaa", "20261121T000001Z-aaaaaaaa"),
        ("bbbbbbbb", "20261121T000002Z-bbbbbbbb"),
        ("20261121T000001", "20261121T000001Z-aaaaaaaa"),
    ],
)
def test_a_run_is_found_by_a_part_of_its_name(tmp_path: Path, said: str | None, found: str) -> None:
    made(tmp_path, "20261121T000001Z-aaaaaaaa", "20261121T000002Z-bbbbbbbb")

    assert runs.find(tmp_path, said) == tmp_path / found / FILE


def test_a_run_that_was_killed_before_its_first_line_is_not_the_newest(tmp_path: Path) -> None:
    made(tmp_path, "20261119T000000Z-00000009")
    (tmp_path / "20261120T000000Z-00000001").mkdir()
    (tmp_path / "20261121T000000Z-00000002").mkdir()
    (tmp_path / "20261121T000000Z-00000002" / FILE).touch()

    found = runs.find(tmp_path, None)

    assert found == tmp_path / "20261119T000000Z-00000009" / FILE


@pytest.mark.parametrize(("said", "complaint"), [("2026", "more than one run"), ("nope", "no such run")])
def test_a_name_that_means_no_one_run_is_an_error_that_names_some(tmp_path: Path, said: str, complaint: str) -> None:
    made(tmp_path, "20261121T000001Z-aaaaaaaa", "20261121T000002Z-bbbbbbbb")

    with pytest.raises(UsageError, match=complaint) as caught:
        runs.find(tmp_path, said)

    assert "20261121T000002Z-bbbbbbbb, 20261121T000001Z-aaaaaaaa" in caught.value.hint


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    made(tmp_path, "elsewhere")

    assert runs.find(tmp_path, f"{tmp_path}/elsewhere") == tmp_path / "elsewhere" / FILE
    assert runs.find(tmp_path, f"{tmp_path}/elsewhere/{FILE}") == tmp_path / "elsewhere" / FILE
