"""A member of a workspace, built alone and unlocked, would get strangers' packages under its neighbours' names."""

from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

APP = '{"name": "web", "dependencies": {"ui": "*"}, "scripts": {"start": "node server.js"}}'


def monorepo(write: Write, above: dict[str, str], **more: str) -> Path:
    app = {"apps/web/package.json": APP, "apps/web/server.js": "require('http').createServer().listen(5000)", **more}
    return write({**app, **above})


@pytest.mark.parametrize(
    "above",
    [
        {"package.json": '{"workspaces": ["apps/*"]}'},
        {"package.json": '{"workspaces": {"packages": ["./apps/**"]}}'},
        {"package.json": '{"workspaces": ["apps/web"]}', "package-lock.json": "{}"},
        {"apps/package.json": '{"workspaces": ["*"]}'},
        {"pnpm-workspace.yaml": "packages: [apps/*]"},
    ],
)
def test_a_member_without_a_lockfile_is_refused(write: Write, above: dict[str, str]) -> None:
    root = monorepo(write, above)

    with pytest.raises(LangError, match="member of the workspace") as refused:
        langs.build(root / "apps/web", Settings(), within=root)

    assert "package-lock.json" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("above", "more"),
    [
        ({"package.json": '{"workspaces": ["packages/*"]}'}, {}),
        ({"package.json": '{"workspaces": ["apps/*", "!apps/web"]}'}, {}),
        ({"package.json": '{"name": "tools"}'}, {}),
        ({"package.json": '{"workspaces": ["apps/*"]}'}, {"apps/web/package-lock.json": "{}"}),
    ],
)
def test_whoever_is_no_member_or_is_locked_is_built(write: Write, above: dict[str, str], more: dict[str, str]) -> None:
    root = monorepo(write, above, **more)

    built = langs.build(root / "apps/web", Settings(), within=root)

    assert built.package_manager == "npm"


def test_what_lies_above_the_monorepo_is_not_looked_at(write: Write) -> None:
    root = monorepo(write, {"package.json": '{"workspaces": ["apps/*"]}'})

    built = langs.build(root / "apps/web", Settings(), within=root / "apps")

    assert built.package_manager == "npm"
