"""Each documented variable of migetpacks has an effect: the table of docs/dropin.md, by what comes of each here.

What comes of it in the end is shown elsewhere: by Dockerfiles in tests/langs, by builds in tests/e2e.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from langs.facts import NAMES, TOOL_VARIABLES, VERSION_VARIABLES
from langs.model import Settings
from orchestrator import app as application
from orchestrator.app.logins import given
from orchestrator.config import Config, Flags, environment, load
from orchestrator.plan.planner import Request
from orchestrator.registry.credentials import Credential
from tests.docs.test_lists import listed, text_of

_Look = Callable[[Config], object]


def settings(config: Config) -> Settings:
    return config.settings_for(".", sole=True)


_LOGIN = {"DHI_USERNAME": "robot", "DHI_PASSWORD": "hunter2"}
_HARDENED: _Look = given

TABLE: dict[str, tuple[str, _Look, object]] = {
    "OUTPUT_IMAGE": ("r.example/a:1", lambda config: config.image and config.image.template, "r.example/a:1"),
    "LANGUAGE": ("go", lambda config: settings(config).language, "go"),
    "RUN_COMMAND": ("./serve", lambda config: settings(config).run_command, "./serve"),
    "BUILD_COMMAND": ("make", lambda config: settings(config).build_command, "make"),
    "PORT": ("8080", lambda config: settings(config).port, 8080),
    "ARCH": ("arm64", lambda config: config.environment.platform, "linux/arm64"),
    "PROJECT_PATH": ("services/api", lambda config: config.project_path, "services/api"),
    "BUILDPACKS": ("ruby,nodejs", lambda config: settings(config).buildpacks, ("ruby", "nodejs")),
    "DOCKERFILE_PATH": ("docker/Dockerfile", lambda config: settings(config).dockerfile, "docker/Dockerfile"),
    "COMPOSE_FILE": ("ci/compose.yaml", lambda config: settings(config).compose_file, "ci/compose.yaml"),
    "TAG_LATEST": ("true", lambda config: config.tag_latest, True),
    "RESULT_FILE": ("/out/result.json", lambda config: config.result_file, Path("/out/result.json")),
    "CUSTOM_DATA": ('{"a": 1}', lambda config: config.environment.custom_data, {"a": 1}),
    "CACHE_IMAGE": ("r.example/a:cache", lambda config: config.cache.image, "r.example/a:cache"),
    "CACHE_MODE": ("max", lambda config: config.cache.mode, "max"),
    "CACHE_FROM": (
        "r.example/a:b, r.example/a:c",
        lambda config: config.cache.sources,
        ("r.example/a:b", "r.example/a:c"),
    ),
    "CACHE_REGISTRY_INSECURE": ("true", lambda config: config.cache.insecure, True),
    "NO_CACHE": ("true", lambda config: config.no_cache, True),
    "CACHE_KEY": ("shop", lambda config: settings(config).cache_key, "shop"),
    "BUILD_CACHE_DIR": ("/cache", lambda config: config.cache.mounts.directory, Path("/cache")),
    "REGISTRY_MIRROR": ("https://r.example/hub", lambda config: config.environment.registry_mirror, "r.example/hub"),
    "STORAGE_DRIVER": ("fuse-overlayfs", lambda config: config.isolated.storage, "fuse-overlayfs"),
    "BUILDKIT_CACHE_SIZE": ("5GB", lambda config: config.isolated.size, 5_000_000_000),
    "USE_DHI": ("true", lambda config: settings(config).hardened, True),
    "DHI_USERNAME": ("robot", _HARDENED, {"dhi.io": Credential(username="robot", password="hunter2")}),
    "DHI_PASSWORD": ("hunter2", _HARDENED, {"dhi.io": Credential(username="robot", password="hunter2")}),
    "DHI_MIRROR": ("r.example/dhi", lambda config: config.environment.dhi_mirror, "r.example/dhi"),
    "BUILD_VARS": ('{"BUILD_VAR_A": "x"}', lambda config: settings(config).arguments, {"A": "x"}),
    "CI_IMAGE_BUILD_EXTRA_ARGS": ("--no-cache", lambda config: config.no_cache, True),
    "CONTAINER_NAME": ("api", lambda config: config.cache.local.name, "api"),
}
"""Variable -> a value, where it is looked for, and what is to be found there."""


@pytest.mark.parametrize("name", TABLE)
def test_a_variable_has_its_effect_and_none_when_it_is_empty(tmp_path: Path, name: str) -> None:
    value, look, expected = TABLE[name]
    login = {other: said for other, said in _LOGIN.items() if name in _LOGIN and other != name}

    assert look(load(tmp_path, {**login, name: value})) == expected
    assert look(load(tmp_path, {**login, name: ""})) != expected


def test_the_source_is_where_it_is_said_to_be() -> None:
    assert environment.source(None, {"SOURCE_DIR": "/workspace/other"}) == Path("/workspace/other")


@pytest.mark.parametrize("name", VERSION_VARIABLES)
def test_a_version_comes_before_what_the_app_says(tmp_path: Path, name: str) -> None:
    language = VERSION_VARIABLES[name]
    if language in NAMES:
        (tmp_path / "fleetpacks.toml").write_text(f'versions.{language} = "1.0"\n')

    found = load(tmp_path, {name: "2.0"}).settings_for(".").versions[language]

    assert (found.value, found.source) == ("2.0", f"${name}")


@pytest.mark.parametrize("name", TOOL_VARIABLES)
def test_a_variable_of_one_languages_tools_is_told_to_them(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {name: "x y"}).settings_for(".").variables == {name: "x y"}


async def test_the_architecture_is_the_platform_of_every_app_that_names_none(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    variables = {"HOME": str(tmp_path / "home"), "ARCH": "aarch64"}

    plan = await application.make_plan(load(tmp_path, variables), Request())
    usual = await application.make_plan(load(tmp_path, {**variables, "ARCH": ""}), Request())

    assert [app.build.platforms for app in (*plan.apps, *usual.apps)] == [("linux/arm64",), ()]


async def test_a_services_own_platform_comes_before_the_architecture(tmp_path: Path) -> None:
    service = {"build": {"context": ".", "platforms": ["linux/amd64"]}}
    (tmp_path / "compose.yaml").write_bytes(msgspec.yaml.encode({"services": {"api": service}}))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    config = load(tmp_path, {"HOME": str(tmp_path / "home"), "ARCH": "arm64"}, Flags())
    plan = await application.make_plan(config, Request())

    assert ("linux/amd64",) in [app.build.platforms for app in plan.apps]


@pytest.mark.parametrize(
    ("flags", "expected"), [((), ["linux/386", "linux/arm64"]), (("linux/s390x",), ["linux/s390x", "linux/s390x"])]
)
async def test_a_services_own_platform_stays_unless_the_command_line_names_another(
    tmp_path: Path, flags: tuple[str, ...], expected: list[str]
) -> None:
    services = {"own": {"build": {"context": ".", "platforms": ["linux/386"]}}, "usual": {"build": "."}}
    (tmp_path / "compose.yaml").write_bytes(msgspec.yaml.encode({"services": services}))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "fleetpacks.toml").write_text('language = "compose"\nplatforms = ["linux/arm64"]\n')

    config = load(tmp_path, {"HOME": str(tmp_path / "home")}, Flags(platforms=flags))
    plan = await application.make_plan(config, Request())

    assert [app.build.platforms for app in plan.apps] == [(each,) for each in expected]


def documented(names: Mapping[str, object]) -> set[str]:
    return {*names, "SOURCE_DIR", *VERSION_VARIABLES, *TOOL_VARIABLES}


def test_the_document_lists_all_of_them_and_no_other() -> None:
    assert set(listed(text_of("docs/dropin.md").partition("## The variables")[2])) == documented(TABLE)
