"""Workspaces with Turborepo, Nx or moon: what an app's build needs by their task graphs, and what runs it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

SERVER = "require('http').createServer().listen(5000)"
PLAIN = Settings()
TURBO: Mapping[str, object] = {"build": {"dependsOn": ["^build"], "outputs": ["dist/**"]}}


def manifest(name: str, *needs: str, build: object = "tsc", **more: object) -> str:
    scripts = {"build": build} if build else {}
    return json.dumps({"name": name, "dependencies": dict.fromkeys(needs, "*"), "scripts": scripts, **more})


def monorepo(write: Write, tool: str, /, **more: str) -> Path:
    start = {"scripts": {"build": "tsc", "start": "node server.js"}}
    return write(
        {
            "package.json": json.dumps({"workspaces": ["apps/*", "packages/*"], "devDependencies": {tool: "*"}}),
            "package-lock.json": "{}",
            "apps/web/package.json": manifest("@a/web", "@a/ui", **start),
            "apps/web/server.js": SERVER,
            "apps/api/package.json": manifest("@a/api", **start),
            "packages/ui/package.json": manifest("@a/ui"),
            "packages/icons/package.json": manifest("@a/icons", build="node icons.js"),
            "packages/unused/package.json": manifest("@a/unused"),
            **more,
        }
    )


def turborepo(write: Write, tasks: Mapping[str, object] = TURBO, /, **more: str) -> Path:
    return monorepo(write, "turbo", **{"turbo.json": json.dumps({"tasks": tasks}), **more})


def nx(write: Write, defaults: Mapping[str, object], /, **more: str) -> Path:
    return monorepo(write, "nx", **{"nx.json": json.dumps({"targetDefaults": defaults}), **more})


def moon(write: Write, /, **more: str) -> Path:
    tasks = "tasks:\n  build:\n    command: tsc\n    deps: ['^:build']\n    outputs: [dist]\n"
    shared = {".moon/workspace.yml": "projects: ['apps/*', 'packages/*']\n", ".moon/tasks.yml": tasks}
    return monorepo(write, "@moonrepo/cli", **{**shared, **more})


def project(**said: object) -> str:
    """A project.json with a target `build`."""
    return json.dumps({"targets": {"build": said}})


def built(root: Path, settings: Settings = PLAIN) -> AppBuild:
    return langs.build(root / "apps/web", settings, within=root)


def packages(root: Path) -> tuple[str, ...]:
    detection = langs.detect(root / "apps/web", PLAIN, within=root)
    assert detection is not None
    return detection.packages


def allowed(app: AppBuild) -> set[str]:
    return {line[1:] for line in (app.dockerignore or "").splitlines() if line.startswith("!")}


def run_of(app: AppBuild, program: str) -> str:
    """The line that calls the tool."""
    return next(line for line in app.dockerfile.splitlines() if f"/{program} run" in line).strip()


def test_turborepo_builds_an_app_and_what_it_is_made_of(write: Write) -> None:
    app = built(turborepo(write))

    text = app.dockerfile
    assert run_of(app, "turbo").startswith(
        "node_modules/.bin/turbo run build --no-daemon --cache-dir=/root/.cache/turbo/"
    )
    assert " --filter=./apps/web... && find " in run_of(app, "turbo")
    assert "--force" not in text
    assert "npm run build" not in text
    assert "ENV TURBO_TELEMETRY_DISABLED=1\n" in text
    assert "id=fleetpacks-turbo,target=/root/.cache/turbo" in text
    assert "fleetpacks-turbo" in {mount.id for mount in app.cache}
    assert "turbo.json" in allowed(app)


def test_nx_builds_an_app_by_the_name_that_it_has_there(write: Write) -> None:
    root = nx(
        write,
        {"build": {"dependsOn": ["^build"], "outputs": ["{projectRoot}/dist"]}},
        **{"apps/web/project.json": '{"name": "shop", "targets": {}}'},
    )

    app = built(root)

    assert run_of(app, "nx") == "node_modules/.bin/nx run shop:build --output-style=stream && rm -rf .nx /tmp/nx"
    assert "ENV NX_DAEMON=false\nENV NX_NO_CLOUD=true\n" in app.dockerfile
    assert "npm run build" not in app.dockerfile
    assert {"nx.json", "apps/web/project.json"} <= allowed(app)


def test_moon_builds_an_app_with_the_tools_of_the_image(write: Write) -> None:
    app = built(moon(write, **{"apps/web/moon.yml": "id: shop\n", ".moon/toolchain.yml": "node: {}\n"}))

    assert run_of(app, "moon") == "node_modules/.bin/moon run shop:build && rm -rf .moon/cache"
    assert "ENV MOON_TOOLCHAIN_FORCE_GLOBALS=true\n" in app.dockerfile
    assert {".moon/workspace.yml", ".moon/tasks.yml", ".moon/toolchain.yml", "apps/web/moon.yml"} <= allowed(app)


@pytest.mark.parametrize("tool", ["turbo", "nx", "@moonrepo/cli"])
def test_a_tool_without_configuration_runs_nothing(write: Write, tool: str) -> None:
    text = built(monorepo(write, tool)).dockerfile

    assert text.count("npm run build") == 2
    assert "_TELEMETRY" not in text


def test_configuration_without_the_tool_runs_nothing(write: Write) -> None:
    root = monorepo(write, "other", **{"turbo.json": json.dumps({"tasks": TURBO}), "nx.json": "{}"})

    assert built(root).dockerfile.count("npm run build") == 2


@pytest.mark.parametrize(
    "tasks",
    [
        {"build": {"dependsOn": ["^build", "@a/icons#build"]}},
        {"build": {"dependsOn": ["draw"]}, "draw": {"dependsOn": ["@a/icons#build"]}},
        {"build": {"dependsOn": ["^build"]}, "@a/web#build": {"dependsOn": ["@a/icons#build"]}},
        {"build": {"dependsOn": ["^build"]}, "@a/ui#build": {"dependsOn": ["@a/icons#build"]}},
        {"build": {"dependsOn": ["^draw"]}, "draw": {"dependsOn": ["@a/icons#build"]}},
        {"build": {"dependsOn": ["//#draw"]}, "//#draw": {"dependsOn": ["@a/icons#build"]}},
    ],
)
def test_a_package_that_only_turborepos_task_graph_names_comes_with_the_app(
    write: Write, tasks: Mapping[str, object]
) -> None:
    root = turborepo(write, tasks)

    assert packages(root) == ("packages/icons", "packages/ui")
    assert "packages/icons" in allowed(built(root))


def test_what_a_package_says_in_a_turbo_json_of_its_own_counts(write: Write) -> None:
    own = {"extends": ["//"], "tasks": {"build": {"dependsOn": ["@a/icons#build"]}}}
    root = turborepo(write, TURBO, **{"packages/ui/turbo.json": json.dumps(own)})

    assert packages(root) == ("packages/icons", "packages/ui")


def test_turborepo_1_called_its_tasks_a_pipeline(write: Write) -> None:
    root = monorepo(
        write, "turbo", **{"turbo.json": json.dumps({"pipeline": {"build": {"dependsOn": ["$A", "^build"]}}})}
    )

    assert "turbo run build" in built(root).dockerfile


@pytest.mark.parametrize(
    "files",
    [
        {"apps/web/project.json": '{"implicitDependencies": ["@a/icons"]}'},
        {"apps/web/project.json": '{"implicitDependencies": ["@a/ic*", "!@a/unused"]}'},
        {"packages/ui/package.json": manifest("@a/ui", nx={"implicitDependencies": ["@a/icons"]})},
        {"apps/web/project.json": '{"targets": {"build": {"dependsOn": ["@a/icons:build"]}}}'},
        {
            "apps/web/project.json": project(dependsOn=[{"projects": ["@a/icons"], "target": "build"}]),
        },
        {
            "packages/icons/project.json": '{"name": "pictures"}',
            "apps/web/project.json": project(dependsOn=[{"projects": "pictures", "target": "build"}]),
        },
    ],
)
def test_a_package_that_only_nx_knows_of_comes_with_the_app(write: Write, files: Mapping[str, str]) -> None:
    root = nx(write, {"build": {"dependsOn": ["^build"]}}, **files)

    assert packages(root) == ("packages/icons", "packages/ui")


@pytest.mark.parametrize(
    "files",
    [
        {"apps/web/moon.yml": "dependsOn: [icons]\n"},
        {"apps/web/moon.yml": "dependsOn:\n  - id: icons\n"},
        {"packages/ui/moon.yml": "tasks:\n  build:\n    deps: ['icons:build']\n"},
        {"packages/ui/moon.yml": "tasks:\n  build:\n    deps: [draw]\n  draw:\n    deps: [{target: 'icons:build'}]\n"},
        {
            ".moon/workspace.yml": "projects:\n  globs: [apps/*]\n  sources:\n    art: packages/icons\n",
            "apps/web/moon.yml": "dependsOn: [art]\n",
        },
    ],
)
def test_a_package_that_only_moon_knows_of_comes_with_the_app(write: Write, files: Mapping[str, str]) -> None:
    root = moon(write, **files)

    assert packages(root) == ("packages/icons", "packages/ui")


def test_files_that_tasks_read_beside_the_packages_are_there(write: Write) -> None:
    tasks = {
        "build": {"dependsOn": ["^build", "//#draw"], "inputs": ["$TURBO_DEFAULT$", "$TURBO_ROOT$/schemas/**/*.json"]},
        "//#draw": {"inputs": ["art/*.svg"]},
        "test": {"inputs": ["$TURBO_ROOT$/fixtures/**"]},
    }
    said = {
        "globalDependencies": ["settings.json", ".env", "**/.env.*", "../outside", "packages/**", "gone"],
        "tasks": tasks,
    }
    root = turborepo(
        write,
        **{
            "turbo.json": json.dumps(said),
            "package.json": json.dumps(
                {
                    "workspaces": ["apps/*", "packages/*"],
                    "devDependencies": {"turbo": "2"},
                    "scripts": {"draw": "node scripts/draw.js"},
                }
            ),
            **dict.fromkeys(("settings.json", "schemas/a/b.json", "art/a.svg", "fixtures/a", "scripts/draw.js"), ""),
        },
    )

    found = allowed(built(root))

    assert {"settings.json", "schemas", "art", "scripts", "turbo.json"} <= found
    assert found.isdisjoint({"fixtures", "packages", "../outside", "gone", "packages/unused"})


def test_files_of_the_root_that_nx_reads_are_there(write: Write) -> None:
    root = monorepo(
        write,
        "nx",
        **{
            "nx.json": '{"namedInputs": {"default": ["shared"], "shared": ["{workspaceRoot}/art/*"]}}',
            "art/a.svg": "",
            "apps/web/project.json": '{"targets": {"build": {"inputs": ["{workspaceRoot}/schemas/a.json"]}}}',
            "schemas/a.json": "",
            "schemas/b.json": "",
        },
    )

    found = allowed(built(root))

    assert {"art", "schemas/a.json"} <= found
    assert found.isdisjoint({"schemas", "schemas/b.json"})


def test_files_of_the_root_that_moon_reads_are_there(write: Write) -> None:
    root = moon(write, **{"apps/web/moon.yml": "tasks:\n  build:\n    inputs: [/art/*.svg, src]\n", "art/a.svg": ""})

    assert "art" in allowed(built(root))


@pytest.mark.parametrize(
    "tasks",
    [
        {"build": {"dependsOn": ["^build"]}},
        {"build": {"dependsOn": ["^build", "draw"], "outputs": ["dist/**"]}, "draw": {}},
        {"build": {"dependsOn": ["^build"], "outputs": []}},
    ],
)
def test_a_result_is_not_taken_from_a_cache_where_nobody_says_what_it_is(
    write: Write, tasks: Mapping[str, object]
) -> None:
    root = turborepo(
        write, tasks, **{"packages/ui/package.json": manifest("@a/ui", scripts={"build": "x", "draw": "y"})}
    )

    assert " --force " in run_of(built(root), "turbo")


def test_what_other_tasks_say_does_not_matter_to_the_build(write: Write) -> None:
    tasks = {**TURBO, "lint": {"dependsOn": ["^lint"]}, "test": {"dependsOn": ["build", "@a/icons#build"]}}
    scripts = {"build": "tsc", "lint": "eslint", "test": "vitest"}
    root = turborepo(write, tasks, **{"packages/ui/package.json": manifest("@a/ui", scripts=scripts)})

    assert " --force " not in run_of(built(root), "turbo")
    assert packages(root) == ("packages/ui",)


def test_what_is_not_cached_at_all_need_not_say_what_it_writes(write: Write) -> None:
    root = turborepo(write, {"build": {"dependsOn": ["^build"], "cache": False}})

    assert " --force " not in run_of(built(root), "turbo")


@pytest.mark.parametrize(
    "settings",
    [
        Settings(arguments={"VITE_REVISION": "1"}),
        Settings(passed={"REVISION": "1"}),
        Settings(secrets=("TOKEN",), invalidating=("TOKEN",)),
    ],
)
def test_what_tools_do_not_count_for_their_caches_makes_them_run_everything(write: Write, settings: Settings) -> None:
    assert " --force " in run_of(built(turborepo(write), settings), "turbo")


def test_results_are_kept_apart_by_what_tools_do_not_know_of(write: Write) -> None:
    root = turborepo(write)

    places = {
        next(word for word in run_of(built(root, settings), "turbo").split() if word.startswith("--cache-dir="))
        for settings in (PLAIN, Settings(env={"A": "1"}), Settings(env={"A": "2"}), Settings(images={"node": "x/node"}))
    }

    assert len(places) == 4


@pytest.mark.parametrize(("tool", "expected"), [("turbo", "--filter=./packages/ui..."), ("nx", "nx run @a/ui:build")])
def test_a_build_command_of_somebodys_own_finds_the_packages_built(write: Write, tool: str, expected: str) -> None:
    root = turborepo(write) if tool == "turbo" else nx(write, {"build": {"dependsOn": ["^build"]}})

    text = built(root, Settings(build_command="./mine")).dockerfile

    assert text.index(expected) < text.index("WORKDIR /app/apps/web") < text.index("./mine")
    assert "npm run build" not in text


@pytest.mark.parametrize("script", ["turbo run build --filter=@a/web", "cd ../.. && npx turbo build", "nx build web"])
def test_a_tool_is_not_called_by_what_it_calls(write: Write, script: str) -> None:
    scripts = {"build": script, "start": "node server.js"}
    root = turborepo(write, TURBO, **{"apps/web/package.json": manifest("@a/web", "@a/ui", scripts=scripts)})

    text = built(root).dockerfile

    assert "turbo run build --no-daemon" not in text
    assert text.count("npm run build") == 2


def test_an_app_with_nothing_to_build_calls_nobody(write: Write) -> None:
    plain = manifest("@a/web", build=None, scripts={"start": "node server.js"})
    root = turborepo(write, TURBO, **{"apps/web/package.json": plain})

    assert "turbo run" not in built(root).dockerfile


def test_a_package_whose_build_the_tool_does_not_know_of_is_built_as_without_it(write: Write) -> None:
    root = moon(
        write, **{".moon/tasks.yml": "tasks: {}\n", "apps/web/moon.yml": "tasks:\n  build:\n    command: tsc\n"}
    )

    text = built(root).dockerfile

    assert "moon run" not in text
    assert text.count("npm run build") == 2


def test_plug_and_play_finds_the_tool_by_yarn(write: Write) -> None:
    root = turborepo(write, TURBO, **{"yarn.lock": "__metadata:\n  version: 8\n", ".yarnrc.yml": "nodeLinker: pnp\n"})
    (root / "package-lock.json").unlink()

    assert "yarn run turbo run build" in built(root).dockerfile


def test_apps_of_one_workspace_have_their_installation_in_common(write: Write) -> None:
    root = turborepo(write)

    web, api = (
        langs.build(root / path, PLAIN, within=root).dockerfile.partition("FROM install AS")[0]
        for path in ("apps/web", "apps/api")
    )

    assert web == api


def test_a_build_argument_that_turborepo_would_hide_is_told_of(write: Write) -> None:
    tasks = {"build": {"dependsOn": ["^build"], "env": ["REVISION", "SHOP_*"]}}
    arguments = {"REVISION": "1", "SHOP_NAME": "x", "VITE_A": "1", "EDITION": "2"}

    app = built(turborepo(write, tasks), Settings(arguments=arguments))

    assert "turbo.json does not name EDITION: turbo hides from tasks what it is not told of" in app.warnings


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"turbo.json": "{"}, "is not valid JSON"),
        ({"packages/ui/turbo.json": "[]"}, "has another shape"),
    ],
)
def test_configuration_that_cannot_be_read_is_an_error_that_names_its_file(
    write: Write, files: Mapping[str, str], problem: str
) -> None:
    root = turborepo(write, TURBO, **files)

    with pytest.raises(LangError, match=problem) as caught:
        built(root)

    assert caught.value.file == next(iter(files))


@pytest.mark.parametrize("tool", ["turbo", "nx", "moon"])
@pytest.mark.parametrize("said", [[], 3, None, "x", {"build": 3}, {"build": {"dependsOn": {"a": 1}, "inputs": 2}}])
def test_what_is_said_in_another_way_than_known_says_nothing(write: Write, tool: str, said: object) -> None:
    if tool == "turbo":
        root = monorepo(write, tool, **{"turbo.json": json.dumps({"tasks": said, "globalDependencies": said})})
    elif tool == "nx":
        root = monorepo(write, tool, **{"nx.json": json.dumps({"targetDefaults": said, "namedInputs": said})})
    else:
        files = {".moon/tasks.yml": {"tasks": said}, ".moon/workspace.yml": {"projects": said}}
        root = moon(write, **{name: json.dumps(text) for name, text in files.items()})

    found = packages(root)

    assert found == ("packages/ui",)
    assert " run " in built(root).dockerfile


@pytest.mark.parametrize("name", ["x\nRUN evil", "$(evil)", "a b", "--all", "x; evil", "<<EOF"])
def test_a_hostile_name_is_one_word_or_an_error(write: Write, name: str) -> None:
    root = nx(write, {"build": {}}, **{"apps/web/project.json": json.dumps({"name": name})})

    try:
        text = built(root).dockerfile
    except LangError:
        assert "\n" in name or "<<" in name
        return

    assert f"'{name}:build'" in text or f" {name}:build " in text
    assert "\nRUN evil" not in text


def test_tasks_that_wait_for_each_other_are_the_tools_to_refuse(write: Write) -> None:
    tasks = {"build": {"dependsOn": ["draw", "@a/icons#build"]}, "draw": {"dependsOn": ["build"]}}

    assert packages(turborepo(write, tasks)) == ("packages/icons", "packages/ui")
