"""The apps of a monorepo, with the real languages."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs.model import Detection, Settings
from orchestrator.config import load
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import App
from orchestrator.workspace import discover as room
from orchestrator.workspace.files import walk

Plant = Callable[[Mapping[str, str]], Path]

_NODE = '{"name": "x", "scripts": {"start": "node server.js"}}'
_JS = "require('http').createServer().listen(process.env.PORT)\n"
_GO_MAIN = "package main\n\nfunc main() {}\n"
_SERVES = "from flask import Flask\napp = Flask(__name__)\napp.run()\n"

_WEB = '<Project Sdk="Microsoft.NET.Sdk.Web" />'
_LIBRARY = '<Project Sdk="Microsoft.NET.Sdk" />'
_CARGO = '[workspace]\nmembers = ["api"]\n'
_CRATE = '[package]\nname = "api"\n'


def _discover(root: Path, named: tuple[str, ...] = (), variables: Mapping[str, str] | None = None) -> tuple[App, ...]:
    return room.discover(walk(root), load(root, variables or {}), partial(langs.detect, within=root), named)


def _paths(apps: tuple[App, ...]) -> list[str]:
    return [app.path for app in apps]


@pytest.mark.parametrize(
    ("files", "apps"),
    [
        ({"a/package.json": _NODE, "a/server.js": _JS}, ["a"]),
        ({"package.json": _NODE, "server.js": _JS}, ["."]),
        ({"package.json": _NODE, "server.js": _JS, "svc/go.mod": "module x\n", "svc/main.go": _GO_MAIN}, [".", "svc"]),
        ({"package.json": '{"workspaces": ["a"]}', "a/package.json": _NODE, "a/server.js": _JS}, ["a"]),
        ({"lib/package.json": '{"name": "lib", "main": "index.js"}', "lib/index.js": "module.exports = 1"}, []),
        ({"lib/go.mod": "module x\n", "lib/x.go": "package x\n"}, []),
        ({"tools/pyproject.toml": "[tool.ruff]\n"}, []),
        ({"legacy/Dockerfile": "FROM x\n"}, ["legacy"]),
        ({"legacy/Containerfile": "FROM x\n"}, ["legacy"]),
        ({"a/package.json": _NODE, "a/server.js": _JS, "a/docker/Containerfile": "FROM x\n"}, ["a"]),
        ({"a/package.json": _NODE, "a/server.js": _JS, "a/docker/Dockerfile": "FROM x\n"}, ["a"]),
        ({".devcontainer/Dockerfile": "FROM x\n", ".github/x/package.json": _NODE}, []),
        ({"a/node_modules/b/package.json": _NODE, "a/node_modules/b/server.js": _JS}, []),
        ({"vendor/b/main.py": _SERVES, "a/.venv/c/requirements.txt": "flask\n"}, []),
        ({"a/testdata/b/package.json": _NODE, "a/test/fixtures/c/package.json": _NODE}, []),
        ({"examples/b/package.json": _NODE, "examples/b/server.js": _JS}, []),
        ({"bare/main.py": _SERVES}, ["bare"]),
        ({"a/requirements.txt": "flask\n", "a/app.py": _SERVES, "a/app/main.py": _SERVES}, ["a"]),
        ({"pyproject.toml": "[tool.ruff]\n", "src/lib/main.py": _SERVES}, []),
        ({"a/go.mod": "module x\n", "a/cmd/b/main.go": _GO_MAIN, "a/cmd/c/main.go": _GO_MAIN}, ["a"]),
        ({"docs/index.md": ""}, []),
        # Projects that are named after what they build; a solution that starts one of them is built as a whole.
        ({"src/Api/Api.csproj": _WEB, "src/Web/Web.fsproj": _WEB}, ["src/Api", "src/Web"]),
        ({"App.sln": "", "src/Api/Api.csproj": _WEB, "src/Core/Core.csproj": _LIBRARY}, ["."]),
        ({"App.slnx": "", "src/Api/Api.csproj": _WEB, "src/Web/Web.csproj": _WEB}, ["src/Api", "src/Web"]),
        # Of Nx's projects that have no package.json, what it starts by Node.js; not a page that it has to build.
        (
            {
                "package.json": '{"devDependencies": {"nx": "21"}}',
                "nx.json": "{}",
                "libs/a/project.json": "{}",
                "apps/api/project.json": '{"targets": {"serve": {"executor": "@nx/js:node"}}}',
                "apps/page/project.json": '{"targets": {"build": {"executor": "@nx/vite:build"}}}',
                "apps/page/index.html": "<html>",
            },
            ["apps/api"],
        ),
        # A Cargo workspace is one build, whose lockfile is at its root.
        ({"Cargo.toml": _CARGO, "api/Cargo.toml": _CRATE, "api/src/main.rs": "fn main() {}\n"}, ["."]),
        # Names in any case, also as the last of several words; what is to be copied; what another platform runs.
        ({f"{path}/main.py": _SERVES for path in ("Tests", "api-e2e", "_examples", "Api.Tests", "testing/mocks")}, []),
        ({"benchmarks/go.mod": "module x\n", "benchmarks/main.go": _GO_MAIN, "templates/a/package.json": _NODE}, []),
        ({"{{cookiecutter.slug}}/main.py": _SERVES, "files/__name__/main.py": _SERVES}, []),
        ({"supabase/functions/a/deno.json": "{}", "supabase/functions/a/index.ts": "Deno.serve(() => 1)\n"}, []),
        ({"load-test/main.py": _SERVES, "templating/main.py": _SERVES}, ["load-test", "templating"]),
        # A manifest of one language marks no app of another one.
        (
            {"index.php": "<?php\n", "themes/a/package.json": "{}", "themes/a/index.php": "<?php\n"},
            ["."],
        ),
        ({"a/package.json": "{}", "a/main.py": _SERVES}, ["a"]),
        ({"requirements.txt": "x\n", "a/Dockerfile": "FROM x\n", "a/main.py": _SERVES}, ["a"]),
        # What belongs to a module above is not compiled without it.
        ({"go.mod": "module x\n", "x.go": "package x\n", "a/Dockerfile": "FROM x\n", "a/main.go": _GO_MAIN}, ["a"]),
        # A front controller needs what lies beside its directory.
        ({"a/public/index.php": "<?php\n", "a/src/x.php": "<?php\n"}, ["a"]),
        ({"public/package.json": _NODE, "public/server.js": _JS}, ["public"]),
        # What a generator of sites makes pages of.
        ({"themes/a/layouts/index.html": "{{ .Title }}", "site/_includes/index.html": "{{ content }}"}, []),
        ({}, []),
    ],
)
def test_what_is_an_app_and_what_is_not(plant: Plant, files: dict[str, str], apps: list[str]) -> None:
    root = plant(files)

    assert _paths(_discover(root)) == apps


def test_the_example_monorepo_is_seven_apps() -> None:
    root = Path(__file__).parents[2] / "examples/monorepo"

    apps = _discover(root)

    assert [(app.path, app.name, app.detection.language) for app in apps] == [
        ("apps/api", "api", "nodejs"),
        ("apps/storefront", "storefront", "nodejs"),
        ("services/billing", "billing", "python"),
        ("services/gateway", "gateway", "go"),
        ("services/ledger", "ledger", "go"),
        ("services/reports", "reports", "python"),
        ("tools/legacy-cron", "legacy-cron", "dockerfile"),
    ]


@pytest.mark.parametrize(
    ("config", "named", "apps"),
    [
        ("", (), ["."]),
        ('[apps."cmd/api"]\n', (), ["cmd/api"]),
        ('[apps."cmd/api"]\n[apps."cmd/worker"]\n', (), ["cmd/api", "cmd/worker"]),
        ('[apps."cmd/api"]\n[apps."."]\n', (), [".", "cmd/api"]),
        ('[apps."cmd/api"]\n', (".",), ["cmd/api"]),
        ("", ("cmd/worker",), [".", "cmd/worker"]),
        ('[apps."internal/x"]\n', (), [".", "internal/x"]),
    ],
)
def test_the_programs_of_a_module_are_apps_when_they_are_asked_for(
    plant: Plant, config: str, named: tuple[str, ...], apps: list[str]
) -> None:
    main = "package main\n\nfunc main() {}\n"
    root = plant(
        {
            "go.mod": "module example.com/a\n",
            "cmd/api/main.go": main,
            "cmd/worker/main.go": main,
            "internal/x/x.go": "package x\n",
            "fleetpacks.toml": config,
        }
    )

    assert _paths(_discover(root, named)) == apps


@pytest.mark.parametrize(
    ("config", "named", "apps"),
    [
        ("", (), ["."]),
        ('[apps."tides/src/bin/api"]\n', (), ["tides/src/bin/api"]),
        ("[apps.tides]\n", (), ["tides"]),
        (
            '[apps."tides/src/bin/api"]\n[apps."tides/src/bin/worker"]\n',
            (),
            ["tides/src/bin/api", "tides/src/bin/worker"],
        ),
        ('[apps."tides/src/bin/api"]\n[apps."."]\n', (), [".", "tides/src/bin/api"]),
        ("", ("tides/src/bin/worker",), [".", "tides/src/bin/worker"]),
    ],
)
def test_the_programs_of_a_cargo_package_are_apps_when_they_are_asked_for(
    plant: Plant, config: str, named: tuple[str, ...], apps: list[str]
) -> None:
    root = plant(
        {
            "Cargo.toml": '[workspace]\nmembers = ["tides"]\n',
            "tides/Cargo.toml": '[package]\nname = "tides"\n',
            "tides/src/bin/api/main.rs": "fn main() {}\n",
            "tides/src/bin/worker/main.rs": "fn main() {}\n",
            "fleetpacks.toml": config,
        }
    )

    assert _paths(_discover(root, named)) == apps


@pytest.mark.parametrize(
    ("config", "apps"),
    [
        ('ignore = ["old/**"]\n', ["new"]),
        ('ignore = ["/old/"]\n', ["new"]),
        ('ignore = ["/*", "!/new"]\n', ["new"]),
        ('[apps."examples/demo"]\n', ["examples/demo", "new", "old/a"]),
        ('ignore = ["old"]\n[apps."old/a"]\n', ["new", "old/a"]),
    ],
)
def test_the_roots_file_overrules(plant: Plant, config: str, apps: list[str]) -> None:
    files = {
        f"{path}/{name}": text
        for path in ("new", "old/a", "examples/demo")
        for name, text in {"package.json": _NODE, "server.js": _JS}.items()
    }
    root = plant({**files, "fleetpacks.toml": config})

    assert _paths(_discover(root)) == apps


def test_names_come_from_configuration_in_either_place(plant: Plant) -> None:
    root = plant(
        {
            "a/Dockerfile": "FROM x\n",
            "a/fleetpacks.toml": 'name = "first"\n',
            "b/Dockerfile": "FROM x\n",
            "fleetpacks.toml": '[apps.b]\nname = "second"\n[apps.a]\nname = "overruled"\n',
        }
    )

    assert [app.name for app in _discover(root)] == ["first", "second"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "fleetpacks.toml:1: apps.absent: 'absent' is no directory"),
        ("docs", "fleetpacks.toml:1: apps.docs: nothing in it was recognised"),
    ],
)
def test_a_declared_app_that_is_none_is_an_error(plant: Plant, path: str, message: str) -> None:
    root = plant({"docs/x.md": "", "fleetpacks.toml": f"[apps.{path}]\n"})

    with pytest.raises(ConfigError) as caught:
        _discover(root)

    assert caught.value.message.replace("'docs' ", "").startswith(message)


def test_a_declared_app_behind_a_symlink_that_leaves_the_source_is_refused(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/Dockerfile").write_text("FROM x\n")
    root = plant({"fleetpacks.toml": "[apps.link]\n"})
    (root / "link").symlink_to(tmp_path / "outside")

    with pytest.raises(ConfigError, match="is no directory of the source"):
        _discover(root)


def test_broken_apps_are_told_at_once_with_their_files(plant: Plant) -> None:
    root = plant({"a/package.json": "{", "b/package.json": "[", "c/Dockerfile": "FROM x\n"})

    with pytest.raises(ConfigError) as caught:
        _discover(root)

    assert caught.value.message.startswith("2 problems\na/package.json")
    assert "b/package.json" in caught.value.message
    assert '`ignore = ["/a/", "/b/"]`' in caught.value.hint


def test_a_broken_module_is_one_problem_of_the_project_that_has_it(plant: Plant) -> None:
    pom = "<project><groupId>g</groupId><artifactId>{}</artifactId>{}</project>"
    parent = "<parent><groupId>g</groupId><artifactId>all</artifactId><version>1</version></parent>"
    modules = (
        "<packaging>pom</packaging><modules><module>svc</module><module>lib</module><module>bad</module></modules>"
    )
    root = plant(
        {
            "mvn/pom.xml": pom.format("all", modules),
            "mvn/svc/pom.xml": pom.format("svc", parent),
            "mvn/svc/src/main/java/Main.java": "class Main { public static void main(String[] a) {} }",
            "mvn/lib/pom.xml": pom.format("lib", parent),
            "mvn/bad/pom.xml": f"{pom.format('bad', parent)}// c",
            "c/Dockerfile": "FROM x\n",
        }
    )

    with pytest.raises(ConfigError) as caught:
        _discover(root)
    line = caught.value.hint.partition("write `")[2].partition("` at the top")[0]
    (root / "fleetpacks.toml").write_text(line)

    assert caught.value.message.startswith("mvn/bad/pom.xml:1: is not valid XML")
    assert "\n" not in caught.value.message
    # Maven reads all modules of a project, whichever is built.
    assert line == 'ignore = ["/mvn/"]'
    assert _paths(_discover(root)) == ["c"]


def test_a_broken_file_of_ours_is_told_with_the_other_problems_each_with_its_hint(plant: Plant) -> None:
    root = plant(
        {
            "a/package.json": "{",
            "b/fleetpacks.toml": 'language = "pyton"\n',
            "b/main.py": "",
            "c/Dockerfile": "FROM x\n",
        }
    )

    with pytest.raises(ConfigError) as caught:
        _discover(root)

    lines = caught.value.message.splitlines()
    assert lines[0] == "2 problems"
    assert lines[1].startswith("a/package.json: is not valid JSON")
    assert lines[2:] == [
        "  Correct it.",
        "b/fleetpacks.toml:1: language: unknown language 'pyton'",
        "  Did you mean 'python'?",
    ]


@pytest.mark.parametrize("path", ["a", "a b ", "*", "!a", "#a", "[a]", "a?", "a\\b", 'a"b', "ü/\U0001f40d"])
def test_the_hint_leaves_out_what_is_broken_and_nothing_else(plant: Plant, path: str) -> None:
    root = plant({f"{path}/package.json": "{", "deep/a/Dockerfile": "FROM x\n", "ab/Dockerfile": "FROM x\n"})

    with pytest.raises(ConfigError) as caught:
        _discover(root)
    line = caught.value.hint.partition("write `")[2].partition("` at the top")[0]
    (root / "fleetpacks.toml").write_text(line)

    assert _paths(_discover(root)) == ["ab", "deep/a"]


@pytest.mark.parametrize(
    "files",
    [
        {"a/package.json": "{"},
        {"package.json": "{", "a/Dockerfile": "FROM x\n"},
        {"fleetpacks.toml": "[apps.a]\n", "a/package.json": "{", "b/Dockerfile": "FROM x\n"},
    ],
    ids=["the only app", "the root", "a declared app"],
)
def test_what_cannot_be_ignored_is_not_advised_to_be(plant: Plant, files: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        _discover(plant(files))

    assert caught.value.hint == "Correct it."


def test_project_path_narrows_what_is_discovered(plant: Plant) -> None:
    root = plant(
        {"a/Dockerfile": "FROM x\n", "examples/b/Dockerfile": "FROM x\n", "examples/b/tests/Dockerfile": "FROM x\n"}
    )

    apps = _discover(root, variables={"PROJECT_PATH": "examples/b"})

    assert _paths(apps) == ["examples/b"]


def test_the_path_of_what_is_taken_apart_means_the_apps_below_it(plant: Plant) -> None:
    root = plant(
        {
            "tools/go.mod": "module example.com/a\n",
            "tools/cmd/api/main.go": _GO_MAIN,
            "tools/cmd/worker/main.go": _GO_MAIN,
            "fleetpacks.toml": '[apps."tools/cmd/api"]\n[apps."tools/cmd/worker"]\n',
        }
    )

    apps = _discover(root, named=("tools",))

    assert _paths(room.select(apps, ("tools",))) == ["tools/cmd/api", "tools/cmd/worker"]


def test_a_named_directory_is_looked_at_though_its_name_says_otherwise(plant: Plant) -> None:
    root = plant({"examples/b/Dockerfile": "FROM x\n", "a/Dockerfile": "FROM x\n"})

    apps = _discover(root, named=("examples/b",))

    assert _paths(apps) == ["a", "examples/b"]
    assert _paths(room.select(apps, ("examples/b",))) == ["examples/b"]


def test_a_path_selects_the_app_there_or_all_below(plant: Plant) -> None:
    root = plant({f"{path}/Dockerfile": "FROM x\n" for path in ("s", "s/a", "t/a", "t/b", "tt")})
    apps = _discover(root)

    assert _paths(room.select(apps, ("s",))) == ["s"]
    assert _paths(room.select(apps, ("t",))) == ["t/a", "t/b"]
    assert _paths(room.select(apps, (".",))) == ["s", "s/a", "t/a", "t/b", "tt"]
    assert _paths(room.select(apps, ("tt", "t/b", "tt"))) == ["t/b", "tt"]
    with pytest.raises(UsageError) as caught:
        room.select(apps, ("t-b",))
    assert caught.value.hint == "See `fleetpacks apps` for all apps."
    with pytest.raises(UsageError) as caught:
        room.select(apps, ("tt", "b"))
    assert caught.value.hint == "Did you mean 't/b'?"


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("a", "a"),
        ("./a/", "a"),
        ("a/../a", "a"),
        (".", "."),
        ("..", "outside of the source"),
        ("/etc", "outside of the source"),
        ("link", "outside of the source"),
        ("alias", "a"),
        ("absent", "no such directory"),
        ("file", "no such directory"),
    ],
)
def test_paths_of_the_command_line_stay_inside(plant: Plant, tmp_path: Path, word: str, result: str) -> None:
    root = plant({"a/x": "", "file": ""})
    (root / "link").symlink_to(tmp_path)
    (root / "alias").symlink_to("a")

    try:
        outcome = room.named_paths(root, (word,))[0]
    except UsageError as error:
        outcome = error.message

    assert outcome == result if result in {"a", "."} else result in outcome


def test_an_absolute_path_below_the_source_is_one(plant: Plant) -> None:
    root = plant({"a/x": ""})

    assert room.named_paths(root, (str(root / "a"),)) == ("a",)


def test_only_directories_with_a_candidate_file_are_detected(plant: Plant) -> None:
    root = plant({f"d{number}/x.txt": "" for number in range(50)} | {"a/Dockerfile": "FROM x\n"})
    looked_at: list[str] = []

    def detect(directory: Path, settings: Settings) -> Detection | None:
        looked_at.append(directory.name)
        return langs.detect(directory, settings)

    room.discover(walk(root), load(root, {}), detect)

    assert looked_at == ["a"]


_NAMES = st.sampled_from((*sorted(room.MARKERS | room.SOURCES), "x.csproj", "x.sln", "notes.txt", ".gitattributes"))
_DIRECTORIES = st.sampled_from(("", "a/", "a/public/", "docker/", "b/views/", "tests/"))


@given(files=st.sets(st.builds(str.__add__, _DIRECTORIES, _NAMES)))
def test_only_the_files_that_tell_something_matter(files: set[str]) -> None:
    config = load(Path(__file__).parent, {})
    telling = {file for file in files if room.tells(file.rpartition("/")[2])}

    found = room.candidates(sorted(telling), config)

    assert found == room.candidates(sorted(files), config)
    assert {"notes.txt", ".gitattributes"}.isdisjoint(file.rpartition("/")[2] for file in telling)


def test_three_hundred_apps_cost_well_under_a_second_beside_detection(plant: Plant) -> None:
    root = plant({f"apps/a{n}/{name}": "" for n in range(300) for name in ("Dockerfile", "x", "src/y", "src/z/w")})
    detection = Detection(language="dockerfile", evidence=())

    began = time.process_time()
    apps = room.discover(walk(root), load(root, {}), lambda _directory, _settings: detection)
    spent = time.process_time() - began

    assert len(apps) == 300
    # Twenty times what it takes: a quadratic loop would show, a busy machine does not.
    assert spent < 1


def test_told_by_the_environment_a_directory_is_an_app(plant: Plant) -> None:
    root = plant({"odd/start.js": ""})
    config = load(root, {"LANGUAGE": "nodejs", "PROJECT_PATH": "odd"})

    (app,) = room.told(config, "odd", langs.detect)

    assert (app.name, app.detection.language, app.settings.language) == ("odd", "nodejs", "nodejs")


def test_apps_can_be_encoded(plant: Plant) -> None:
    (app,) = _discover(plant({"a/Dockerfile": "FROM x\n"}))

    assert msgspec.structs.asdict(app)["depends_on"] == ()


_COMPOSE = """
services:
  api:
    build: ./api
  web:
    build: {context: ., dockerfile: web.Dockerfile}
  db:
    image: x
"""


def test_every_service_of_a_compose_file_is_an_app(plant: Plant) -> None:
    root = plant(
        {"deploys/compose.yaml": _COMPOSE, "deploys/api/Dockerfile": "FROM x\n", "deploys/web.Dockerfile": "FROM x\n"}
    )

    apps = _discover(root)

    assert [(app.path, app.name, app.detection.language) for app in apps] == [
        ("deploys/compose.yaml#api", "api", "compose"),
        ("deploys/compose.yaml#web", "web", "compose"),
    ]
    assert [app.directory for app in apps] == [root / "deploys/api", root / "deploys"]
    assert room.select(apps, ("deploys",)) == apps
    assert room.select(apps, room.named_paths(root, ("./deploys/compose.yaml#web",))) == apps[1:]


def test_a_service_whose_directory_is_an_app_of_a_language_is_that_app(plant: Plant) -> None:
    root = plant(
        {
            "compose.yaml": _COMPOSE,
            "api/package.json": _NODE,
            "api/server.js": _JS,
            "api/Dockerfile": "FROM x\n",
            "web.Dockerfile": "FROM x\n",
        }
    )

    assert _paths(_discover(root)) == ["api", "compose.yaml#web"]


def test_sources_of_a_module_above_are_built_by_their_dockerfile(plant: Plant) -> None:
    root = plant({"go.mod": "module x\n", "a/Dockerfile": "FROM x\n", "a/main.go": _GO_MAIN})

    assert [app.detection.language for app in _discover(root)] == ["dockerfile"]


def test_a_dockerfile_that_a_service_is_built_by_is_no_app_of_its_own(plant: Plant) -> None:
    compose = "services:\n  jobs:\n    build:\n      context: .\n      dockerfile: jobs/Dockerfile\n"
    root = plant({"compose.yaml": compose, "jobs/Dockerfile": "FROM x\n", "other/Dockerfile": "FROM x\n"})

    assert _paths(_discover(root)) == ["other", "compose.yaml#jobs"]


@pytest.mark.parametrize("said", ['language = "compose"\n', 'compose = "compose.yaml"\n'])
def test_a_compose_file_that_is_asked_for_decides(plant: Plant, said: str) -> None:
    root = plant(
        {
            "compose.yaml": _COMPOSE,
            "fleetpacks.toml": said,
            "api/package.json": _NODE,
            "api/server.js": _JS,
            "web.Dockerfile": "FROM x\n",
        }
    )

    assert _paths(_discover(root)) == ["compose.yaml#api", "compose.yaml#web"]


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        ("./gone", "'gone' is no directory of the source"),
        ("{context: ., args: {NPM_TOKEN: x}}", "build.args.NPM_TOKEN: its name is one of a credential"),
        ("../outside", "outside of the repository"),
    ],
)
def test_a_service_that_cannot_be_built_is_an_error_that_names_it(plant: Plant, build: str, problem: str) -> None:
    said = 'compose = "compose.yaml"\n'
    root = plant({"compose.yaml": f"services:\n  api:\n    build: {build}\n", "fleetpacks.toml": said})

    with pytest.raises(ConfigError) as caught:
        _discover(root)

    assert caught.value.message.startswith("compose.yaml: services.api: ")
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("files", "apps"),
    [
        ({"site/index.html": "x"}, ["site"]),
        ({"go.work": "go 1.25\n", "docs/index.html": "x"}, []),
        ({"ui/package.json": '{"name": "ui"}', "ui/index.html": "x"}, []),
        ({"ui/package.json": '{"scripts": {"build": "vite build"}}', "ui/index.html": "x"}, ["ui"]),
        ({"ui/package.json": '{"scripts": {"build": "x"}, "exports": "."}', "ui/index.html": "x"}, []),
        ({"a/package.json": _NODE, "a/server.js": _JS, "a/views/index.html": "x"}, ["a"]),
    ],
)
def test_a_page_is_a_site_where_it_is_no_part_of_anything(plant: Plant, files: dict[str, str], apps: list[str]) -> None:
    assert _paths(_discover(plant(files))) == apps
