"""Where the programs of start commands listen, and what the image says of it."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import listening
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.conftest import Write

PLAIN = Settings()


def built(write: Write, start: str, settings: Settings = PLAIN, /, **files: str) -> AppBuild:
    package = {"scripts": {"start": start}, "dependencies": {"next": "15", "fastify-cli": "7"}}
    return langs.build(write({"package.json": json.dumps(package), **files}), settings)


def said(app: AppBuild) -> Mapping[str, str]:
    """What the last stage says of its port, and what it is told."""
    instructions = splitter.split(app.dockerfile)
    last = instructions[max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM") :]
    env = dict(word.split("=", 1) for keyword, rest in last if keyword == "ENV" for word in rest.split() if "=" in word)
    return {**env, "EXPOSE": next(rest for keyword, rest in last if keyword == "EXPOSE")}


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("PORT=3000 node server.js", 3000),
        ("env PORT=3000 NODE_ENV=production node server.js", 3000),
        ("exec env PORT=3000 node server.js", 3000),
        ("PORT='3000' node server.js", 3000),
        ("next start -p 3000", 3000),
        ("next start --port 3000", 3000),
        ("next start --port=3000", 3000),
        ("next start -p3000", 3000),
        ("node_modules/.bin/next start -p 3000", 3000),
        ("npx next start -p 3000", 3000),
        ("PORT=80 next start -p 3000", 3000),
        ("serve -s dist -l tcp://0.0.0.0:3000", 3000),
        ("serve -l 3000", 3000),
        ("fastify start -p 3000 app.js", 3000),
        ("prisma migrate deploy && PORT=3000 node server.js", 3000),
        ("PORT=80 node warm.js; next start -p 3000", 3000),
        ("next start -p 3000 > log", 3000),
        # What somebody from outside decides, or nobody here can tell.
        ("node server.js", None),
        ("node server.js --port 3000", None),
        ("next start", None),
        ("next build -p 3000", None),
        ("next start -p $PORT", None),
        ("next start -p ${PORT:-3000}", None),
        ("next start -p", None),
        ("next start -p 70000", None),
        ("next start -p 0", None),
        ("PORT=80 next start -p $PORT", None),
        ("PORT=${PORT:-3000} node server.js", None),
        ("PORT= node server.js", None),
        ("PORT=³ node server.js", None),
        ("next start -p 3000 | cat", None),
        ("next start -p 3000 & node other.js", None),
        ("echo 'PORT=3000 x", None),
        ("PORT=3000 node a.js && node b.js", None),
        ("PORT=3000", 3000),
        ("", None),
    ],
)
def test_a_command_states_its_port_or_does_not(command: str, port: int | None) -> None:
    assert listening.of(command).port == port


@pytest.mark.parametrize("start", ["next start -p 3000", "PORT=3000 node server.js"])
def test_a_stated_port_is_the_images(write: Write, start: str) -> None:
    app = built(write, start, Settings(healthcheck=True))

    [warning] = [each for each in app.warnings if "port" in each]
    assert (app.port, app.start_command) == (3000, start)
    assert (said(app)["PORT"], said(app)["EXPOSE"]) == ("3000", "3000")
    assert "port 3000" in warning
    assert "5000" in warning


def test_who_says_the_same_is_not_warned(write: Write) -> None:
    app = built(write, "next start -p 3000", Settings(port=3000))

    assert app.port == 3000
    assert not any("port" in each for each in app.warnings)


def test_a_stated_port_of_another_process_says_nothing(write: Write) -> None:
    app = built(write, "next start", Procfile="admin: PORT=3000 node admin.js\n")

    assert app.port == 5000


def test_an_app_of_bun_has_its_port_too(write: Write) -> None:
    package = {"scripts": {"start": "PORT=3000 bun server.ts"}}
    root = write({"package.json": json.dumps(package), "bun.lock": "", "server.ts": "Bun.serve({})\n"})

    assert langs.build(root, PLAIN).port == 3000


@pytest.mark.parametrize("start", ["fastify start -l info app.js", "npx fastify start app.js"])
def test_a_server_that_listens_to_its_own_machine_is_told_otherwise(write: Write, start: str) -> None:
    app = built(write, start)

    assert said(app)["FASTIFY_ADDRESS"] == "0.0.0.0"  # noqa: S104 -- inside of a container
    assert said(app)["PORT"] == "5000"
    assert "FASTIFY_ADDRESS" not in said(built(write, "next start"))


@given(st.text() | st.text("PORT=-p 3000next srt&;'\"$"))
def test_any_command_is_looked_at(command: str) -> None:
    port = listening.of(command).port

    assert port is None or 0 < port < 65536
