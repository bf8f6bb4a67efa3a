"""What is told of a run that never began: an event, a result file, a document."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(
    params=[
        "a path that is none",
        "a manifest that is broken",
        "an option that cannot be",
        "a builder that cannot be",
        "no builder",
    ]
)
def mistake(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str | Path], int, str]:
    """Words of a build that fails before its run, its exit code, and a part of the error."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n")
    words: list[str | Path] = ["build", "-C", source]
    match request.param:
        case "a path that is none":
            return [*words, "nope"], 2, "'nope': no such directory"
        case "a manifest that is broken":
            (source / "Dockerfile").unlink()
            (source / "package.json").write_text("{")
            return words, 2, "package.json"
        case "an option that cannot be":
            return [*words, "--output", "type=oci"], 2, "dest is missing"
        case "a builder that cannot be":
            return [*words, "--host", "unix:relative"], 2, "unix:relative"
        case _:
            return [*words, "--host", f"unix://{tmp_path}/absent.sock"], 75, "absent.sock"


def test_a_result_file_says_why(run: Run, tmp_path: Path, mistake: tuple[list[str | Path], int, str]) -> None:
    words, code, error = mistake

    ran = run(*words, "--result-file", tmp_path / "result.json")

    written = json.loads((tmp_path / "result.json").read_text())
    assert (ran.code, written["exit_code"], written["status"], written["images"]) == (code, code, "failed", [])
    assert error in written["error"]
    assert error in ran.err


@pytest.mark.parametrize("wrong", ["host", "configuration"])
def test_a_stale_result_file_of_the_environment_is_replaced(run: Run, tmp_path: Path, wrong: str) -> None:
    result = tmp_path / "result.json"
    result.write_text('{"exit_code": 0}')
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    if wrong == "configuration":
        (tmp_path / "fleetpacks.toml").write_text("[")
    variables = {"RESULT_FILE": str(result), "BUILDKIT_HOST": "unix:relative"}

    ran = run("build", "-C", tmp_path, variables=variables)

    assert (ran.code, json.loads(result.read_text())["exit_code"]) == (2, 2)


def test_the_last_event_says_why_and_is_the_only_one(run: Run, mistake: tuple[list[str | Path], int, str]) -> None:
    words, code, error = mistake

    ran = run(*words, "--progress", "json")

    (event,) = map(json.loads, ran.out.splitlines())
    assert (ran.code, event["event"], event["exit_code"]) == (code, "run-completed", code)
    assert error in event["error"]


def test_the_document_says_why(run: Run, mistake: tuple[list[str | Path], int, str]) -> None:
    words, code, error = mistake

    ran = run(*words, "--json")

    document = json.loads(ran.out)
    assert (ran.code, document["exit_code"]) == (code, code)
    assert error in document["error"]


def test_a_broken_configuration_says_why_where_the_command_line_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text("[")

    ran = run("build", "-C", tmp_path, "--progress", "json", "--result-file", tmp_path / "result.json")

    event, written = json.loads(ran.out), json.loads((tmp_path / "result.json").read_text())
    assert (ran.code, event["exit_code"], written["exit_code"], written["apps"]) == (2, 2, 2, [])
    assert "fleetpacks.toml" in event["error"]
    assert event["error"] == written["error"]


def test_a_result_file_that_cannot_be_written_is_told_before_anything_is_built(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    nowhere = tmp_path / "nowhere/result.json"

    # An address at which nobody is: asking there would be another error.
    ran = run("build", "-C", tmp_path, "--json", "--result-file", nowhere, variables={"BUILDKIT_HOST": "unix:///no"})

    assert ran.code == 2
    assert f"error: {nowhere}: the result file cannot be written: No such file or directory" in ran.err
    assert "cannot be written" in json.loads(ran.out)["error"]


@pytest.mark.parametrize(
    "words",
    [
        ["--jobs", "many", "--result-file", "{}"],
        ["--result-file={}", "--no-such"],
        ["--result-file", "first", "--progress", "loud", "--result-file", "{}", "--", "--result-file", "last"],
        ["--timeout", "long", "$"],
    ],
)
def test_a_command_line_that_cannot_be_read_is_told_in_the_file(run: Run, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "result.json"
    variables = {"RESULT_FILE": str(file)} if "$" in words else {}

    ran = run("build", *(word.replace("{}", str(file)) for word in words), variables=variables)

    written = json.loads(file.read_text())
    assert (ran.code, ran.out, written["exit_code"], written["status"]) == (2, "", 2, "failed")
    assert written["error"] in ran.err


def test_a_command_line_that_cannot_be_read_is_told_as_json(run: Run, tmp_path: Path) -> None:
    ran = run("build", "--progress=json", "--jobs", "many")
    nowhere = run("build", "--json", "--jobs", "many", "--result-file", tmp_path / "nowhere/x")

    assert "many" in json.loads(ran.out)["error"]
    assert "many" in json.loads(nowhere.out)["error"]
    assert "nowhere/x: the result file cannot be written" in nowhere.err


def test_a_command_that_nobody_waits_for_writes_no_result(run: Run, tmp_path: Path) -> None:
    ran = run("plan", "--no-such", variables={"RESULT_FILE": str(tmp_path / "result.json")})

    assert (ran.code, ran.out, list(tmp_path.iterdir())) == (2, "", [])


@pytest.mark.parametrize("words", [["--json"], ["--progress", "json"], []])
def test_names_that_are_no_text_are_told_in_escapes(run: Run, tmp_path: Path, words: list[str]) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    root.mkdir()

    ran = run("build", "-C", root, *words, os.fsdecode(b"no\xff"))

    assert ran.code == 2
    assert "'no\\xff': no such directory in" in ran.err.replace("\\\\", "\\")
    if words:
        assert "caf\\xe9" in json.loads(ran.out)["error"]


def test_what_the_environment_holds_as_a_credential_is_told_of_no_run_that_never_began(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    variables = {"DEPLOY_TOKEN": "found-by-value", "BUILDKIT_HOST": f"unix://{tmp_path}/found-by-value.sock"}
    summary = tmp_path / "summary.md"
    variables |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}

    ran = run("build", "-C", tmp_path, "--json", "--result-file", tmp_path / "result.json", variables=variables)

    told = [ran.out, ran.err, (tmp_path / "result.json").read_text(), summary.read_text().replace("\\", "")]
    assert ran.code == 75
    assert ["found-by-value" in text for text in told] == [False] * 4
    assert ["/***.sock" in text for text in told] == [True] * 4
