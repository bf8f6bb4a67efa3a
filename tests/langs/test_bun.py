"""Bun: what is Bun's and what is Node.js's, versions, and the two installations."""

import json
from collections.abc import Mapping

import pytest

import langs
from langs.model import Settings
from tests.langs.conftest import Write

SERVER = "Bun.serve({ port: process.env.PORT, fetch: () => new Response('x') });\n"


def package(**more: object) -> str:
    return json.dumps({"scripts": {"start": "bun index.ts"}, "dependencies": {"hono": "4"}, **more})


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        ({"package.json": package(), "bun.lock": ""}, "bun", True),
        ({"package.json": package(scripts={"start": "next start"}), "bun.lockb": ""}, "bun", True),
        ({"package.json": package(scripts={"start": "x"}, packageManager="bun@1.3.4")}, "bun", True),
        ({"package.json": package(scripts={"start": "x"}), "bunfig.toml": ""}, "bun", True),
        ({"package.json": package(scripts={"start": "x"}), ".bun-version": "1.3.4"}, "bun", True),
        ({"package.json": package(scripts={"start": "x"}, engines={"bun": "1"})}, "bun", True),
        ({"package.json": package(scripts={}, module="index.ts"), "index.ts": SERVER}, "bun", True),
        ({"package.json": '{"devDependencies": {"@types/bun": "1"}}', "index.ts": SERVER}, "bun", True),
        ({"package.json": '{"devDependencies": {"@types/bun": "1"}}', "index.ts": "console.log(1)"}, "bun", False),
        ({"index.ts": SERVER}, "bun", True),
        (
            {"package.json": package(scripts={"start": "node x"}), ".bun-version": "1", "pnpm-lock.yaml": ""},
            "nodejs",
            True,
        ),
        (
            {"package.json": package(scripts={"start": "node x"}), "bun.lockb": "", "package-lock.json": "{}"},
            "nodejs",
            True,
        ),
        (
            {"package.json": package(scripts={"start": "x"}, packageManager="pnpm@9.0.0"), "bun.lock": ""},
            "nodejs",
            True,
        ),
        ({"package.json": package(scripts={"start": "x"})}, "nodejs", True),
        ({"package.json": package(workspaces=["a"]), "bun.lock": ""}, "bun", False),
    ],
)
def test_evidence_decides_between_bun_and_node_js(
    write: Write, files: Mapping[str, str], language: str, *, is_app: bool
) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == (language, is_app)


@pytest.mark.parametrize(
    ("files", "more", "value", "source"),
    [
        ({}, {}, "1.3.4", "default"),
        ({".bun-version": "1.2.3\n"}, {"packageManager": "bun@1.1.0"}, "1.2.3", ".bun-version"),
        ({".bun-version": "bun-v1.2.3"}, {}, "1.2.3", ".bun-version"),
        ({}, {"packageManager": "bun@1.1.0+abc"}, "1.1.0", "package.json packageManager"),
        ({}, {"packageManager": "bun@1.1.0", "engines": {"bun": "1.2"}}, "1.1.0", "package.json packageManager"),
        ({}, {"engines": {"bun": "1.2"}}, "1.2", "package.json engines.bun"),
        ({"bunfig.toml": 'version = "1.2.5"\n'}, {}, "1.2.5", "bunfig.toml"),
        ({".tool-versions": "bun 1.2.2\n"}, {}, "1.2.2", ".tool-versions"),
    ],
)
def test_the_first_statement_of_a_version_wins(
    write: Write, files: Mapping[str, str], more: Mapping[str, object], value: str, source: str
) -> None:
    built = langs.build(write({"package.json": package(**more), "bun.lock": "", **files}), Settings())

    assert built.version is not None
    assert (built.version.value, built.version.source) == (value, source)
    assert f"FROM oven/bun:{value}-slim AS runtime" in built.dockerfile


def test_the_runtime_image_gets_an_installation_of_its_own(write: Write) -> None:
    files = {"package.json": package(devDependencies={"typescript": "5"}), "bun.lock": "", "bunfig.toml": ""}

    text = langs.build(write(files), Settings()).dockerfile

    assert "COPY package.json bun.lock bunfig.toml ./\n" in text
    assert text.index("bun install --frozen-lockfile && ") < text.index("bun install --frozen-lockfile --production")
    assert "COPY --from=modules --chown=1000:1000 /app/node_modules ./node_modules\n" in text


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"scripts": {"start": "bun a.ts", "postinstall": "patch-package"}}, "postinstall"),
        ({"scripts": {"start": "bun a.ts", "prepare": "bun scripts/setup.ts"}}, "prepare"),
        ({"scripts": {"start": "tool serve"}, "devDependencies": {"tool": "1"}}, "tool"),
        ({"dependencies": {"@prisma/client": "6"}}, "node_modules"),
    ],
)
def test_development_dependencies_stay_where_something_needs_them(
    write: Write, more: Mapping[str, object], kept: str
) -> None:
    files = {"package.json": package(**{"devDependencies": {"typescript": "5"}, **more}), "bun.lock": ""}

    built = langs.build(write(files), Settings())

    assert "--production" not in built.dockerfile
    assert any("devDependencies stay" in warning and kept in warning for warning in built.warnings)


def test_git_hooks_are_left_out_of_the_second_installation(write: Write) -> None:
    scripts = {"start": "bun a.ts", "prepare": "husky"}
    files = {"package.json": package(scripts=scripts, devDependencies={"husky": "9"}), "bun.lock": ""}

    text = langs.build(write(files), Settings()).dockerfile

    assert "COPY . ." not in text[: text.index("--production")]
    assert '[\\"prepare\\"]' in text


def test_a_member_of_a_workspace_is_installed_with_all_manifests_and_runs_with_what_it_needs(write: Write) -> None:
    root = write(
        {
            "package.json": '{"workspaces": ["apps/*", "packages/*"]}',
            "bun.lock": "{}",
            "apps/web/package.json": '{"name": "web", "scripts": {"start": "bun a.js"}, "dependencies": {"ui": "*"}}',
            "apps/api/package.json": '{"name": "api", "scripts": {"start": "bun a.js", "postinstall": "./setup"}}',
            "packages/ui/package.json": '{"name": "ui", "scripts": {"build": "tsc"}}',
        }
    )

    detection = langs.detect(root / "apps/web", Settings(), within=root)
    web, api = (langs.build(root / path, Settings(), within=root) for path in ("apps/web", "apps/api"))

    assert detection is not None
    assert (detection.language, detection.packages) == ("bun", ("packages/ui",))
    assert web.context == "../.."
    assert "!apps/api/package.json" in (web.dockerignore or "")
    # What another member runs at installation would miss its sources.
    assert "bun install --frozen-lockfile --filter ./apps/web --filter ./packages/ui &&" in web.dockerfile
    assert "bun install --frozen-lockfile --production --filter ./apps/web --filter ./packages/ui" in web.dockerfile
    assert "bun install --frozen-lockfile &&" in api.dockerfile
