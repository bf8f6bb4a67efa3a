"""Deno: what is Deno's, versions, tasks, and a start that fetches nothing."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import denoconfig
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

SERVER = 'Deno.serve({ port: Number(Deno.env.get("PORT")) }, () => new Response("x"));\n'
NODE = '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "5"}}'


def config(**more: object) -> str:
    return json.dumps({"tasks": {"start": "deno run --allow-net main.ts"}, **more})


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        ({"deno.json": config()}, "deno", True),
        ({"deno.jsonc": "// c\n" + config()[:-1] + ",}"}, "deno", True),
        ({"deno.json": "{}", "main.ts": SERVER}, "deno", True),
        ({"deno.json": '{"exports": "./mod.ts"}', "mod.ts": "export const a = 1;\n"}, "deno", False),
        ({"deno.json": '{"fmt": {}, "lint": {}}', "package.json": NODE}, "nodejs", True),
        ({"deno.json": config(), "package.json": NODE}, "deno", True),
        ({"deno.lock": "{}", "server.ts": SERVER}, "deno", True),
        ({"package.json": NODE, "deno.lock": "{}"}, "nodejs", True),
        (
            {"package.json": NODE, "supabase/functions/deno.lock": "{}", "supabase/functions/deno.json": "{}"},
            "nodejs",
            True,
        ),
        ({"package.json": '{"scripts": {"start": "deno run -A main.ts"}}'}, "deno", True),
        ({"main.ts": SERVER}, "deno", True),
        ({"hello.ts": 'import { Hono } from "npm:hono@4";\nDeno.serve(new Hono().fetch);\n'}, "deno", True),
        (
            {"api.ts": 'import { serve } from "https://deno.land/std@0.200.0/http/server.ts";\nserve(() => x);\n'},
            "deno",
            True,
        ),
        ({"main.ts": 'import * as path from "jsr:@std/path";\n'}, "deno", False),
        ({"main.ts": "export default { fetch: () => new Response(Deno.version.deno) };\n"}, "deno", True),
        ({"deno.json": '{"workspace": ["./a"], "tasks": {"start": "x"}}'}, "deno", False),
    ],
)
def test_evidence_decides_between_deno_and_node_js(
    write: Write, files: Mapping[str, str], language: str, *, is_app: bool
) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == (language, is_app)


@pytest.mark.parametrize("files", [{"main.ts": "console.log(1);\n"}, {"a.ts": "import x from 'express';\n"}])
def test_typescript_that_is_not_denos_is_nothing(write: Write, files: Mapping[str, str]) -> None:
    assert langs.detect(write(files), Settings()) is None


@pytest.mark.parametrize(
    ("files", "value", "source"),
    [
        ({}, "2.6.1", "default"),
        # The app's own version, which is none of Deno's.
        ({"deno.json": config(version="1.0.0")}, "2.6.1", "default"),
        ({".deno-version": "2.1.4\n", ".dvmrc": "2.1.4"}, "2.1.4", ".deno-version"),
        ({".dvmrc": "v2.0.0"}, "2.0.0", ".dvmrc"),
        ({".tool-versions": "deno 2.1.0\n"}, "2.1.0", ".tool-versions"),
    ],
)
def test_the_first_statement_of_a_version_wins(write: Write, files: Mapping[str, str], value: str, source: str) -> None:
    built = langs.build(write({"deno.json": config(), **files}), Settings())

    assert built.version is not None
    assert (built.version.value, built.version.source) == (value, source)


def test_a_line_of_releases_becomes_a_release_because_denos_images_have_no_other_tags(write: Write) -> None:
    built = langs.build(write({"deno.json": config(), ".deno-version": "2.1"}), Settings())

    assert built.version is not None
    assert built.version.value.startswith("2.1.")


@pytest.mark.parametrize(
    ("tasks", "start"),
    [
        ({"start": "deno run -A main.ts"}, "deno run --cached-only -A main.ts"),
        (
            {"start": "deno run -A --watch=static/ dev.ts", "preview": "deno run -A main.ts"},
            "deno run --cached-only -A main.ts",
        ),
        ({"start": "deno run --watch -A main.ts"}, "deno run --cached-only -A main.ts"),
        ({"start": {"command": "deno serve -A main.ts"}}, "deno serve --cached-only --port $PORT -A main.ts"),
        ({"start": "deno serve --port 80 main.ts"}, "deno serve --cached-only --port 80 main.ts"),
        ({"start": "deno task serve", "serve": "A=1 deno -A main.ts"}, "A=1 deno run --cached-only -A main.ts"),
        (
            {"start": "deno run a.ts && deno run -A main.ts"},
            "deno run --cached-only a.ts && deno run --cached-only -A main.ts",
        ),
        ({"start": "deno run --cached-only main.ts -- --watch"}, "deno run --cached-only main.ts -- --watch"),
        ({"start": "./run.sh"}, "./run.sh"),
    ],
)
def test_a_task_is_started_without_a_task_runner_and_without_a_network(
    write: Write, tasks: Mapping[str, object], start: str
) -> None:
    assert langs.build(write({"deno.json": config(tasks=tasks)}), Settings()).start_command == start


@pytest.mark.parametrize(
    ("files", "settings", "plain"),
    [
        ({"deno.json": config(), "deno.lock": "{}"}, Settings(), True),
        ({"deno.json": config()}, Settings(), False),
        ({"deno.json": config(vendor=True), "deno.lock": "{}"}, Settings(), False),
        ({"deno.json": config(tasks={"build": "deno run b.ts"}), "deno.lock": "{}"}, Settings(), False),
        ({"deno.json": config(), "deno.lock": "{}"}, Settings(build_command="deno run b.ts"), False),
    ],
)
def test_sources_come_from_the_context_where_nothing_is_written_among_them(
    write: Write, files: Mapping[str, str], settings: Settings, *, plain: bool
) -> None:
    app = langs.build(write({**files, "main.ts": SERVER}), settings)
    last = app.dockerfile.partition(" AS runtime\n")[2]

    assert ("COPY --chown=1000:1000 . ." in last) is plain
    assert ("/app ./\n" in last) is not plain


def test_tasks_in_a_circle_are_an_error(write: Write) -> None:
    with pytest.raises(LangError, match="leads back to itself"):
        langs.build(write({"deno.json": config(tasks={"start": "deno task start"})}), Settings())


@pytest.mark.parametrize(("permissions", "option"), [({}, "-A"), ({"permissions": {"default": {"net": True}}}, "-P")])
def test_an_entry_is_started_with_the_permissions_of_its_configuration(
    write: Write, permissions: Mapping[str, object], option: str
) -> None:
    files = {"deno.json": config(tasks={}, **permissions), "main.ts": SERVER}

    assert langs.build(write(files), Settings()).start_command == f"deno run --cached-only {option} main.ts"


def test_what_an_installation_reads_is_copied_before_it(write: Write) -> None:
    files = {
        "deno.json": config(importMap="./maps/imports.json", lock={"path": "locks/deno.lock", "frozen": True}),
        "maps/imports.json": '{"imports": {"a": "npm:a@1"}}',
        "locks/deno.lock": '{"version": "5", "specifiers": {"npm:a@1": "1.0.0"}}',
        "main.ts": SERVER,
    }

    built = langs.build(write(files), Settings())

    before = built.dockerfile[: built.dockerfile.index("deno install --frozen --node-modules-dir=auto")]
    assert [line for line in before.splitlines() if line.startswith("COPY")] == [
        "COPY deno.json ./",
        "COPY locks/deno.lock ./locks/",
        "COPY maps/imports.json ./maps/",
    ]
    assert built.start_command == "deno run --cached-only --node-modules-dir=manual --allow-net main.ts"


@pytest.mark.parametrize("more", [{"importMap": "../map.json"}, {"lock": "/etc/deno.lock"}])
def test_what_lies_outside_of_the_app_is_refused(write: Write, more: Mapping[str, object]) -> None:
    with pytest.raises(LangError, match="outside") as caught:
        langs.build(write({"deno.json": config(**more)}), Settings())

    assert caught.value.file == "deno.json"


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["tasks", "imports", "importMap", "lock", "nodeModulesDir", "start", "command"])
                | st.text(),
                inner,
            )
        ),
    ).map(json.dumps)
)
def test_any_deno_json_is_understood_or_an_error(text: str) -> None:
    try:
        found = denoconfig.parse(text, "deno.json")
    except LangError:
        return

    assert all(isinstance(task, str) for task in found.tasks.values())


@given(st.text("deno runserve task-AWwatch=. m.ts&;|'\"$\n"))
def test_any_command_stays_one_line_or_is_left_alone(command: str) -> None:
    changed = denoconfig.offline(command, modules="manual")

    assert changed.count("\n") <= command.count("\n")


def workspace(write: Write, more: Mapping[str, str] = {}) -> Path:
    return write(
        {
            "deno.json": json.dumps({"workspace": ["./apps/*", "./packages/*"], "imports": {"hono": "npm:hono@4"}}),
            "deno.lock": '{"version": "5"}',
            "apps/api/deno.json": config(name="@a/api"),
            "apps/api/main.ts": f'import {{ a }} from "@a/ui/forms";\n{SERVER}',
            "apps/web/deno.json": config(name="@a/web"),
            "apps/web/main.ts": SERVER,
            "packages/ui/deno.json": '{"name": "@a/ui", "exports": "./mod.ts"}',
            "packages/ui/mod.ts": 'export * from "../words/mod.ts";\n',
            "packages/words/deno.jsonc": '{"name": "@a/words"}',
            "packages/words/mod.ts": "export const a = 1;\n",
            "packages/unused/deno.json": '{"name": "@a/unused"}',
            **more,
        }
    )


def test_a_member_of_a_workspace_is_built_from_its_root_with_what_it_imports(write: Write) -> None:
    root = workspace(write)

    detection = langs.detect(root / "apps/api", Settings(), within=root)
    app = langs.build(root / "apps/api", Settings(), within=root)

    assert detection is not None
    assert (detection.is_app, detection.packages) == (True, ("packages/ui", "packages/words"))
    assert app.context == "../.."
    assert {line[1:] for line in (app.dockerignore or "").splitlines() if line.startswith("!")} == {
        *("apps/api", "packages/ui", "packages/words", "deno.json", "deno.lock"),
        *(f"{path}/deno.json" for path in ("apps/api", "apps/web", "packages/ui", "packages/unused")),
        "packages/words/deno.jsonc",
    }
    assert "deno install --frozen --node-modules-dir=auto" in app.dockerfile
    assert "WORKDIR /app/apps/api\n# Deno's notes" in app.dockerfile
    assert app.dockerfile.index("WORKDIR /app/apps/api\nENV PORT") > app.dockerfile.index("AS runtime")
    assert app.warnings == ()


def test_members_of_one_workspace_of_deno_have_their_installation_in_common(write: Write) -> None:
    root = workspace(write)

    api, web = (
        langs.build(root / path, Settings(), within=root).dockerfile.partition("AS builder")[0]
        for path in ("apps/api", "apps/web")
    )

    assert api == web


@pytest.mark.parametrize(
    ("imported", "needed"),
    [
        ("@a/words", True),
        ("jsr:@a/words@^1.0.0", True),
        ("jsr:@a/words/more", True),
        ("../../packages/words/mod.ts", True),
        ("./words.ts", False),
        ("npm:words", False),
        ("@b/words", False),
        ("@a/wordsmith", False),
        ("../../../elsewhere/mod.ts", False),
    ],
)
def test_what_a_source_imports_decides_which_members_come_with_it(write: Write, imported: str, *, needed: bool) -> None:
    root = workspace(write, {"apps/api/main.ts": f'import {{ a }} from "{imported}";\n{SERVER}'})

    detection = langs.detect(root / "apps/api", Settings(), within=root)

    assert detection is not None
    assert (detection.packages == ("packages/words",)) == needed


@pytest.mark.parametrize(
    ("said", "member"),
    [
        ({"workspace": {"members": ["apps/api"]}}, True),
        ({"workspace": ["./apps/*"]}, True),
        ({"workspace": ["packages/*"]}, False),
        ({"workspace": 3}, False),
        ({"tasks": {}}, False),
    ],
)
def test_who_is_a_member_of_a_workspace_of_deno_is_said_by_its_root(
    write: Write, said: object, *, member: bool
) -> None:
    root = workspace(write, {"deno.json": json.dumps(said)})

    app = langs.build(root / "apps/api", Settings(), within=root)

    assert (app.context == "../..") == member
