"""Who asks for a base image that is not there."""

import pytest

from langs.model import Choice, Settings, Version
from orchestrator.engine.stated import explained, stated
from orchestrator.errors import BuildFailedError, ImageNotFoundError
from orchestrator.model import AppPlan
from tests.planned import build_of, planned

GONE = "failed to resolve source metadata for docker.io/library/{0}: docker.io/library/{0}: not found"


def plan(
    dockerfile: str, version: str, source: str, *, language: str = "go", images: dict[str, str] | None = None
) -> AppPlan:
    build = build_of(dockerfile, language=language, version=Version(value=version, source=source))
    return planned("api", build, settings=Settings(images=images or {}))


GO = "FROM --platform=$BUILDPLATFORM golang:1.99 AS builder\nFROM debian:bookworm-slim AS runtime\n"
NODE = "FROM node:99.0.0@sha256:00 AS builder\nFROM node:99.0.0-slim AS runtime\n"


@pytest.mark.parametrize(
    ("app", "image", "said"),
    [
        (
            plan(GO, "1.99", "go.mod go"),
            "golang:1.99",
            "go.mod go states the version 1.99 of golang:1.99: correct that",
        ),
        (
            plan(NODE, "99.0.0", "fleetpacks.toml", language="nodejs"),
            "node:99.0.0-slim",
            "`versions.nodejs` in fleetpacks.toml states the version 99.0.0 of node:99.0.0-slim: correct that",
        ),
        (
            plan(NODE, "99.0.0", "$NODE_VERSION", language="nodejs"),
            "node:99.0.0",
            "$NODE_VERSION states the version 99.0.0 of node:99.0.0: correct that",
        ),
        (
            plan(GO, "1.99", "default"),
            "golang:1.99",
            (
                "no file states the version 1.99 of golang:1.99, which is our default (state another one: "
                "`versions.go` in fleetpacks.toml): correct that"
            ),
        ),
        (
            plan("FROM r.example/go:1.99 AS builder\n", "1.99", "go.mod go", images={"golang": "r.example/go"}),
            "r.example/go:1.99",
            (
                "`images.golang` in fleetpacks.toml names r.example/go:1.99 and go.mod go states the version 1.99 of "
                "r.example/go:1.99: correct that"
            ),
        ),
        (plan(GO, "1.99", "go.mod go"), "debian:bookworm-slim", None),
        (plan(GO, "1.99", "go.mod go"), "golang:1.9", None),
        (plan(GO, "1.99", "go.mod go"), "other/mygolang:1.999", None),
        (plan("FROM golang:1.99\n", "1.99", "a\nb"), "golang:1.99", r"a\nb states the version 1.99 of golang:1.99"),
    ],
)
def test_the_hint_names_what_states_the_version(app: AppPlan, image: str, said: str | None) -> None:
    found = stated(app, GONE.format(image))

    assert found is None if said is None else (found or "").startswith(said)


def test_a_version_that_was_chosen_is_told_with_what_left_the_choice() -> None:
    chosen = (Choice(tool="elixir", value="1.99.4", source="mix.exs elixir"),)
    build = build_of("FROM elixir:1.99.4-slim\n", language="elixir", chosen=chosen)

    assert (stated(planned("a", build), "elixir:1.99.4-slim: there is none") or "").startswith("mix.exs elixir states")


def test_the_users_own_dockerfile_speaks_for_itself() -> None:
    build = build_of(GO, version=Version(value="1.99", source="go.mod go"), dockerfile_path="Dockerfile")

    assert stated(planned("a", build), GONE.format("golang:1.99")) is None


def test_what_was_said_already_stays_and_other_failures_are_as_they_were() -> None:
    app = plan(GO, "1.99", "go.mod go")
    gone = ImageNotFoundError(GONE.format("golang:1.99"), hint="check the tag")
    failed = BuildFailedError("golang:1.99: not found", hint="see the log")

    told = explained(app, gone)

    assert (type(told), told.message) == (ImageNotFoundError, gone.message)
    assert told.hint.endswith("of golang:1.99: correct that; or check the tag")
    assert explained(app, failed) is failed
