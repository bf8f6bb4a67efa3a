"""The digest of an app's inputs."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.model import Settings
from orchestrator.model import AppPlan
from orchestrator.skip.inputs import Inputs, inputs, window
from tests.planned import build_of, planned

_DAY = 86_400.0


def plan(*, version: str = "", **facts: object) -> AppPlan:
    said = {name: facts.pop(name) for name in ("secrets", "ssh") if name in facts}
    settings = msgspec.structs.replace(Settings(), **said)
    build = build_of(**{"dockerfile": "FROM a\n", "dockerignore": "", **facts})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a table of fields
    return planned("services/api", build, settings=settings, secrets_version=version, repository="r.example/api")


def made(each: AppPlan | None = None, **facts: object) -> Inputs:
    said: dict[str, object] = {
        "files": "0" * 64,
        "bases": {"a": "sha256:1"},
        "platform": "linux/amd64",
        "scope": "main",
        "window": 1,
    }
    return inputs(each or plan(), **(said | facts))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a table of them


_CHANGES = {
    "files": made(files="1" * 64),
    "Dockerfile": made(plan(dockerfile="FROM b\n")),
    "build arguments": made(plan(args={"A": "1"})),
    "stage": made(plan(target="web")),
    "labels": made(plan(labels={"a": "1"})),
    "platform": made(platform="linux/arm64"),
    "secrets": made(plan(secrets=("NPM_TOKEN",))),
    "values of secrets": made(plan(version="0f")),
    "epoch": made(epoch="0"),
    "age": made(window=2),
    "trust scope": made(scope="pull request 7"),
    "base image a": made(bases={"a": "sha256:2"}),
    "base image b": made(bases={"a": "sha256:1", "b": "sha256:1"}),
}


@pytest.mark.parametrize("part", _CHANGES)
def test_each_input_changes_the_record_and_is_named(part: str) -> None:
    changed = _CHANGES[part]

    assert changed.tag != made().tag
    assert changed.changed(made().parts) == (part,)
    assert made().changed(changed.parts) == (part,)


def test_platforms_of_the_plan_go_before_the_builders() -> None:
    said = plan(platforms=("linux/arm64",))

    assert made(said, platform="linux/amd64").tag == made(said, platform="linux/s390x").tag != made().tag


def test_what_is_no_input_changes_nothing() -> None:
    other = msgspec.structs.replace(plan(), tags=("v1", "latest"), repository="r.example/other", reason="requested")
    other = msgspec.structs.replace(other, build=msgspec.structs.replace(other.build, warnings=("x",)))

    assert made(other).tag == made().tag


def test_a_record_is_a_legal_tag() -> None:
    assert made().tag.startswith("fp-")
    assert len(made().tag) == 67


@given(st.text(), st.floats(0, 4e9), st.floats(3600, 365 * _DAY))
def test_an_app_is_built_anew_once_in_each_window(app: str, now: float, longest: float) -> None:
    assert window(app, now=now, longest=longest) + 1 == window(app, now=now + longest * 1.0000001, longest=longest)


def test_windows_do_not_end_together() -> None:
    ends = {
        next(hour for hour in range(7 * 24 + 1) if window(f"app{n}", now=hour * 3600, longest=7 * _DAY))
        for n in range(100)
    }

    assert len(ends) > 50
