"""What the builds of JavaScript's frameworks leave to be run, and how it is started and told."""

import json
from collections.abc import Mapping

import pytest

import langs
from langs import frameworks
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.conftest import Write

NEXT = {"build": "next build", "start": "next start"}
NUXT = {"build": "nuxt build"}
STANDALONE = "export default { output: 'standalone' }\n"
LOCK = '{"lockfileVersion": 3}'


def app(scripts: Mapping[str, str], package: str, **files: str) -> Mapping[str, str]:
    said = json.dumps({"scripts": scripts, "dependencies": {package: "1"}, "devDependencies": {"typescript": "5"}})
    return {"package.json": said, "package-lock.json": LOCK, **files}


def standalone(scripts: Mapping[str, str] = NEXT, **files: str) -> Mapping[str, str]:
    return {**app(scripts, "next", **files), "next.config.ts": STANDALONE}


def last_stage(built: AppBuild) -> list[tuple[str, str]]:
    instructions = splitter.split(built.dockerfile)
    return list(instructions[max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM") :])


@pytest.mark.parametrize(
    ("files", "start"),
    [
        pytest.param(standalone(), "node server.js", id="Next.js, as it starts"),
        pytest.param(standalone({**NEXT, "start": "next start -p 3000"}), "node server.js", id="a port"),
        pytest.param(standalone({**NEXT, "start": "next start --port=$PORT"}), "node server.js", id="the port"),
        pytest.param(standalone({"build": "next build"}), "node server.js", id="no script"),
        pytest.param(standalone({**NEXT, "start": "next dev"}), "node server.js", id="a script for developers"),
        pytest.param(
            standalone({**NEXT, "start": "NODE_ENV=production HOSTNAME=:: node ./.next/standalone/server.js"}),
            "node server.js",
            id="its server",
        ),
        pytest.param(app(NUXT, "nuxt"), "node .output/server/index.mjs", id="Nuxt"),
        pytest.param(app({**NUXT, "start": "nuxt preview"}, "nuxt"), "node .output/server/index.mjs", id="a preview"),
        pytest.param(
            app({"build": "vinxi build", "start": "vinxi start"}, "vinxi"), "node .output/server/index.mjs", id="Vinxi"
        ),
    ],
)
def test_an_image_has_only_what_the_build_put_together(write: Write, files: Mapping[str, str], start: str) -> None:
    built = langs.build(write(files), Settings())

    copied = [rest.split() for keyword, rest in last_stage(built) if keyword == "COPY"]
    assert built.start_command == start
    assert [words[-2:] for words in copied] == [["/output/modules", "./"], ["/output/app", "./"]]
    assert "AS modules" not in built.dockerfile
    assert built.warnings == ()


@pytest.mark.parametrize(
    ("files", "start"),
    [
        pytest.param(app(NEXT, "next"), "next start", id="nobody said standalone"),
        pytest.param(standalone({**NEXT, "start": "node server.js"}), "node server.js", id="a server of the app's own"),
        pytest.param(standalone({**NEXT, "start": "next start --experimental-x"}), None, id="an unknown option"),
        pytest.param(standalone({**NEXT, "start": "next start -p"}), None, id="an option without a value"),
        pytest.param(standalone({**NEXT, "start": "prisma migrate deploy && next start"}), None, id="two programs"),
        pytest.param(standalone({**NEXT, "start": "NODE_OPTIONS=--inspect next start"}), None, id="more variables"),
        pytest.param(standalone(Procfile="worker: node worker.js\n"), "next start", id="another process"),
        pytest.param(
            app({**NUXT, "start": "node --import ./trace.mjs .output/server/index.mjs"}, "nuxt"),
            "node --import ./trace.mjs .output/server/index.mjs",
            id="a file of the app",
        ),
        pytest.param(app({"build": "vite build"}, "@sveltejs/adapter-node"), "node build", id="no output"),
    ],
)
def test_whoever_starts_more_gets_the_whole_app(write: Write, files: Mapping[str, str], start: str | None) -> None:
    built = langs.build(write(files), Settings())

    copied = [rest.split() for keyword, rest in last_stage(built) if keyword == "COPY"]
    assert built.start_command == (start or json.loads(files["package.json"])["scripts"]["start"])
    assert [words[-2:] for words in copied] == [["/app/node_modules", "./node_modules"], ["/app", "./"]]
    assert "/output" not in built.dockerfile


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(standalone(), "HOSTNAME=0.0.0.0", id="Next.js"),
        pytest.param(app({"build": "astro build"}, "@astrojs/node"), "HOST=0.0.0.0", id="Astro"),
        pytest.param(
            app({"build": "astro build", "start": "node ./dist/server/entry.mjs"}, "@astrojs/node"),
            "HOST=0.0.0.0",
            id="Astro, started by a script",
        ),
        pytest.param({**app({"build": "astro build"}, "@astrojs/node"), "bun.lock": ""}, "HOST=0.0.0.0", id="Bun"),
    ],
)
def test_a_server_is_told_to_listen_everywhere_and_the_configuration_says_otherwise(
    write: Write, files: Mapping[str, str], told: str
) -> None:
    files = {name: text for name, text in files.items() if name != "package-lock.json" or "bun.lock" not in files}
    root, (name, _, _) = write(files), told.partition("=")

    usual = last_stage(langs.build(root, Settings()))
    other = last_stage(langs.build(root, Settings(env={name: "::1"})))

    said = [rest for keyword, rest in usual if keyword == "ENV"]
    assert [rest.split()[-1] for rest in said if name in rest] == [told]
    assert [rest for keyword, rest in other if keyword == "ENV" and name in rest][-1] == f'{name}="::1"'


def test_an_output_needs_no_shell_to_start(write: Write) -> None:
    built = langs.build(write(standalone()), Settings(hardened=True))

    assert splitter.cmd(built.dockerfile) == ["node", "server.js"]


def test_an_app_of_a_workspace_keeps_its_place_in_it(write: Write) -> None:
    files = {
        "package.json": '{"workspaces": ["apps/*"]}',
        "package-lock.json": LOCK,
        "apps/web/package.json": standalone()["package.json"],
        "apps/web/next.config.ts": STANDALONE,
        "apps/docs/package.json": '{"name": "docs"}',
    }
    root = write(files)

    built = langs.build(root / "apps/web", Settings(), within=root)

    last = last_stage(built)
    assert [rest for keyword, rest in last if keyword == "WORKDIR"] == ["/app", "/app/apps/web"]
    assert "if [ -f .next/standalone/apps/web/server.js ]; then" in built.dockerfile
    assert "[ -f /output/app/apps/web/server.js ]" in built.dockerfile
    assert built.start_command == "node server.js"


def test_what_only_the_next_build_reads_stays_behind(write: Write) -> None:
    built = langs.build(write(app(NEXT, "next")), Settings())

    steps = [rest for keyword, rest in splitter.split(built.dockerfile) if keyword == "RUN"]
    assert steps[-2:] == ["rm -rf .next/cache", "rm -rf node_modules"]


@pytest.mark.parametrize("script", ["nuxt prepare", "svelte-kit sync || echo ''"])
def test_types_for_an_editor_are_no_reason_to_install_after_the_sources(write: Write, script: str) -> None:
    built = langs.build(write(app({**NUXT, "postinstall": script}, "nuxt")), Settings())

    assert "COPY package.json package-lock.json ./" in built.dockerfile
    assert built.warnings == ()


@pytest.mark.parametrize("each", frameworks.FRAMEWORKS, ids=lambda each: each.package)
def test_a_framework_with_an_output_starts_it_by_words_that_need_no_shell(each: frameworks.Framework) -> None:
    assert "=" not in each.start
    if each.output is not None:
        assert each.output.entry == each.output.start.partition(" ")[2]
        assert each.output.parts
