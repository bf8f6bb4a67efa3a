"""Evidence decides: tables of directories that others take for something else, and of those that are no apps."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import Settings, Version
from tests.langs.conftest import Write

SERVER_JS = "require('node:http').createServer().listen(process.env.PORT)"
MAIN_GO = "package main\n\nfunc main() {}\n"
START = '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'
TOOL_PYPROJECT = "[tool.ruff]\nline-length = 100\n"


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        pytest.param({"package.json": START, "project/build.properties": ""}, "nodejs", True, id="no Scala"),
        pytest.param({"package.json": START, "Rakefile": ""}, "nodejs", True, id="no Ruby"),
        pytest.param(
            {"go.mod": "module a\n", "main.go": MAIN_GO, "pyproject.toml": TOOL_PYPROJECT}, "go", True, id="no Python"
        ),
        pytest.param({"package.json": START, "supabase/functions/deno.lock": "{}"}, "nodejs", True, id="no Deno"),
        pytest.param({"main.go": MAIN_GO}, "go", True, id="bare main.go"),
        pytest.param(
            {"go.mod": "module a\n", "main.go": MAIN_GO, "Procfile": "web: yarn\n"}, "go", True, id="a wish is no fact"
        ),
        pytest.param({"main.py": "import http.server\n"}, "python", True, id="bare main.py"),
        pytest.param({"app.py": "import flask\napp = flask.Flask(__name__)\n"}, "python", True, id="bare app.py"),
        pytest.param({"bot.py": "import discord\n"}, "python", True, id="bare bot.py"),
        pytest.param({"index.js": SERVER_JS}, "nodejs", True, id="bare index.js"),
        pytest.param(
            {"main.go": "// a\n/* b\n*/ // c\npackage main // d\n\nfunc main() {}\n"}, "go", True, id="comments"
        ),
        pytest.param({"main.go": "// package main\npackage a\nfunc main() {}\n"}, "go", False, id="a comment's main"),
        pytest.param({"package.json5": START}, "nodejs", True, id="package.json5"),
        pytest.param({"go.work": "go 1.25\n"}, "go", False, id="go.work"),
        pytest.param({"uv.lock": "version = 1\n"}, "python", False, id="uv.lock"),
        pytest.param({"Dockerfile": "FROM scratch\n"}, "dockerfile", True, id="Dockerfile"),
        pytest.param({"Dockerfile": "FROM scratch\n", "package.json": START}, "nodejs", True, id="Dockerfile beside"),
        pytest.param(
            {"Dockerfile": "FROM scratch\n", "package.json": "{}"}, "dockerfile", True, id="Dockerfile and tools"
        ),
        pytest.param({"Dockerfile": "# nothing\n"}, "dockerfile", False, id="empty Dockerfile"),
        pytest.param(
            {"go.mod": "module a\n", "main.go": MAIN_GO, "package.json": '{"devDependencies": {"prettier": "3"}}'},
            "go",
            True,
            id="prettier",
        ),
        pytest.param(
            {
                "requirements.txt": "flask\n",
                "app.py": "import flask\napp = flask.Flask(__name__)\n",
                "package.json": '{"scripts": {"build": "vite build"}}',
            },
            "python",
            True,
            id="front-end assets",
        ),
        pytest.param(
            {
                "Procfile": "web: npm start\n",
                "package.json": START,
                "requirements.txt": "x\n",
                "main.py": "import http.server\n",
            },
            "nodejs",
            True,
            id="the Procfile decides",
        ),
        pytest.param(
            {"package.json": '{"name": "x", "main": "index.js", "files": ["src"]}', "index.js": "exports.a = 1"},
            "nodejs",
            False,
            id="Node library",
        ),
        pytest.param(
            {
                "package.json": '{"peerDependencies": {"express": "4"}, "dependencies": {"express": "4"}}',
                "index.js": "exports.a = 1",
            },
            "nodejs",
            False,
            id="Express middleware",
        ),
        pytest.param(
            {"package.json": '{"workspaces": ["apps/*"], "scripts": {"start": "turbo start"}}'},
            "nodejs",
            False,
            id="npm workspace root",
        ),
        pytest.param(
            {"package.json": '{"scripts": {"start": "turbo start"}}', "pnpm-workspace.yaml": "packages: [apps/*]\n"},
            "nodejs",
            False,
            id="pnpm workspace root",
        ),
        pytest.param({"package.json": '{"scripts": {"start": "tsc --watch"}}'}, "nodejs", False, id="a watcher"),
        pytest.param(
            {"package.json": '{"scripts": {"start": "expo start"}, "dependencies": {"expo": "51"}}'},
            "nodejs",
            False,
            id="an app for phones",
        ),
        pytest.param(
            {"package.json": '{"scripts": {"start": "node server.js"}}', "server.js": "throw new Error('fixture')"},
            "nodejs",
            False,
            id="a fixture",
        ),
        pytest.param({"pyproject.toml": TOOL_PYPROJECT}, "python", False, id="tool configuration"),
        pytest.param(
            {"pyproject.toml": '[project]\nname = "lib"\n[build-system]\n', "lib/__init__.py": ""},
            "python",
            False,
            id="Python library",
        ),
        pytest.param(
            {
                "pyproject.toml": '[project]\nname = "lib"\n[build-system]\n',
                "examples/app.py": "import flask\napp = flask.Flask(__name__)\n",
            },
            "python",
            False,
            id="Python library with examples",
        ),
        pytest.param(
            {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["a"]\n', "uv.lock": ""},
            "python",
            False,
            id="uv workspace root",
        ),
        pytest.param({"requirements.txt": "ruff\n"}, "python", False, id="requirements of tools"),
        pytest.param({"main.py": "print('x')\n"}, "python", False, id="a script"),
        pytest.param({"go.mod": "module a\n", "a.go": "package a\n"}, "go", False, id="Go library"),
        pytest.param(
            {"go.mod": "module a\n", "gen.go": "//go:build ignore\n\npackage main\nfunc main() {}\n"},
            "go",
            False,
            id="a generator",
        ),
        pytest.param({"go.mod": "module a\n", "main_test.go": MAIN_GO}, "go", False, id="tests only"),
        pytest.param({"go.mod": "module a\n", "src/main.go": MAIN_GO}, "go", True, id="main in src"),
        pytest.param({"go.mod": "module a\n", "services/api/main.go": MAIN_GO}, "go", True, id="main two down"),
        pytest.param(
            {
                "go.mod": "module a\n",
                "a.go": "package a\n",
                **dict.fromkeys(
                    ("examples/x/main.go", "_x/main.go", "tools/gen/main.go", "internal/x/main.go"), MAIN_GO
                ),
                "other/go.mod": "module b\n",
                "other/main.go": MAIN_GO,
                "service/Dockerfile": "FROM golang\n",
                "service/main.go": MAIN_GO,
            },
            "go",
            False,
            id="a Go library with examples, tools and another module",
        ),
    ],
)
def test_evidence_decides(write: Write, files: Mapping[str, str], language: str, *, is_app: bool) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == (language, is_app)
    assert detection.evidence
    assert len({each.file for each in detection.evidence}) == len(detection.evidence)


@pytest.mark.parametrize("files", [{}, {"README.md": "# x"}, {"data.json": "{}"}, {"x/package.json": "{}"}])
def test_a_directory_that_shows_nothing_is_nothing(write: Write, files: Mapping[str, str]) -> None:
    root = write(files)

    assert langs.detect(root, Settings()) is None
    with pytest.raises(LangError, match="nothing here shows"):
        langs.build(root, Settings())


def test_what_else_was_considered_is_told(write: Write) -> None:
    root = write({"go.mod": "module a\n", "main.go": MAIN_GO, "package.json": "{}", "Dockerfile": "FROM scratch\n"})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert detection.considered == ("dockerfile", "nodejs")


@pytest.mark.parametrize(
    ("settings", "language"),
    [
        (Settings(language="dockerfile"), "dockerfile"),
        (Settings(dockerfile="deploy/Dockerfile"), "dockerfile"),
        (Settings(language="python"), "python"),
        (Settings(), "nodejs"),
    ],
)
def test_what_is_said_beats_what_is_found(write: Write, settings: Settings, language: str) -> None:
    root = write({"package.json": START, "Dockerfile": "FROM scratch\n"})

    detection = langs.detect(root, settings)

    assert detection is not None
    assert detection.language == language


def test_an_unknown_language_is_an_error_that_names_the_known_ones(write: Write) -> None:
    with pytest.raises(LangError, match="cobol") as caught:
        langs.detect(write({}), Settings(language="cobol"))
    assert "nodejs" in caught.value.hint


def test_an_npm_lockfile_beside_anothers_is_npm(write: Write) -> None:
    root = write({"package.json": START, "package-lock.json": "{}", "yarn.lock": ""})

    assert langs.build(root, Settings()).package_manager == "npm"


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"package.json": '{"dependencies": {"a": "file:../a"}, "scripts": {"start": "x"}}'}, "outside"),
        ({"package.json": START, ".npmrc": "//r/:_authToken=npm_abc\n"}, "credential"),
        ({"package.json": '{"scripts": {"start": "npm run start"}}'}, "back to itself"),
        ({"package.json": '{"scripts": {"start": "npm run gone"}}'}, "not there"),
        ({"package.json": '{"name": "x"}'}, "no start command"),
        ({"package.json": "[]"}, "another shape"),
        ({"package.json": "{"}, "not valid JSON"),
        ({"package.json": '{"main": ' + "[" * 100_000}, "nested too deeply"),
        ({"package.json": '{"scripts": {"start": 1}}'}, "scripts"),
        ({"requirements.txt": "-r ../x.txt\n", "main.py": "import flask"}, "outside"),
        ({"requirements.txt": "-r https://x/y.txt\n", "main.py": "import flask"}, "elsewhere"),
        ({"requirements.txt": "-i https://me:pw@x/simple\nflask\n", "main.py": "import flask"}, "credential"),
        ({"requirements.txt": "-r https://me:pw@x/y.txt\n", "main.py": "import flask"}, "credential"),
        (
            {"pyproject.toml": '[project]\nname="a"\ndependencies=["x @ https://me:pw@x/x.whl"]\n', "main.py": ""},
            "credential",
        ),
        ({"requirements.txt": "-r gone.txt\n", "main.py": "import flask"}, "not there"),
        ({"requirements.txt": "-e ../lib\n", "main.py": "import flask"}, "outside"),
        (
            {"pyproject.toml": '[project]\nname="a"\ndependencies=["; rm"]\n', "main.py": "import flask"},
            "not a requirement",
        ),
        (
            {"pyproject.toml": '[tool.uv.sources]\na = { path = "../a" }\n', "uv.lock": "", "main.py": "import flask"},
            "outside",
        ),
        (
            {
                "pyproject.toml": '[project]\nname="a"\ndependencies=["Our.Lib>=1"]\n'
                "[tool.uv.sources]\nour-lib = { workspace = true }\n",
                "main.py": "import flask",
            },
            "our-lib comes from, and pip would take it from an index",
        ),
        ({"pyproject.toml": "x = " + "[" * 5000, "main.py": "import flask"}, "nested|TOML"),
        ({"go.mod": "module a\nreplace b => ../b\n", "main.go": MAIN_GO}, "outside"),
        ({"go.work": "use ../b\n", "main.go": MAIN_GO}, "outside"),
        ({"go.mod": "module $(id)\n", "main.go": MAIN_GO}, "not a module path"),
        ({"go.mod": "require (\n", "main.go": MAIN_GO}, "does not end"),
        ({"go.mod": "garbage !!\n", "main.go": MAIN_GO}, "unknown directive 'garbage'"),
        ({"go.mod": "module a\n\nuse ./b\n", "main.go": MAIN_GO}, "unknown directive 'use'"),
        ({"go.mod": "module a\n)\n", "main.go": MAIN_GO}, "parenthesis without its partner: `\\)`"),
        ({"go.mod": "require (\na (\n)\n", "main.go": MAIN_GO}, "parenthesis without its partner: `a \\(`"),
        ({"go.work": "go 1.25\nrequire x v1\n", "main.go": MAIN_GO}, "unknown directive 'require'"),
        ({"go.mod": "module a\n", "cmd/a b$/main.go": MAIN_GO}, "import path"),
        ({"go.mod": "module x\n", "cmd/a/main.go": MAIN_GO, "cmd/b/main.go": MAIN_GO}, "several main packages"),
        ({"go.mod": "module x\n", "x.go": "package x\n"}, "no package main"),
        ({"Dockerfile": "nothing"}, "no FROM"),
    ],
)
def test_what_cannot_be_built_is_an_error_with_a_hint(write: Write, files: Mapping[str, str], match: str) -> None:
    with pytest.raises(LangError, match=match) as caught:
        langs.build(write(files), Settings())
    assert caught.value.hint


def test_every_directive_of_go_is_known_also_as_a_block(write: Write) -> None:
    module = (
        "// Deprecated: not at all.\nmodule a // b\n\ngo 1.25.1\n\ntoolchain go1.25.1\n\ngodebug default=go1.21\n"
        "require (\n\tb v1.0.0 // indirect\n)\nrequire ()\nexclude b v1.1.0\nreplace c => d v1.0.0\n"
        "retract (\n\t[v1.0.0, v1.9.9] // gone\n)\ntool b/cmd/x\nignore ./node_modules\n"
    )

    built = langs.build(write({"go.mod": module, "main.go": MAIN_GO}), Settings())

    assert built.version is not None
    assert built.version.value == "1.25.1"


def test_a_line_that_go_would_refuse_is_named(write: Write) -> None:
    with pytest.raises(LangError) as caught:
        langs.build(write({"go.mod": "module a\n\ngarbage !!\n", "main.go": MAIN_GO}), Settings())

    assert (caught.value.file, caught.value.line) == ("go.mod", 3)


@pytest.mark.parametrize(
    ("files", "settings", "said"),
    [
        ({"package.json": "{}"}, Settings(), ("`run` in fleetpacks.toml", "$RUN_COMMAND")),
        ({"go.mod": "module x\n", "x.go": "package x\n"}, Settings(), ("`build`", "$BUILD_COMMAND", "$RUN_COMMAND")),
        (
            {"go.mod": "module x\n", "cmd/a/main.go": MAIN_GO, "cmd/b/main.go": MAIN_GO},
            Settings(),
            ("`run` in fleetpacks.toml", "$RUN_COMMAND"),
        ),
        ({"index.js": SERVER_JS}, Settings(run_command="a 'b"), ("`run` in fleetpacks.toml", "$RUN_COMMAND")),
        ({"index.js": SERVER_JS}, Settings(build_command="a 'b"), ("`build` in fleetpacks.toml", "$BUILD_COMMAND")),
        ({"index.js": SERVER_JS, "Procfile": "web: a 'b\n"}, Settings(), ("web: the command",)),
        ({"package.json": '{"scripts": {"start": "a \'b"}}'}, Settings(), ("scripts.start: the command",)),
    ],
)
def test_errors_say_what_a_person_can_type(
    write: Write, files: Mapping[str, str], settings: Settings, said: tuple[str, ...]
) -> None:
    with pytest.raises(LangError) as caught:
        langs.build(write(files), settings)

    text = f"{caught.value.message}\n{caught.value.hint}"
    assert [word for word in said if word not in text] == []
    assert re.search(r"(run|build)_command", text) is None


def test_one_of_several_main_packages_is_chosen_by_its_name(write: Write) -> None:
    root = write({"go.mod": "module x\n", "cmd/a/main.go": MAIN_GO, "cmd/b/main.go": MAIN_GO})

    built = langs.build(root, Settings(run_command="b"))

    assert "-o /out/bin/b ./cmd/b" in built.dockerfile
    assert built.start_command == "b"


@pytest.mark.parametrize(
    ("file", "built"),
    [
        ("src/main.go", "-o /out/bin/shop ./src"),
        ("gateway/main.go", "-o /out/bin/gateway ./gateway"),
        ("cmd/server/main.go", "-o /out/bin/server ./cmd/server"),
    ],
)
def test_a_main_package_elsewhere_is_built_under_a_name_that_says_something(
    write: Write, file: str, built: str
) -> None:
    root = write({"go.mod": "module example.com/shop\n", file: MAIN_GO})

    assert built in langs.build(root, Settings()).dockerfile


def test_a_dockerfile_outside_of_the_app_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    with pytest.raises(LangError, match="out of the app"):
        langs.build(write({"a": ""}), Settings(dockerfile="../Dockerfile"))


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


@pytest.mark.parametrize("name", [".dockerignore", "deploy/Dockerfile.dockerignore"])
@pytest.mark.parametrize(
    ("plant", "problem"),
    [
        pytest.param(os.mkfifo, "not a regular file", id="FIFO"),
        pytest.param(Path.mkdir, "not a regular file", id="directory"),
        pytest.param(_link_to_a_device, "leads out of", id="link to a device"),
        pytest.param(_gigabytes, "larger than", id="gigabytes"),
    ],
)
def test_a_dockerignore_that_the_daemon_would_not_get_through_is_refused(
    write: Write, name: str, plant: Callable[[Path], None], problem: str
) -> None:
    root = write({"deploy/Dockerfile": "FROM scratch\n"})
    plant(root / name)

    with pytest.raises(LangError) as caught:
        langs.build(root, Settings(dockerfile="deploy/Dockerfile"))

    assert (problem in caught.value.message, caught.value.file) == (True, name)
    assert caught.value.hint


def test_a_dockerignore_may_be_a_link_inside_of_the_app_and_need_not_be_utf_8(write: Write) -> None:
    root = write({"Dockerfile": "FROM scratch\n"})
    (root / "ignored").write_bytes(b"# caf\xe9\n*.log\n")
    (root / ".dockerignore").symlink_to("ignored")

    built = langs.build(root, Settings(dockerfile="Dockerfile"))

    assert built.dockerignore is None


def test_a_users_dockerfile_stays_as_it_is(write: Write) -> None:
    text = "# syntax=docker/dockerfile:1\nFROM scratch\n"

    built = langs.build(write({"deploy/D": text, "Procfile": "worker: x\n"}), Settings(dockerfile="deploy/D"))

    assert (built.dockerfile, built.dockerfile_path, built.dockerignore) == (text, "deploy/D", None)
    assert [process.name for process in built.processes] == ["worker"]


def test_a_containerfile_is_built_as_a_dockerfile_that_is_not_there(write: Write) -> None:
    built = langs.build(write({"Containerfile": "FROM scratch\n"}), Settings())
    both = langs.build(write({"Dockerfile": "FROM scratch\n"}), Settings())

    assert (built.dockerfile, built.dockerfile_path) == ("FROM scratch\n", "Containerfile")
    assert both.dockerfile_path == "Dockerfile"


@pytest.mark.parametrize("web", ["./shop --fast", "/app/shop", "bin/shop", "shop"])
def test_a_go_binary_stands_where_the_procfile_starts_it(write: Write, web: str) -> None:
    root = write({"go.mod": "module x\n", "main.go": MAIN_GO, "Procfile": f"web: {web}\n"})

    text = langs.build(root, Settings()).dockerfile

    assert "-o /out/bin/shop ." in text
    assert ("COPY --from=builder --chown=1000:1000 /out/bin/shop ./" in text) == web.startswith(("./", "/app/"))


@pytest.mark.parametrize(
    ("files", "processes", "programs"),
    [
        (
            {"cmd/web/main.go": MAIN_GO, "cmd/worker/main.go": MAIN_GO, "cmd/other/main.go": MAIN_GO},
            "web: web\nworker: bin/worker --fast\nrelease: worker once\nclock: cron\n",
            {"web": "./cmd/web", "worker": "./cmd/worker"},
        ),
        (
            {"main.go": MAIN_GO, "cmd/worker/main.go": MAIN_GO},
            "web: shop\nworker: ./worker\n",
            {"shop": ".", "worker": "./cmd/worker"},
        ),
        (
            {"main.go": MAIN_GO, "cmd/web/main.go": MAIN_GO},
            "web: web\nworker: x worker\n",
            {"web": "./cmd/web", "x": "."},
        ),
    ],
)
def test_go_programs_that_other_processes_start_are_built_in_the_same_step(
    write: Write, files: Mapping[str, str], processes: str, programs: Mapping[str, str]
) -> None:
    built = langs.build(write({"go.mod": "module x\n", "Procfile": processes, **files}), Settings())

    (step,) = (line for line in built.dockerfile.split("\n") if "go build" in line)
    assert dict(re.findall(r"-o /out/bin/(\S+) (\S+)", step)) == programs
    assert ("/out/bin/worker ./\n" in built.dockerfile) == ("./worker" in processes)


@pytest.mark.parametrize(
    ("mod", "work", "version", "source"),
    [
        ("1.25", "1.26", "1.26", "go.work go"),
        ("1.26.1", "1.26", "1.26.1", "go.mod go"),
        ("1.24\ntoolchain go1.25.3", "1.25", "1.25.3", "go.mod toolchain"),
        ("1.24\ntoolchain go1.24.3", "1.25\ntoolchain go1.26.2", "1.26.2", "go.work toolchain"),
        ("1.25", "1.25", "1.25", "go.mod go"),
    ],
)
def test_the_newer_go_of_a_module_and_its_workspace_is_needed(
    write: Write, mod: str, work: str, version: str, source: str
) -> None:
    files = {"go.mod": f"module x\ngo {mod}\n", "go.work": f"go {work}\nuse .\n", "main.go": MAIN_GO}

    built = langs.build(write(files), Settings())

    assert built.version == Version(value=version, source=source)
    assert built.warnings == ()


@pytest.mark.parametrize(
    ("requirement", "source", "start"),
    [
        ("flask", "app = flask.Flask('x')", "flask --app app run --host 0.0.0.0 --port $PORT"),
        (
            "flask",
            "app = flask.Flask('x')\napp.run()",
            "flask --app app run --host 0.0.0.0 --port $PORT",
        ),
        ("flask\ngunicorn", "application = flask.Flask('x')", "gunicorn --bind 0.0.0.0:$PORT app:application"),
        ("flask\nwaitress", "app = flask.Flask('x')", "waitress-serve --listen=0.0.0.0:$PORT app:app"),
        ("fastapi\nhypercorn", "app = FastAPI()", "hypercorn --bind 0.0.0.0:$PORT app:app"),
        ("fastapi[standard]", "app = FastAPI()", "uvicorn --host 0.0.0.0 --port $PORT app:app"),
        ("aiohttp", "import aiohttp\naiohttp.web.run_app()", "python app.py"),
    ],
)
def test_a_python_app_is_started_by_the_server_it_depends_on(
    write: Write, requirement: str, source: str, start: str
) -> None:
    root = write({"requirements.txt": requirement, "app.py": f"{source}\n"})

    assert langs.build(root, Settings()).start_command == start


def test_an_application_without_a_server_is_an_error(write: Write) -> None:
    root = write({"requirements.txt": "fastapi\n", "app.py": "app = FastAPI()\n"})

    with pytest.raises(LangError, match="no start command"):
        langs.build(root, Settings())


@pytest.mark.parametrize(
    ("start", "command"),
    [("nest start", "node dist/main"), ("nodemon src", "node dist/main"), ("node app.js", "node app.js")],
)
def test_a_start_script_for_developers_gives_way_to_that_of_production(write: Write, start: str, command: str) -> None:
    scripts = f'{{"start": "{start}", "start:prod": "node dist/main"}}'
    root = write({"package.json": f'{{"scripts": {scripts}, "dependencies": {{"@nestjs/core": "10"}}}}'})

    assert langs.build(root, Settings()).start_command == command


def test_a_variable_stands_for_a_credential(write: Write) -> None:
    root = write({"requirements.txt": "-i https://me:${PIP_PASSWORD}@x/simple\nflask\n", "main.py": "import flask\n"})

    assert langs.build(root, Settings()).package_manager == "pip"
