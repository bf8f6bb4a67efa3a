"""Drop-in mode on the command line: migetpacks' places, its result file, its exit code."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app import builder
from orchestrator.daemon import facts

Run = Callable[..., Any]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An app whose directory holds another one."""
    root = tmp_path / "source"
    (root / "worker").mkdir(parents=True)
    (root / "package.json").write_text('{"name": "web", "scripts": {"start": "node server.js"}}')
    (root / "server.js").write_text("require('http').createServer((q, a) => a.end()).listen(process.env.PORT)\n")
    (root / "worker/go.mod").write_text("module worker\n\ngo 1.25\n")
    (root / "worker/main.go").write_text("package main\n\nfunc main() {}\n")
    return root


def _planned(run: Run, variables: Mapping[str, str], *words: str | Path) -> list[dict[str, Any]]:
    ran = run("plan", "--json", "--drop-in", *words, variables=variables)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_source_that_is_an_app_is_the_one_app_and_has_the_image_as_it_was_named(run: Run, source: Path) -> None:
    variables = {"SOURCE_DIR": str(source), "OUTPUT_IMAGE": "r.example/team/shop:v3"}

    (alone,) = _planned(run, variables)
    (part,) = _planned(run, {**variables, "PROJECT_PATH": "worker"})
    usual = run("plan", "--json", variables=variables).out.splitlines()

    assert (alone["path"], alone["image"]) == (".", "r.example/team/shop:v3")
    assert (part["path"], part["image"]) == ("worker", "r.example/team/shop:v3")
    assert len(usual) == 2


def test_a_source_that_is_none_is_a_monorepo(run: Run, source: Path) -> None:
    (source / "package.json").unlink()
    (source / "server.js").unlink()
    (source / "site").mkdir()
    (source / "site/Dockerfile").write_text("FROM scratch\n")

    found = _planned(run, {"SOURCE_DIR": str(source), "OUTPUT_IMAGE": "r.example/shop:v3"})

    assert [each["image"] for each in found] == ["r.example/shop/site:v3", "r.example/shop/worker:v3"]


def test_a_variable_that_nobody_knows_is_the_apps(run: Run, source: Path) -> None:
    variables = {"SOURCE_DIR": str(source), "FEATURE": "on", "GITHUB_SHA": "1f2e", "API_TOKEN": "hunter2"}

    ran = run("plan", "--json", "--drop-in", variables=variables)

    text = json.loads(ran.out)["dockerfile"]
    assert 'ENV FEATURE="on"' in text
    assert "1f2e" not in ran.out
    assert "hunter2" not in ran.out + ran.err
    assert "GitHub Actions sets it: GITHUB_SHA; --env NAME passes it" in ran.err
    assert "looks like a credential: API_TOKEN; --secret NAME gives it to build steps" in ran.err


def test_what_the_image_has_brought_along_is_nobodys_word(run: Run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"PORT=5000\0NODE_VERSION=18.0.0\0BASE=x\0")
    (source / "fleetpacks.toml").write_text("port = 8080\n")
    brought = {"PORT": "5000", "NODE_VERSION": "18.0.0", "BASE": "x", "FLEETPACKS_IMAGE_VARIABLES": f"{tmp_path}/image"}

    (found,) = _planned(run, {"SOURCE_DIR": str(source), **brought})

    assert "ENV PORT=8080" in found["dockerfile"]
    assert found["version"]["value"] != "18.0.0"
    assert "BASE" not in found["dockerfile"]


_ABSENT = {"BUILDKIT_HOST": "unix:///nowhere/buildkitd.sock"}


_FAILURES: dict[str, tuple[list[str], Mapping[str, str], int]] = {
    "buildkitd.sock": ([], _ABSENT, 75),
    "$PORT": ([], {"PORT": "many"}, 2),
    "No such option": (["--no-such-option"], {}, 2),
    "dest is missing": (["--output", "type=oci"], _ABSENT, 2),
}
"""What is told -> what was said, and the usual exit code."""


@pytest.mark.parametrize("error", _FAILURES)
def test_a_run_that_failed_ends_with_0_when_its_result_was_written_and_only_then(
    run: Run, source: Path, tmp_path: Path, error: str
) -> None:
    words, variables, code = _FAILURES[error]
    file = tmp_path / "not/yet/there/result.json"
    said = {"SOURCE_DIR": str(source), "OUTPUT_IMAGE": "r.example/a:1", **variables}

    told = run("build", "--drop-in", *words, variables={**said, "RESULT_FILE": str(file)})
    untold = run("build", "--drop-in", *words, variables=said)
    usual = run("build", *words, variables={**said, "RESULT_FILE": str(file)})

    assert (told.code, untold.code, usual.code) == (0, code, code)
    written = json.loads(file.read_text())
    assert (written["status"], written["exit_code"]) == ("failed", code)
    assert error in written["error"]
    assert error in told.err


def test_a_result_that_cannot_be_written_is_told_by_the_exit_code(run: Run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = {"SOURCE_DIR": str(source), "RESULT_FILE": str(tmp_path / "file/result.json"), **_ABSENT}

    ran = run("build", "--drop-in", variables=said)

    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_what_is_handed_on_stands_in_the_result(run: Run, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    said = {"SOURCE_DIR": str(source), "RESULT_FILE": str(file), "CUSTOM_DATA": '{"job": [7, null]}', **_ABSENT}

    run("build", "--drop-in", variables=said)
    written = json.loads(file.read_text())
    run("build", "--drop-in", variables={**said, "CUSTOM_DATA": ""})

    assert written["custom"] == {"job": [7, None]}
    assert "custom" not in json.loads(file.read_text())


def test_a_list_of_the_image_that_cannot_be_read_is_told_in_the_result(run: Run, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    said = {"SOURCE_DIR": str(source), "FLEETPACKS_IMAGE_VARIABLES": str(tmp_path / "absent")}

    told = run("build", "--drop-in", variables={**said, "RESULT_FILE": str(file)})
    planned = run("plan", "--drop-in", variables=said)

    written = json.loads(file.read_text())
    assert (told.code, written["status"], written["exit_code"]) == (0, "failed", 2)
    assert "$FLEETPACKS_IMAGE_VARIABLES" in written["error"]
    assert planned.code == 2
    assert "$FLEETPACKS_IMAGE_VARIABLES" in planned.err


_GONE = "the image would go with the daemon that is started for it"
_STARTED = "dockerd cannot be started here: there is no program dockerd"


@pytest.mark.parametrize(
    ("image", "words", "code", "error"),
    [
        ("my-app:local", [], 2, f"the image's name has no registry, and {_GONE}"),
        ("my-app:local", ["--no-push"], 1, _STARTED),
        ("my-app:local", ["-o", "type=oci,dest={out}/image.tar"], 1, _STARTED),
        ("my-app:local", ["-o", "type=oci,dest={out}/image.tar", "--load"], 2, _GONE),
        ("my-app:local", ["--isolated=dockerd"], 1, _STARTED),
        ("my-app:local", ["--host", "unix:relative"], 2, "unix:relative"),
        ("r.example/my-app:1", [], 1, _STARTED),
        ("r.example/my-app:1", ["--isolated=dockerd"], 1, _STARTED),
        ("r.example/my-app:1", ["--load"], 2, _GONE),
        # The engine that is loaded into is another one.
        ("r.example/my-app:1", ["--isolated=dockerd", "--load"], 1, _STARTED),
        ("r.example/my-app:1", ["--isolated=buildkitd", "--load"], 1, "there is no program buildkitd"),
    ],
)
def test_where_no_builder_is_found_one_of_its_own_is_started_for_what_does_not_go_with_it(  # noqa: PLR0917 -- fixtures
    run: Run,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    image: str,
    words: list[str],
    code: int,
    error: str,
) -> None:
    # Whatever daemons this machine has, and what its PATH finds.
    monkeypatch.setattr(builder, "SOCKETS", ())
    monkeypatch.setattr(facts, "SYSTEM_PATH", "/nowhere")
    variables = {"SOURCE_DIR": str(source), "OUTPUT_IMAGE": image, "PATH": ""}

    ran = run("build", "--drop-in", *(word.format(out=tmp_path) for word in words), variables=variables)

    assert ran.code == code, ran.err
    assert error in ran.err
    unnamed = _GONE in error and image == "my-app:local"
    assert ("the image's name" in ran.err) is ("Name one" in ran.err) is unnamed
