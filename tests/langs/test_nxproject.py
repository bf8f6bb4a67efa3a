"""Apps of Nx's integrated layout, which have a project.json and no package.json."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import nxproject
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

PLAIN = Settings()
MAIN = "apps/api/src/main.ts"
SERVE: Mapping[str, object] = {"executor": "@nx/js:node", "options": {"buildTarget": "api:build:development"}}
WEBPACK: Mapping[str, object] = {
    "executor": "@nx/webpack:webpack",
    "options": {"outputPath": "dist/apps/api", "main": MAIN},
}


def project(build: Mapping[str, object] = WEBPACK, serve: Mapping[str, object] = SERVE, **more: object) -> str:
    return json.dumps({"name": "api", "targets": {"build": build, "serve": serve}, **more})


def monorepo(write: Write, said: str = project(), /, **more: str) -> Path:
    return write(
        {
            "package.json": '{"name": "acme", "dependencies": {"express": "5"}, "devDependencies": {"nx": "21"}}',
            "package-lock.json": "{}",
            "nx.json": "{}",
            "apps/api/project.json": said,
            "apps/api/src/main.ts": "",
            "libs/units/project.json": '{"name": "units", "targets": {"build": {"executor": "@nx/js:tsc"}}}',
            "libs/units/src/index.ts": "",
            **more,
        }
    )


def built(root: Path, settings: Settings = PLAIN) -> AppBuild:
    return langs.build(root / "apps/api", settings, within=root)


def test_an_app_is_what_nx_starts_by_node(write: Write) -> None:
    page = {"apps/page/project.json": project({"executor": "@nx/vite:build"}, {"executor": "@nx/vite:dev-server"})}
    root = monorepo(write, **page)

    found = {path: langs.detect(root / path, PLAIN, within=root) for path in ("apps/api", "apps/page", "libs/units")}

    assert {path: (each.language, each.is_app) for path, each in found.items() if each} == {
        "apps/api": ("nodejs", True),
        "apps/page": ("nodejs", False),
        "libs/units": ("nodejs", False),
    }
    api = found["apps/api"]
    assert api is not None
    assert (api.package_manager, api.packages) == ("npm", (".",))
    assert [(each.file, each.reason) for each in api.evidence] == [("project.json", "Nx starts it by Node.js")]


def test_it_is_built_from_the_root_by_nx_and_its_image_has_the_output_and_what_is_installed(write: Write) -> None:
    app = built(monorepo(write))

    assert (app.context, app.start_command) == ("../..", "node dist/apps/api/main.js")
    assert "COPY package.json package-lock.json ./\n" in app.dockerfile
    assert "NX_DAEMON=false" in app.dockerfile
    assert "node_modules/.bin/nx run api:build --output-style=stream && rm -rf .nx /tmp/nx" in app.dockerfile
    assert "npm prune --omit=dev" in app.dockerfile
    last = app.dockerfile.partition(" AS runtime")[2]
    assert "COPY --from=builder --chown=1000:1000 /app/dist/apps/api ./dist/apps/api\n" in last
    assert "COPY --from=builder --chown=1000:1000 /app/package.json ./package.json\n" in last
    assert "/app ./\n" not in last
    assert 'title="api"' in last
    assert "*" not in (app.dockerignore or "").splitlines()


@pytest.mark.parametrize(
    ("build", "target", "start"),
    [
        (WEBPACK, "build", "dist/apps/api/main.js"),
        ({**WEBPACK, "configurations": {"production": {}}}, "build:production", "dist/apps/api/main.js"),
        (
            {**WEBPACK, "configurations": {"production": {"outputPath": "out/{projectName}"}}},
            "build:production",
            "out/api/main.js",
        ),
        (
            {**WEBPACK, "options": {"outputPath": "dist/x", "outputFileName": "server.js"}},
            "build",
            "dist/x/server.js",
        ),
        ({"outputs": ["{workspaceRoot}/dist/{projectRoot}"]}, "build", "dist/apps/api/main.js"),
        ({"outputs": ["{workspaceRoot}/dist/apps/api/index.cjs"]}, "build", "dist/apps/api/index.cjs"),
        ({"outputs": ["{projectRoot}/dist"]}, "build", "apps/api/dist/main.js"),
        ({**WEBPACK, "executor": "@nx/js:tsc"}, "build", "dist/apps/api/src/main.js"),
        (
            {"executor": "@nx/js:swc", "options": {"outputPath": "dist/a", "main": MAIN, "stripLeadingPaths": True}},
            "build",
            "dist/a/main.js",
        ),
        ({**WEBPACK, "executor": "@nx/esbuild:esbuild"}, "build", "dist/apps/api/main.js"),
        (
            {"executor": "@nx/esbuild:esbuild", "options": {"outputPath": "dist/a", "format": ["cjs"]}},
            "build",
            "dist/a/main.cjs",
        ),
        (
            {
                "executor": "@nx/esbuild:esbuild",
                "options": {
                    "outputPath": {"base": "dist/a"},
                    "format": ["cjs"],
                    "esbuildOptions": {"outExtension": {".js": ".js"}},
                },
            },
            "build",
            "dist/a/main.js",
        ),
    ],
)
def test_where_a_target_writes_is_where_its_executor_does(
    write: Write, build: Mapping[str, object], target: str, start: str
) -> None:
    app = built(monorepo(write, project(build)))

    assert app.start_command == f"node {start}"
    assert f"nx run api:{target} " in app.dockerfile


def test_serve_says_which_target_it_starts(write: Write) -> None:
    targets = {
        "bundle": WEBPACK,
        "build": {},
        "serve": {"executor": "@nx/js:node", "options": {"buildTarget": "api:bundle"}},
    }

    app = built(monorepo(write, json.dumps({"name": "api", "targets": targets})))

    assert "nx run api:bundle " in app.dockerfile


def test_where_more_is_started_than_the_output_the_whole_workspace_is_there(write: Write) -> None:
    settings = Settings(run_command="node dist/apps/api/main.js --verbose")
    more = {"apps/api/Procfile": "queue: node dist/apps/api/queue.js\n"}

    for app in (built(monorepo(write), settings), built(monorepo(write, **more))):
        assert "COPY --from=builder --chown=1000:1000 /app ./\n" in app.dockerfile


def test_a_target_that_a_plugin_infers_is_said_to_be_missing(write: Write) -> None:
    root = monorepo(write, json.dumps({"name": "api", "targets": {"serve": SERVE}}))

    with pytest.raises(LangError, match="the target 'build' is missing, which makes what `serve` starts") as raised:
        built(root)

    assert raised.value.file == "project.json"
    assert "`outputs`" in raised.value.hint
    assert built(root, Settings(run_command="node out.js")).start_command == "node out.js"


def test_what_does_not_show_is_said(write: Write) -> None:
    root = monorepo(write, project({"executor": "nx:run-commands"}))

    with pytest.raises(LangError, match="no start command was found") as raised:
        built(root)

    assert "`run` in fleetpacks.toml" in raised.value.hint
    assert built(root, Settings(run_command="node out.js")).start_command == "node out.js"


def test_a_build_of_the_users_own_takes_the_place_of_nx(write: Write) -> None:
    app = built(monorepo(write), Settings(build_command="make api"))

    assert "make api" in app.dockerfile
    assert "nx run" not in app.dockerfile


def test_other_apps_are_not_there_unless_somebody_names_them(write: Write) -> None:
    other = {
        f"apps/{name}/project.json": json.dumps({"name": name, "projectType": "application"})
        for name in ("page", "page-e2e", "named", "depended", "asked")
    }
    more = {
        **other,
        "nx.json": '{"targetDefaults": {"build": {"dependsOn": ["named:codegen"]}}}',
        "libs/units/project.json": '{"name": "units", "implicitDependencies": ["depended"]}',
        "apps/broken/project.json": "{",
    }
    root = monorepo(write, project(implicitDependencies=["asked"], projectType="application"), **more)

    lines = (built(root).dockerignore or "").splitlines()

    assert [line for line in lines if line.startswith("apps/") and "/." not in line][:2] == [
        "apps/page",
        "apps/page-e2e",
    ]
    assert not {"apps/named", "apps/depended", "apps/asked", "apps/broken", "apps/api", "libs/units"} & set(lines)


@pytest.mark.parametrize(
    "more",
    [
        {"package.json": '{"name": "acme"}'},
        {"apps/api/package.json": '{"name": "@acme/api"}'},
    ],
)
def test_without_nx_or_with_a_manifest_of_its_own_it_is_no_such_app(write: Write, more: Mapping[str, str]) -> None:
    root = monorepo(write, **more)

    assert nxproject.of(AppFiles(root / "apps/api", within=root)) is None


@pytest.mark.parametrize(
    "path", ["../secret", "/etc", "dist/$(id)", "dist/a\nUSER root", ".", "{workspaceRoot}/../x", "dist/*"]
)
def test_a_place_that_cannot_stand_in_a_dockerfile_is_none(write: Write, path: str) -> None:
    root = monorepo(write, project({"options": {"outputPath": path}}))

    with pytest.raises(LangError, match="no start command"):
        built(root)


_KEYS = ("build", "configurations", "executor", "main", "name", "options", "outputPath", "outputs", "serve", "targets")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner),
    max_leaves=12,
)


@given(_JSON)
def test_whatever_a_project_says_it_is_one_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, said: object
) -> None:
    root = tmp_path_factory.mktemp("nx")
    (root / "apps/api").mkdir(parents=True)
    (root / "package.json").write_text('{"devDependencies": {"nx": "21"}}')
    (root / "nx.json").write_text("{}")
    (root / "apps/api/project.json").write_text(json.dumps(said))

    try:
        found = nxproject.of(AppFiles(root / "apps/api", within=root))
    except LangError:
        assert not isinstance(said, dict)
        return

    assert found is not None
    assert found.path == "apps/api"
    assert found.start is None or "\n" not in found.start
