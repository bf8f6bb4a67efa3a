"""`fleetpacks report`, as people and programs see it. What it tells of a run is tested elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.report import record
from orchestrator.report.record import FILE, Record
from tests.report.simulated import MadeApp, MadeStep, simulate

Run = Callable[..., Any]

_STEP = MadeStep(name="[2/2] RUN make", seconds=2.0)
_OLD, _NEW = "20261121T000001Z-aaaaaaaa", "20261121T000002Z-bbbbbbbb"


def written(directory: Path, made: Record) -> None:
    folder = directory / "fleetpacks/runs" / made.header.run
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"".join(record.encode(line) for line in (made.header, *made.events)))


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    """Variables that lead to two runs."""
    written(tmp_path / "state", simulate([MadeApp(steps=(_STEP,))], jobs=1, run=_OLD))
    written(tmp_path / "state", simulate([MadeApp(steps=(_STEP,), before=1.0)], jobs=1, run=_NEW))
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


def test_the_last_run_is_told_and_compared_with_the_one_before(run: Run, state: dict[str, str]) -> None:
    ran = run("report", variables=state)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"run {_NEW}, ")
    assert f"the run before, {_OLD}: 2.0s" in ran.out


@pytest.mark.parametrize("said", [_OLD, "aaaaaaaa", "20261121T000001"])
def test_a_run_is_told_by_a_part_of_its_name(run: Run, state: dict[str, str], said: str) -> None:
    ran = run("report", "--json", said, variables=state)

    document = json.loads(ran.out)
    assert (ran.code, document["format"], document["run"], document["previous"]) == (0, 1, _OLD, None)


def test_the_operator_says_where_runs_are(run: Run, tmp_path: Path, state: dict[str, str]) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text(f'[runs]\ndirectory = "{tmp_path}/state/fleetpacks/runs"\n')

    ran = run("report", variables={"FLEETPACKS_CONFIG": str(operator)})

    assert (ran.code, ran.out.partition(",")[0]) == (0, f"run {_NEW}")


def test_a_page_and_a_trace_are_written_and_nothing_is_printed(run: Run, tmp_path: Path, state: dict[str, str]) -> None:
    ran = run("report", "--html", tmp_path / "page.html", "--trace", tmp_path / "trace.json", variables=state)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing"], "'nothing': no such run"),
        (["2026"], "more than one run"),
        (["/nowhere/record.jsonl"], "/nowhere/record.jsonl: cannot be read"),
        (["--html", "/nowhere/page.html"], "/nowhere/page.html: the page cannot be written"),
        (["--trace", "/nowhere/trace.json"], "/nowhere/trace.json: the trace cannot be written"),
    ],
)
def test_what_cannot_be_is_an_error_with_a_hint(
    run: Run, state: dict[str, str], words: list[str], complaint: str
) -> None:
    ran = run("report", *words, variables=state)

    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err
    assert "\nhint: " in ran.err


def test_without_any_run_a_hint_says_what_leaves_one(run: Run, tmp_path: Path) -> None:
    ran = run("report", variables={"XDG_STATE_HOME": str(tmp_path)})

    assert ran.code == 2
    assert "`fleetpacks build` leaves one" in ran.err


def test_a_broken_record_before_it_is_no_reason_to_tell_nothing(
    run: Run, tmp_path: Path, state: dict[str, str]
) -> None:
    (tmp_path / "state/fleetpacks/runs" / _OLD / FILE).write_text("{")

    ran = run("report", variables=state)

    assert (ran.code, "the run before" in ran.out) == (0, False)


@pytest.mark.parametrize("name", ["::error::x", "a\x1b[2Jb", "\u202ea"])
def test_names_steer_neither_a_terminal_nor_githubs_runner(run: Run, tmp_path: Path, name: str) -> None:
    step = MadeStep(name=name, seconds=2.0)
    written(tmp_path, simulate([MadeApp(steps=(step,))], jobs=1, run=_NEW, source=name))

    ran = run("report", variables={"XDG_STATE_HOME": str(tmp_path), "GITHUB_ACTIONS": "true"})

    assert ran.code == 0
    assert not any(line.lstrip().startswith("::") for line in ran.out.splitlines())
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_the_directory_of_runs_must_be_absolute(run: Run, tmp_path: Path) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text('[runs]\ndirectory = "runs"\n')

    ran = run("report", variables={"FLEETPACKS_CONFIG": str(operator)})

    assert ran.code == 2
    assert "operator.toml:2: runs.directory: expected an absolute path" in ran.err
