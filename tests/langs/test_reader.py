"""One command looks at an app twice, to find it and to plan it, and reads its files once."""

import shutil
import sys
from pathlib import Path

import anyio
import pytest

import langs
from langs.model import Settings
from orchestrator.config import environment
from tests.langs.conftest import Write

ROOT = Path(__file__).parents[2]
APP = {
    "package.json": '{"scripts": {"start": "node server.js"}}',
    "server.js": "require('node:http').createServer().listen(process.env.PORT)",
}


def test_an_app_is_built_as_it_was_when_it_was_detected(write: Write) -> None:
    root, reader = write(APP), langs.Reader()
    expected = langs.build(root, Settings())

    detection = reader.detect(root, Settings())
    (root / "package.json").write_text(APP["package.json"].replace("server.js", "other.js"))

    assert reader.build(root, Settings(), detection=detection) == expected
    assert langs.build(root, Settings()) != expected


def test_an_app_that_was_not_detected_is_read(write: Write) -> None:
    root = write(APP)

    assert langs.Reader().build(root, Settings()) == langs.build(root, Settings())


def test_what_is_no_app_is_read_again(write: Write) -> None:
    root, reader = write({"package.json": "{}"}), langs.Reader()

    detection = reader.detect(root, Settings())
    write(APP)

    assert detection is not None
    assert not detection.is_app
    assert reader.build(root, Settings()).start_command == "node server.js"


async def compiled(package: Path, app: Path, *flags: str) -> int:
    """How many templates a process of its own compiles to build an app, by a copy of this package."""
    script = (
        "import sys, pathlib, jinja2; sys.path.insert(0, sys.argv[1]);"
        "import langs, langs.model; assert langs.__file__.startswith(sys.argv[1]);"
        "counted = []; compile = jinja2.Environment.compile;"
        "jinja2.Environment.compile = lambda *said, **more: (counted.append(1), compile(*said, **more))[1];"
        "langs.build(pathlib.Path(sys.argv[2]), langs.model.Settings()); print(len(counted))"
    )
    words = [sys.executable, *flags, "-c", script, str(package.parent), str(app)]
    env = {name: value for name, value in environment.read().items() if not name.startswith("PYTHON")}
    return int((await anyio.run_process(words, env=env, cwd=package.parent)).stdout)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_templates_are_compiled_once_for_all_runs_and_not_kept_under_b(write: Write, tmp_path: Path) -> None:
    package = tmp_path / "lib" / "langs"
    shutil.copytree(ROOT / "langs", package, ignore=shutil.ignore_patterns("__pycache__"))
    app = write(APP)

    runs = [await compiled(package, app, *flags) for flags in (["-B"], ["-B"], [], [])]

    assert runs[0] == runs[1] == runs[2] > 0
    assert runs[3] == 0
