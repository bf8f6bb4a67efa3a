"""Hardened images: other names, no shell, and errors where they cannot be."""

from collections.abc import Mapping

import msgspec
import pytest

import langs
from langs import commands
from langs.errors import LangError
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write

HARDENED = Settings(hardened=True)
GO = {"go.mod": "module a\n\ngo 1.25.0\n", "main.go": "package main\n\nfunc main() {}\n"}
NODE = {
    "package.json": '{"scripts": {"start": "node a.js --port $PORT"}}',
    "package-lock.json": "{}",
    ".nvmrc": "22.16.0",
}
PYTHON = {
    "requirements.txt": "gunicorn\nflask\n",
    "app.py": "import flask\napp = flask.Flask(__name__)\n",
    ".python-version": "3.12.8",
}


@pytest.mark.parametrize(
    ("files", "builder", "runtime", "words"),
    [
        pytest.param(GO, "golang:1.25.0-dev", "golang:1.25.0", ["a"], id="go"),
        pytest.param(NODE, "node:22.16.0-dev", "node:22.16.0", ["node", "a.js", "--port", "5000"], id="nodejs"),
        pytest.param(
            PYTHON, "python:3.12.8-dev", "python:3.12.8", ["gunicorn", "--bind", "0.0.0.0:5000", "app:app"], id="python"
        ),
        pytest.param(
            {"index.html": "x"},
            "caddy:2-dev",
            "caddy:2",
            ["caddy", "run", "--config", "/etc/caddy/Caddyfile"],
            id="static",
        ),
    ],
)
def test_an_app_is_built_on_and_runs_on_hardened_images(
    write: Write, files: Mapping[str, str], builder: str, runtime: str, words: list[str]
) -> None:
    registry = "mirror.example:5000/dhi"

    built = langs.build(write(files), Settings(hardened=True, hardened_registry=registry))

    instructions = splitter.split(built.dockerfile)
    sources = [rest.split()[0] for keyword, rest in instructions if keyword == "FROM"]
    last = instructions[max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM") :]
    assert f"{registry}/{builder}" in sources
    assert sources[-1] == f"{registry}/{runtime}"
    assert ("USER", "nonroot") in last
    assert "RUN" not in [keyword for keyword, _ in last]
    assert splitter.cmd(built.dockerfile) == words
    assert not built.shell


@pytest.mark.parametrize(
    "command",
    ["a && b", "a | b", "A=1 a", "cd x; a", "a $HOME", "sh -c 'a $PORT'", "a $(id)", "a *", "bash x.sh", "env a"],
)
def test_a_command_that_needs_a_shell_is_an_error_with_a_way_out(write: Write, command: str) -> None:
    with pytest.raises(LangError, match="needs a shell") as caught:
        langs.build(write(NODE), Settings(hardened=True, run_command=command))

    assert "$PORT" in caught.value.hint


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("a $PORT ${PORT} ${PORT:-80} ${PORT-80}", ("a", "5000", "5000", "5000", "5000")),
        ("a \"x $PORT y\" '$PORT'", ("a", "x 5000 y", "$PORT")),
        ("exec a --bind=0.0.0.0:$PORT", ("a", "--bind=0.0.0.0:5000")),
        (r"a \$PORT", ("a", "$PORT")),
    ],
)
def test_the_port_is_written_in_where_a_shell_would_look_for_it(command: str, words: tuple[str, ...]) -> None:
    assert commands.without_shell(command, {"PORT": "5000"}) == words


def test_an_image_that_somebody_named_is_taken_all_the_same(write: Write) -> None:
    built = langs.build(write(NODE), Settings(hardened=True, images={"node": "registry.example/node"}))

    assert "dhi.io" in langs.build(write(NODE), HARDENED).dockerfile
    assert "dhi.io" not in built.dockerfile
    assert "FROM registry.example/node:22.16.0-slim AS runtime" in built.dockerfile


@pytest.mark.parametrize(
    ("image", "runtime"),
    [
        ("scratch", "scratch"),
        ("gcr.io/distroless/static-debian12:nonroot", "gcr.io/distroless/static-debian12:nonroot"),
        ("mirror.example:5000/distroless/static", "mirror.example:5000/distroless/static:bookworm-slim"),
    ],
)
def test_an_image_that_is_known_to_have_no_shell_gets_a_command_that_needs_none(
    write: Write, image: str, runtime: str
) -> None:
    settings = Settings(images={"debian": image}, run_command="a --port $PORT")

    built = langs.build(write(GO), settings)

    assert f"FROM {runtime} AS runtime" in built.dockerfile
    assert splitter.cmd(built.dockerfile) == ["a", "--port", "5000"]
    assert ("USER", "1000:1000") in splitter.split(built.dockerfile)
    assert not built.shell
    with pytest.raises(LangError, match="needs a shell"):
        langs.build(write(GO), msgspec.structs.replace(settings, run_command="a && b"))


@pytest.mark.parametrize(
    "image",
    ["debian:trixie-slim", "gcr.io/distroless/static:debug-nonroot", "registry.example/distroless:1", "scratch:1"],
)
def test_any_other_image_is_taken_to_have_a_shell(write: Write, image: str) -> None:
    built = langs.build(write(GO), Settings(images={"debian": image}, run_command="a $HOME"))

    assert splitter.cmd(built.dockerfile) == ["/bin/sh", "-c", "exec a $HOME"]
    assert built.shell


def test_an_image_of_another_language_says_nothing_of_the_shell(write: Write) -> None:
    assert langs.build(write(NODE), Settings(images={"debian": "scratch"})).shell


def test_a_users_dockerfile_stays_as_it_is(write: Write) -> None:
    built = langs.build(write({"Dockerfile": "FROM node:22\n"}), HARDENED)

    assert built.dockerfile == "FROM node:22\n"
    assert built.shell


@pytest.mark.parametrize("registry", ["a b", "a\nFROM evil", "", "$HOME"])
def test_a_mirror_that_is_no_registry_is_an_error(write: Write, registry: str) -> None:
    with pytest.raises(LangError, match="not the address of a registry"):
        langs.build(write(GO), Settings(hardened=True, hardened_registry=registry))
