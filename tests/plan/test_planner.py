"""Plans: push or not, secrets, reasons, errors of several apps."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from langs.errors import LangError
from langs.model import AppBuild, Detection, Settings, Version
from orchestrator.config import Config, Flags, load
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import App
from orchestrator.plan import planner
from orchestrator.plan.naming import Facts
from tests.planned import build_of

_FACTS = Facts(root_name="shop")
_REASONS = defaultdict[str, str](lambda: "requested")


def _build(
    root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
) -> AppBuild:
    version = Version(value="1.25.0", source="default")
    return build_of(version=version, package_manager="go", start_command="/app/x", port=settings.port)


def _own(root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None) -> AppBuild:
    built = _build(root, settings, within=within, detection=detection)
    return msgspec.structs.replace(built, dockerfile_path="Dockerfile")


def _config(tmp_path: Path, variables: Mapping[str, str] | None = None, flags: Flags | None = None) -> Config:
    return load(tmp_path, variables or {}, flags)


_CI = {"GITLAB_CI": "true", "CI_REGISTRY_IMAGE": "registry.example/shop"}


@pytest.mark.parametrize(
    ("variables", "flag", "push", "result"),
    [
        ({}, None, None, False),
        ({}, "r.example/x", None, True),
        ({"OUTPUT_IMAGE": "r.example/x"}, None, None, True),
        ({"OUTPUT_IMAGE": "r.example/x"}, None, False, False),
        (_CI, None, None, False),
        (_CI, None, True, True),
        ({}, None, False, False),
    ],
)
def test_images_are_pushed_when_somebody_gave_their_name(
    tmp_path: Path, variables: dict[str, str], flag: str | None, *, push: bool | None, result: bool
) -> None:
    config = _config(tmp_path, variables, Flags(image=flag))

    assert planner.decide_push(config, planner.Request(push=push)) is result


def test_a_derived_local_name_cannot_be_pushed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        planner.decide_push(_config(tmp_path), planner.Request(push=True))

    assert "--image" in caught.value.hint


def test_names_depend_on_what_was_discovered_never_on_what_is_selected(
    tmp_path: Path, make_app: Callable[..., App]
) -> None:
    apps = (make_app("a"), make_app("b"))
    config = _config(tmp_path, flags=Flags(image="r.example/x"))

    plan = planner.make(
        config, apps, apps[:1], planner.Request(named=("a",)), build=_build, facts=_FACTS, reasons=_REASONS
    )

    assert [(app.repository, app.tags, app.reason) for app in plan.apps] == [
        ("r.example/x/a", ("latest",), "requested")
    ]
    assert plan.push


def test_a_secret_without_a_source_names_the_operators_file(tmp_path: Path, make_app: Callable[..., App]) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text('[secrets]\nNPM_TOKEN = { env = "X" }\n')
    (tmp_path / "source").mkdir()
    config = load(tmp_path / "source", {"FLEETPACKS_CONFIG": str(operator)})
    apps = (make_app("a", secrets=("NPM_TOKEN", "PIP_TOKEN")),)

    planned = planner.make(config, apps, apps, planner.Request(), build=_build, facts=_FACTS, reasons=_REASONS)
    with pytest.raises(ConfigError) as caught:
        planner.make(
            config, apps, apps, planner.Request(secrets_needed=True), build=_build, facts=_FACTS, reasons=_REASONS
        )

    assert len(planned.apps) == 1
    assert caught.value.message.startswith(f"{operator}: secrets.PIP_TOKEN: 'a' declares this secret")
    assert 'PIP_TOKEN = { env = "PIP_TOKEN" }' in caught.value.hint


def test_what_is_wrong_with_several_apps_is_told_at_once(tmp_path: Path, make_app: Callable[..., App]) -> None:
    def build(
        root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
    ) -> AppBuild:
        if root.name == "b":
            return _build(root, settings, within=within, detection=detection)
        raise LangError("is broken", file="go.mod", line=3, hint="Mend it.")

    apps = (make_app("x/a"), make_app("b"), make_app("c"))

    with pytest.raises(ConfigError) as caught:
        planner.make(_config(tmp_path), apps, apps, planner.Request(), build=build, facts=_FACTS, reasons=_REASONS)

    assert caught.value.message.splitlines() == ["2 problems", "x/a/go.mod:3: is broken", "c/go.mod:3: is broken"]
    first, second = caught.value.hint.splitlines()
    assert first == "Mend it."
    assert '`ignore = ["/x/a/", "/c/"]` at the top of the root\'s fleetpacks.toml' in second
    assert "name the paths" in second


def test_variables_that_speak_of_one_app_refuse_several(tmp_path: Path, make_app: Callable[..., App]) -> None:
    config = _config(tmp_path, {"RUN_COMMAND": "x", "LANGUAGE": "go", "PORT": "80"})
    apps = (make_app("a"), make_app("b"))

    with pytest.raises(UsageError) as caught:
        planner.sole(config, apps)

    assert caught.value.message == "$LANGUAGE, $RUN_COMMAND: can only speak of one app, and 2 are selected: a, b"
    assert planner.sole(config, apps[:1]) == apps[0]
    assert planner.sole(_config(tmp_path, {"PORT": "80"}), apps) is None


@pytest.mark.parametrize(
    ("offered", "variables", "message"),
    [
        ("", {}, "ssh.default: 'a' declares this SSH agent, and the operator does not offer it"),
        ("[ssh.default]\n", {}, "ssh.default: it has no socket, and $SSH_AUTH_SOCK is not set"),
        ("[ssh.default]\n", {"SSH_AUTH_SOCK": "/agent"}, None),
        ("[ssh.default]\nsocket = '/other'\n", {}, None),
    ],
)
def test_an_agent_must_be_declared_by_both_sides(
    tmp_path: Path, make_app: Callable[..., App], offered: str, variables: dict[str, str], message: str | None
) -> None:
    operator, source = tmp_path / "operator.toml", tmp_path / "source"
    operator.write_text(offered)
    source.mkdir()
    config = load(source, {"FLEETPACKS_CONFIG": str(operator), **variables})
    apps = (make_app("a", ssh=("default",)),)
    request = planner.Request(secrets_needed=True)
    told: str | None = None

    try:
        planner.make(config, apps, apps, request, build=_build, facts=_FACTS, reasons=_REASONS)
    except ConfigError as error:
        told = error.message.removeprefix(f"{operator}: ")

    assert told == message


@pytest.mark.parametrize(("built", "push"), [(False, False), (False, True), (True, True)])
def test_an_image_that_another_app_needs_must_be_pushed_where_it_is_built(
    tmp_path: Path, make_app: Callable[..., App], *, built: bool, push: bool
) -> None:
    apps = (make_app("base"), msgspec.structs.replace(make_app("web"), contexts={"x": "base"}))
    config = _config(tmp_path, flags=Flags(image="r.example/x"))
    request = planner.Request(push=push, secrets_needed=built)

    plan = planner.make(config, apps, apps, request, build=_own, facts=_FACTS, reasons=_REASONS)
    unpushed = planner.Request(push=False, secrets_needed=True)
    with pytest.raises(UsageError) as caught:
        planner.make(config, apps, apps, unpushed, build=_own, facts=_FACTS, reasons=_REASONS)

    assert [app.app.name for app in plan.apps] == ["base", "web"]
    assert caught.value.message.startswith("web: its Dockerfile stands on 'x'")
    assert "--push" in caught.value.hint


def test_a_generated_dockerfile_stands_on_nobodys_image(tmp_path: Path, make_app: Callable[..., App]) -> None:
    apps = (make_app("base"), msgspec.structs.replace(make_app("web"), contexts={"x": "base"}))

    with pytest.raises(ConfigError, match="web: `contexts` is for a Dockerfile of the app's own"):
        planner.make(_config(tmp_path), apps, apps, planner.Request(), build=_build, facts=_FACTS, reasons=_REASONS)
