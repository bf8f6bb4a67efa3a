"""Who decides what an app is: what is said, in its order, and evidence; and which language makes a part of it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs import registry
from langs.errors import LangError
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write

MAIN_GO = "package main\n\nfunc main() {}\n"
START = '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'
FRONT_END = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}'
FLASK = {"requirements.txt": "flask\n", "app.py": "import flask\napp = flask.Flask(__name__)\n"}
GO = {"go.mod": "module a\n", "main.go": MAIN_GO}

MISFIRES = [
    pytest.param({"package.json": START, "project/build.properties": "sbt.version=1.9.0"}, "nodejs", id="no Scala"),
    pytest.param({"package.json": START, "project/plugins.json": "{}"}, "nodejs", id="a directory called project"),
    pytest.param({"package.json": START, "Rakefile": "task :x\n"}, "nodejs", id="a Rakefile is no Ruby app"),
    pytest.param({**GO, "pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, "go", id="tools written in Python"),
    pytest.param({**GO, "package.json": '{"devDependencies": {"prettier": "3"}}'}, "go", id="tools written for Node"),
    pytest.param({"package.json": START, "supabase/functions/deno.lock": "{}"}, "nodejs", id="a subfolder's Deno"),
    pytest.param(
        {"package.json": START, "deno.lock": "{}", "supabase/functions/hello/index.ts": "Deno.serve(() => {})\n"},
        "nodejs",
        id="Deno's lockfile because of a subfolder",
    ),
    pytest.param(
        {
            "settings.gradle.kts": 'rootProject.name = "a"\n',
            "build.gradle.kts": 'plugins {\n  java\n  application\n}\napplication {\n  mainClass = "App"\n}\n',
            "src/main/java/App.java": "public class App { public static void main(String[] a) {} }\n",
        },
        "java",
        id="a Kotlin script builds Java",
    ),
    pytest.param(
        {"package.json": START, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n", ".bun-version": "1.3.4\n"},
        "nodejs",
        id=".bun-version beside pnpm's lockfile",
    ),
    pytest.param({"main.go": MAIN_GO}, "go", id="bare main.go"),
    pytest.param({"main.py": "import http.server\n"}, "python", id="bare main.py"),
    pytest.param({"app.py": "import flask\napp = flask.Flask(__name__)\n"}, "python", id="bare app.py"),
    pytest.param({"bot.py": "import discord\n"}, "python", id="bare bot.py"),
    pytest.param({"index.js": "require('http').createServer().listen(1)"}, "nodejs", id="bare index.js"),
    pytest.param({"index.html": "<h1>a</h1>"}, "static", id="bare index.html"),
    pytest.param({"public/index.html": "<h1>a</h1>"}, "static", id="public/index.html"),
    pytest.param(
        {"main.ts": 'import { Hono } from "jsr:@hono/hono";\nDeno.serve(new Hono().fetch);\n'},
        "deno",
        id="bare main.ts",
    ),
    pytest.param({"go.work": "go 1.25\nuse ./a\n", "a/go.mod": "module a\n", "a/main.go": MAIN_GO}, "go", id="go.work"),
    pytest.param(
        {"pyproject.toml": '[project]\nname = "a"\nversion = "1"\n', "uv.lock": "version = 1\n"}, "python", id="uv.lock"
    ),
    pytest.param({"pyproject.toml": '[project]\nname = "a"\nversion = "1"\n', "pdm.lock": ""}, "python", id="pdm.lock"),
    pytest.param({"package.json5": "{}"}, "nodejs", id="package.json5"),
    pytest.param({"compose.yaml": "services:\n  a:\n    build: .\n"}, "compose", id="compose.yaml"),
    pytest.param(
        {"compose.yaml": "services:\n  a:\n    build: .\n", "Dockerfile": "FROM a\n"}, "compose", id="names it"
    ),
    pytest.param(
        {"compose.yaml": "services:\n  a:\n    image: b\n", "Dockerfile": "FROM a\n"}, "dockerfile", id="for db"
    ),
    pytest.param(
        {"compose.yaml": "services:\n  a:\n    build: .\n", **GO, "Dockerfile": "FROM a\n"}, "go", id="fall back"
    ),
    pytest.param(
        {"App.fsproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>', "Program.fs": ""}, "dotnet", id="F#"
    ),
    pytest.param(
        {"App.vbproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>', "Program.vb": ""}, "dotnet", id="VB"
    ),
    pytest.param({"deps.edn": "{:aliases {}}\n", "src/app/core.clj": "(ns app.core)\n"}, "clojure", id="deps.edn"),
    pytest.param(
        {"build.sc": "import mill._\n", "app/src/Main.scala": "object Main extends App\n"}, "scala", id="Mill"
    ),
    pytest.param(
        {
            "pom.xml": "<project><build><plugins><plugin><groupId>org.jetbrains.kotlin</groupId>"
            "<artifactId>kotlin-maven-plugin</artifactId></plugin></plugins></build></project>",
            "src/main/kotlin/App.kt": "fun main() {}\n",
        },
        "kotlin",
        id="Kotlin with Maven",
    ),
    pytest.param({**FLASK, "package.json": FRONT_END}, "python", id="a front end beside"),
    pytest.param({"index.html": "<h1>a</h1>", "package.json": FRONT_END}, "static", id="a page that is built"),
    pytest.param({"index.html": "<h1>a</h1>", "Dockerfile": "FROM a\n"}, "dockerfile", id="a page and a Dockerfile"),
    pytest.param({"index.html": "<h1>a</h1>", "Containerfile": "FROM a\n"}, "dockerfile", id="a page, a Containerfile"),
]


def wanted(language: str) -> None:
    if language not in registry.NAMES:
        pytest.skip(f"{language} is not built yet")


@pytest.mark.parametrize("folder", ["app", "ruby", "project", "a b", "Ünïcode", "src"])
@pytest.mark.parametrize(("files", "language"), MISFIRES)
def test_evidence_decides_whatever_the_folder_is_called(
    tmp_path: Path, files: Mapping[str, str], language: str, folder: str
) -> None:
    wanted(language)
    for path, text in files.items():
        (tmp_path / folder / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / path).write_text(text)

    detection = langs.detect(tmp_path / folder, Settings())

    assert detection is not None
    assert detection.language == language
    assert detection.evidence
    assert language not in detection.considered


@pytest.mark.parametrize(
    ("settings", "app_json", "language"),
    [
        pytest.param(
            Settings(dockerfile="Dockerfile", buildpacks=("python",), language="nodejs"),
            [],
            "dockerfile",
            id="Dockerfile",
        ),
        pytest.param(
            Settings(buildpacks=("python", "nodejs"), language="nodejs"), ["heroku/go"], "python", id="BUILDPACKS"
        ),
        pytest.param(Settings(buildpacks=("miget/python",)), [], "python", id="an owner's"),
        pytest.param(Settings(language="nodejs"), ["heroku/python"], "nodejs", id="LANGUAGE"),
        pytest.param(Settings(), ["heroku/nodejs", "heroku/python"], "python", id="the last of app.json"),
        pytest.param(
            Settings(), ["heroku/python", "https://example.com/heroku-buildpack-apt"], "python", id="a strange one"
        ),
        pytest.param(Settings(), ["https://example.com/heroku-buildpack-apt"], "go", id="strange ones only"),
        pytest.param(Settings(), [], "go", id="detection"),
        pytest.param(Settings(language="dockerfile"), [], "dockerfile", id="LANGUAGE=dockerfile"),
        pytest.param(Settings(language="static"), [], "static", id="LANGUAGE=static"),
        pytest.param(Settings(compose_file="deploy/c.yml", language="go"), [], "compose", id="COMPOSE_FILE"),
    ],
)
def test_what_is_said_goes_in_order(write: Write, settings: Settings, app_json: list[str], language: str) -> None:
    root = write(
        {
            **GO,
            **FLASK,
            "package.json": START,
            "server.js": "",
            "Dockerfile": "FROM scratch\n",
            "deploy/c.yml": "services:\n  a:\n    build: .\n",
            "app.json": json.dumps({"buildpacks": [{"url": url} for url in app_json]}),
        }
    )

    detection = langs.detect(root, settings)

    assert detection is not None
    assert detection.language == language


def test_a_forced_choice_says_what_else_there_was(write: Write) -> None:
    root = write({**GO, "package.json": START, "app.json": '{"buildpacks": ["heroku/nodejs", "acme/strange"]}'})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert (detection.language, detection.considered) == ("nodejs", ("go",))
    assert detection.evidence[0].file == "app.json"
    assert any("strange" in warning for warning in detection.warnings)


def test_an_app_is_found_beside_what_cannot_be_read_and_that_is_told(write: Write) -> None:
    root = write({**GO, "package.json": "{"})

    built = langs.build(root, Settings())

    assert built.language == "go"
    assert any(warning.startswith("package.json: ") for warning in built.warnings)


def test_what_cannot_be_read_is_an_error_where_nothing_else_is_an_app(write: Write) -> None:
    with pytest.raises(LangError) as caught:
        langs.detect(write({"package.json": "{", "go.mod": "module a\n"}), Settings())

    assert caught.value.file == "package.json"


@pytest.mark.parametrize("primary", [GO, FLASK], ids=["go", "python"])
@pytest.mark.parametrize(
    ("package", "built"),
    [
        pytest.param(FRONT_END, True, id="a build script"),
        pytest.param('{"devDependencies": {"prettier": "3"}}', False, id="tools only"),
        pytest.param('{"scripts": {"build": "go build ./..."}}', None, id="another name for the primary's own tool"),
    ],
)
def test_a_front_end_is_built_before_the_sources_of_the_primary_are_used(
    write: Write, primary: Mapping[str, str], package: str, *, built: bool | None
) -> None:
    root = write({**primary, "package.json": package, "package-lock.json": "{}"})

    app = langs.build(root, Settings())

    expected = built if built is not None else "go.mod" not in primary
    instructions = splitter.split(app.dockerfile)
    stages = [rest.rpartition(" ")[2] for keyword, rest in instructions if keyword == "FROM"]
    copies = [
        index
        for index, (keyword, rest) in enumerate(instructions)
        if (keyword, rest) == ("COPY", "--from=assets /app/ ./")
    ]
    assert ("assets" in stages) == expected
    assert (len(copies) == 1) == expected
    if expected:
        assert len(stages) == len(set(stages))
        sources = [index for index, (keyword, rest) in enumerate(instructions) if (keyword, rest) == ("COPY", ". .")]
        assert copies[0] == sources[-1] + 1
        assert any(evidence.reason == "a front end, built by nodejs" for evidence in app.evidence)
        assert any(mount.id.endswith("-npm") for mount in app.cache)


def test_buildpacks_name_all_languages_and_none_is_added(write: Write) -> None:
    root = write({**GO, "package.json": FRONT_END, "package-lock.json": "{}"})

    alone = langs.build(root, Settings(buildpacks=("go",)))
    both = langs.build(root, Settings(buildpacks=("go", "nodejs")))

    assert "assets" not in alone.dockerfile
    assert "COPY --from=assets /app/ ./" in both.dockerfile


@pytest.mark.parametrize("others", [("python",), ("nodejs", "python"), ("dockerfile",)])
def test_a_part_that_nobody_can_make_is_an_error(write: Write, others: tuple[str, ...]) -> None:
    with pytest.raises(LangError, match="cannot make a part") as caught:
        langs.build(write({**GO, **FLASK}), Settings(buildpacks=("go", *others)))

    assert "nodejs" in caught.value.hint


def test_a_buildpack_that_nobody_knows_is_an_error(write: Write) -> None:
    with pytest.raises(LangError, match="cobol"):
        langs.detect(write(GO), Settings(buildpacks=("cobol",)))


def test_a_front_end_keeps_its_own_stages_apart(write: Write) -> None:
    root = write({**FLASK, "package.json": FRONT_END, "package-lock.json": "{}"})

    text = langs.build(root, Settings(secrets=("TOKEN",), env={"A": "b"}, build_command="make")).dockerfile

    before, _, after = text.partition("COPY --from=assets")
    assert before.count('ENV A="b"') == 2
    assert "npm run build" in before
    assert "make" not in before
    assert "make" in after
    assert "node:22" not in after


def test_a_front_end_that_is_locked_for_bun_is_built_by_bun(write: Write) -> None:
    root = write({**FLASK, "package.json": FRONT_END, "bun.lock": '{"lockfileVersion": 1, "packages": {}}'})

    built = langs.build(root, Settings())

    assert "AS assets" in built.dockerfile
    assert "bun install" in built.dockerfile
    assert any(evidence.reason == "a front end, built by bun" for evidence in built.evidence)


@pytest.mark.parametrize(
    ("procfile", "run", "processes"),
    [
        pytest.param(
            "release: ./migrate\nweb-admin: ./admin\nworker: ./work\n",
            None,
            {"web": "a", "release": "./migrate", "web-admin": "./admin", "worker": "./work"},
            id="release and web-admin are no web",
        ),
        pytest.param(
            "web: ./serve\nrelease: ./migrate\nworker: ./work\n",
            "./other",
            {"web": "./other", "release": "./migrate", "worker": "./work"},
            id="RUN_COMMAND hides nothing else",
        ),
        pytest.param("web: ./serve --port $PORT\n", None, {"web": "./serve --port $PORT"}, id="the Procfile's web"),
    ],
)
def test_processes_are_kept_by_their_names(
    write: Write, procfile: str, run: str | None, processes: Mapping[str, str]
) -> None:
    built = langs.build(write({**GO, "Procfile": procfile}), Settings(run_command=run))

    assert {process.name: process.command for process in built.processes} == processes
    assert built.start_command == processes["web"]


def test_what_runs_javascript_builds_its_own_front_end(write: Write) -> None:
    root = write(
        {
            "deno.json": '{"tasks": {"start": "deno run -A main.ts"}}',
            "main.ts": "Deno.serve(() => new Response());\n",
            "package.json": FRONT_END,
        }
    )

    built = langs.build(root, Settings(language="deno"))

    assert "AS assets" not in built.dockerfile
