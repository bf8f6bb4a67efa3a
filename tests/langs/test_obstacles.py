"""What keeps a directory from being an app is said, with the file."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

PLAIN = Settings()
FLASK = {"requirements.txt": "flask\n"}


def obstacles(root: Path) -> list[tuple[str, str]]:
    detection = langs.detect(root, PLAIN)
    assert detection is not None
    assert not detection.is_app
    return [(each.file, each.reason) for each in detection.obstacles]


@pytest.mark.parametrize(
    ("files", "file", "reason"),
    [
        ({**FLASK, "app.py": "import flask\n\napp = flask.Flask(\n"}, "app.py", "cannot be parsed: '(' was never"),
        ({**FLASK, "app.py": "x = '\x00'\n"}, "app.py", "holds a NUL byte"),
        ({**FLASK, "app.py": "# " + "x" * (1 << 18)}, "app.py", "is longer than"),
        (
            {"package.json": "{}", "Procfile": "api: node a.js\njobs: node b.js\n"},
            "Procfile",
            "no `web`, but api, jobs",
        ),
        (
            {"package.json": "{}", "Procfile": "release: node r.js\nworker: bin/run\n"},
            "Procfile",
            "no `web`, but `worker`, which runs 'run'",
        ),
    ],
)
def test_a_file_that_tells_nothing_is_named(write: Write, files: Mapping[str, str], file: str, reason: str) -> None:
    root = write(files)

    [(named, said), *_] = obstacles(root)
    problem = langs.look(root, PLAIN).problem

    assert named == file
    assert reason in said
    assert isinstance(problem, LangError)
    assert (problem.file, problem.message.startswith(said)) == (file, True)


@pytest.mark.parametrize("target", ["outside.js", "nothing.js"])
def test_a_link_out_of_the_directory_is_named_also_where_there_is_no_manifest(
    write: Write, tmp_path: Path, target: str
) -> None:
    root = write({"package.json": '{"scripts": {"start": "node server.js"}}'})
    (tmp_path / "outside.js").write_text("require('http').createServer().listen(1)\n")
    (root / "server.js").symlink_to(tmp_path / target)

    with_manifest, problem = obstacles(root), langs.look(root, PLAIN).problem
    (root / "package.json").unlink()
    alone = langs.look(root, PLAIN)

    assert [file for file, _ in with_manifest] == ["server.js"]
    assert isinstance(problem, LangError)
    assert problem.file == "server.js"
    assert alone.detection is None
    assert isinstance(alone.problem, LangError)
    assert alone.problem.file == "server.js"


def test_declared_all_the_same_it_fails_for_that_reason(write: Write, tmp_path: Path) -> None:
    root = write({"package.json": "{}"})
    (root / "server.js").symlink_to(tmp_path / "nothing.js")

    with pytest.raises(LangError, match="is a link that leads out") as caught:
        langs.build(root, PLAIN)

    assert caught.value.file == "server.js"
    assert "`run` in fleetpacks.toml" in caught.value.hint


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": '{"name": "lib", "main": "index.js"}', "index.js": "module.exports = 1\n"},
        {**FLASK, "app.py": "x = 1\n"},
        {"go.mod": "module x\n", "x.go": "package x\n"},
    ],
)
def test_a_library_has_none(write: Write, files: Mapping[str, str]) -> None:
    root = write(files)

    assert obstacles(root) == []
    assert langs.look(root, PLAIN).problem is None
