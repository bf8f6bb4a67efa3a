"""In a job of GitHub Actions: what a repository says is not obeyed by the runner."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import errors
from orchestrator.config import environment
from orchestrator.errors import ConfigError
from tests.display.runner import Runner

Run = Callable[..., Any]

_IN_A_JOB = {"GITHUB_ACTIONS": "true"}
_NAMES = ["::error::x", " ::add-mask::x", "a ##[error]x", "###[add-path]x", "::stop-commands::x"]


def _obeyed(text: str) -> list[Any]:
    runner = Runner()
    runner.read(text)
    assert not runner.stopped
    return runner.commands


@pytest.mark.parametrize("name", _NAMES)
def test_names_of_apps_are_no_commands(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / name / "fleetpacks.toml").write_text('versions.go = "1"\n')
    monkeypatch.chdir(tmp_path)

    ran = [
        run(*words, variables=_IN_A_JOB)
        for words in (["apps"], ["plan"], ["detect", name], ["apps", "--json"], ["plan", "--json"])
    ]

    assert [each.code for each in ran] == [0] * 5
    assert _obeyed("".join(each.out + each.err for each in ran)) == []
    assert json.loads(ran[3].out)["path"] == name


@pytest.mark.parametrize("name", _NAMES)
def test_errors_are_no_commands(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for directory in (name, "other"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "package.json").write_text("{")
    monkeypatch.chdir(tmp_path)

    ran = [run(*words, variables=_IN_A_JOB) for words in (["plan"], ["detect", name], ["plan", f"x\n{name}"])]

    assert [each.code for each in ran] == [2] * 3
    assert _obeyed("".join(each.err for each in ran)) == []


@given(st.lists(st.one_of(st.text(), st.sampled_from(_NAMES))).map("\n".join))
def test_no_line_of_any_error_is_a_command(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as streams:
        patch.setattr(environment, "read", lambda: _IN_A_JOB)
        written: list[str] = []
        streams.setattr("sys.stderr", _Stream(written))
        errors.show(ConfigError(text, hint=text))
        errors.show_usage(click.UsageError(text))

    assert written
    assert _obeyed("".join(written)) == []


def test_elsewhere_names_stay_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "::error::x").mkdir()
    (tmp_path / "::error::x/Dockerfile").write_text("FROM scratch\n")

    there, in_a_job = run("apps", tmp_path), run("apps", tmp_path, variables=_IN_A_JOB)

    assert there.out.startswith("::error::x  ")
    assert in_a_job.out.startswith(r"\x3a:error::x  ")


class _Stream:
    def __init__(self, written: list[str]) -> None:
        self.write = written.append

    def flush(self) -> None:
        pass
