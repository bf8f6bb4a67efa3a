"""What apps need of each other: declared, told by manifests and Compose files, checked."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import pytest

import langs
from orchestrator.config import load
from orchestrator.errors import ConfigError
from orchestrator.model import App
from orchestrator.workspace.discover import discover
from orchestrator.workspace.files import walk
from orchestrator.workspace.links import link

Plant = Callable[[Mapping[str, str]], Path]

_OWN = {"Dockerfile": "FROM base\n"}
_THREE = {f"{path}/Dockerfile": "FROM x\n" for path in ("services/api", "services/base", "web")}


def linked(
    root: Path, packages: Mapping[str, tuple[str, ...]] | None = None, variables: Mapping[str, str] | None = None
) -> dict[str, App]:
    """The apps by path; `packages` are what manifests would have told."""
    config = load(root, variables or {})
    found = discover(walk(root), config, partial(langs.detect, within=root))
    told = [
        msgspec.structs.replace(
            app, detection=msgspec.structs.replace(app.detection, packages=(packages or {}).get(app.path, ()))
        )
        for app in found
    ]
    return {app.path: app for app in link(config, told)}


def test_what_is_declared_is_an_app_by_name_or_path_or_else_a_directory(plant: Plant) -> None:
    root = plant(
        {
            **_THREE,
            "libs/shared/x.py": "",
            "fleetpacks.toml": '[apps.web]\ndepends_on = ["base", "./services/api", "libs/shared/", "web/static"]\n',
            "web/static/x.css": "",
        }
    )

    apps = linked(root)

    assert apps["web"].depends_on == ("base", "api")
    assert apps["web"].packages == ("libs/shared",)
    assert apps["services/api"].depends_on == ()


def test_an_apps_own_file_adds_to_what_the_roots_file_says(plant: Plant) -> None:
    root = plant(
        {
            **_THREE,
            "fleetpacks.toml": '[apps.web]\ndepends_on = ["base"]\n',
            "web/fleetpacks.toml": 'depends_on = ["api"]\n[contexts]\nbase = "app:services/base"\n',
        }
    )

    [web] = [app for app in linked(root).values() if app.path == "web"]

    assert web.depends_on == ("base", "api")
    assert web.contexts == {"base": "services/base"}


def test_what_manifests_tell_is_an_app_where_there_is_one(plant: Plant) -> None:
    root = plant({**_THREE, "libs/shared/x.py": ""})

    web = linked(root, {"web": ("libs/shared", "services/api", "web", "web/inner")})["web"]

    assert (web.depends_on, web.packages) == (("api",), ("libs/shared",))


@pytest.mark.parametrize(
    ("said", "complaint", "hint"),
    [
        ('depends_on = ["bas"]', "fleetpacks.toml:2: apps.web.depends_on[0]: 'bas' is neither an app nor", "'base'"),
        ('depends_on = ["base", "libs/none"]', "depends_on[1]: 'libs/none' is neither", "fleetpacks apps"),
        ('depends_on = ["../out"]', "'../out' is neither an app nor a directory of the source", "fleetpacks apps"),
        ('depends_on = ["/etc"]', "'/etc' is neither", "fleetpacks apps"),
        ('depends_on = ["web/Dockerfile"]', "is neither an app nor a directory", ""),
        ('depends_on = ["out"]', "'out' is neither", ""),
        ('depends_on = ["a\\u0000"]', "x00' is neither", ""),
        ('depends_on = [""]', "depends_on[0]: expected", ""),
        ('depends_on = ["web"]', "depends_on[0]: apps need each other: web -> web", "Take one"),
        ('contexts = { base = "app:bose" }', "fleetpacks.toml:2: apps.web.contexts.base: 'bose' is no app", "'base'"),
        ('contexts = { base = "app:libs" }', "'libs' is no app", ""),
        ('contexts = { base = "base" }', "expected the image of an app, got 'base'", "app:NAME"),
        ('contexts = { base = "app:" }', "expected the image of an app", "app:NAME"),
        ('contexts = { "Base" = "app:base" }', "expected what FROM can name", ""),
        ('contexts = { "a::b" = "app:base" }', "expected what FROM can name", ""),
        ('contexts = { base = "app:web" }', "contexts.base: apps need each other: web -> web", ""),
    ],
)
def test_what_does_not_exist_is_told_with_its_line(plant: Plant, said: str, complaint: str, hint: str) -> None:
    root = plant({**_THREE, "libs/x": "", "fleetpacks.toml": f"[apps.web]\n{said}\n"})
    (root / "out").symlink_to(root.parent)

    with pytest.raises(ConfigError) as caught:
        linked(root)

    assert complaint in caught.value.message
    assert hint in caught.value.hint


def test_apps_that_need_each_other_are_refused_with_the_circle(plant: Plant) -> None:
    root = plant(
        {
            **_THREE,
            "services/api/fleetpacks.toml": 'depends_on = ["web"]\n',
            "services/base/fleetpacks.toml": 'depends_on = ["services/api"]\n',
            "web/fleetpacks.toml": 'port = 80\n\ncontexts.base = "app:base"\n',
        }
    )

    with pytest.raises(ConfigError) as caught:
        linked(root)

    assert caught.value.message == (
        "services/api/fleetpacks.toml:1: depends_on[0]: apps need each other: api -> web -> base -> api"
    )


def test_a_circle_of_manifests_is_refused_too(plant: Plant) -> None:
    root = plant(_THREE)

    with pytest.raises(ConfigError, match="apps need each other: api -> web -> api") as caught:
        linked(root, {"web": ("services/api",), "services/api": ("web",)})

    assert "manifests" in caught.value.hint


@pytest.mark.parametrize("said", ['depends_on = ["web"]', 'contexts = { base = "app:base" }'])
def test_the_roots_file_speaks_of_the_root_alone(plant: Plant, said: str) -> None:
    root = plant({**_THREE, "fleetpacks.toml": f"{said}\n"})

    with pytest.raises(ConfigError, match=r"fleetpacks\.toml:1: \w+: here it speaks of the app at the root"):
        linked(root)


def test_apps_outside_of_the_one_part_that_is_looked_at_are_directories(plant: Plant) -> None:
    root = plant({**_THREE, "web/fleetpacks.toml": 'depends_on = ["services/base"]\n'})
    only_web = {"PROJECT_PATH": "web"}

    apps = linked(root, variables=only_web)
    (root / "web/fleetpacks.toml").write_text('depends_on = ["base"]\n')
    with pytest.raises(ConfigError) as caught:
        linked(root, variables=only_web)

    assert (apps["web"].depends_on, apps["web"].packages) == ((), ("services/base",))
    assert "$PROJECT_PATH" in caught.value.hint


def test_an_app_at_the_root_uses_what_is_below_anyway(plant: Plant) -> None:
    root = plant({**_OWN, "libs/x": "", "fleetpacks.toml": 'depends_on = ["libs"]\n'})

    assert linked(root)["."].packages == ()


def test_a_services_image_may_stand_on_another_services(plant: Plant) -> None:
    compose = """
services:
  web:
    build: { context: web, additional_contexts: { base: "service:base" } }
  base:
    build: base
  admin:
    build:
      context: admin
      additional_contexts: ["front=service:front", "tools=docker-image://registry.example/tools:1"]
  front:
    build: front
"""
    root = plant(
        {
            "deploy/compose.yaml": compose.replace("context: ", "context: ../")
            .replace("build: b", "build: ../b")
            .replace("build: f", "build: ../f"),
            "web/Dockerfile": "FROM base\n",
            "base/Dockerfile": "FROM x\n",
            "admin/Dockerfile": "FROM front\n",
            "front/package.json": '{"name": "x", "scripts": {"start": "node server.js"}}',
            "front/server.js": "require('http').createServer().listen(process.env.PORT)\n",
            "libs/x": "",
            "fleetpacks.toml": '[apps.deploy]\ndepends_on = ["libs"]\n',
        }
    )

    apps = linked(root)

    assert apps["deploy/compose.yaml#web"].contexts == {"base": "deploy/compose.yaml#base"}
    assert apps["deploy/compose.yaml#web"].packages == ("libs",)
    # What is built as an app of Node.js has no recipe of its own any more; its image is that app's.
    assert apps["deploy/compose.yaml#admin"].contexts == {"front": "front"}
    assert apps["deploy/compose.yaml#admin"].depends_on == ("front",)
