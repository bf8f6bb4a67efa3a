"""HEALTHCHECK for real: each program asks a server that answers well, ill and not at all, from inside its own image.

The steps share this machine's network, so that the server is the test's own. They run as the image's user would, who
may write nowhere.
"""

import secrets
import socket
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.abc
import pytest

from langs import health
from langs.render import exec_form
from orchestrator.errors import BuildFailedError
from tests.buildkit.real import Watched, client, request
from tests.conftest import RealCount
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_ANSWERS: Mapping[bytes, bytes] = {
    b"/well": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
    b"/moved": b"HTTP/1.1 302 Found\r\nLocation: /ill\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"/nothing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"/ill": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"/garbage": b"SSH-2.0-OpenSSH\r\n",
}
_VERDICTS = (
    *(("/well", "400", True), ("/moved", "400", True), ("/nothing", "400", False), ("/nothing", "500", True)),
    *(("/ill", "500", False), ("/garbage", "500", False)),
)
_PROBES = {
    "node:22.16.0-slim": health.NODE,
    "python:3.12.8-slim": health.PYTHON,
    "debian:bookworm-slim": health.SHELL,
    "ruby:3.4.4-slim": health.RUBY,
    "oven/bun:1.3.4-slim": health.BUN,
    "denoland/deno:2.6.1": health.DENO,
    "dunglas/frankenphp:php8.3": health.PHP,
    "eclipse-temurin:21-jre": health.SHELL,
}
_IN_EVERY_RUN = ("node:22.16.0-slim", "python:3.12.8-slim", "debian:bookworm-slim")


@asynccontextmanager
async def server() -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A port at which the paths above are answered, and what was asked there."""
    asked: list[bytes] = []

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            asked.append(head)
            await stream.send(_ANSWERS[head.split(b" ")[1]])

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), asked  # noqa: S610 -- of a socket
        tasks.cancel_scope.cancel()


@contextmanager
def nobody() -> Generator[int]:
    """A port at which nobody answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def step(probe: health.Probe, path: str, bad: str, *, well: bool) -> str:
    """A step that fails where the check says otherwise; what it prints is its exit status."""
    words = ["/bin/sh", "-c", f'"$@"; test $? = {0 if well else 1}', "sh", *probe.command, path, bad]
    return f"RUN {exec_form(words)}\n"


@pytest.mark.parametrize("image", [name for name in _PROBES if FULL or name in _IN_EVERY_RUN])
async def test_a_check_tells_a_well_app_from_an_ill_one(lab: Lab, real_count: RealCount, image: str) -> None:
    probe, watched = _PROBES[image], Watched()
    async with server() as (port, asked), client(lab.buildkitd) as builder:
        with nobody() as closed:
            proxy = f"http://127.0.0.1:{closed}"
            # No step is taken from a cache: another run may have had the same port.
            head = f"FROM {image}\nENV RUN={secrets.token_hex(4)} PORT={port} HTTP_PROXY={proxy} http_proxy={proxy}\n"
            steps = "".join(step(probe, path, bad, well=well) for path, bad, well in _VERDICTS)
            alone = f"ENV PORT={closed}\n{step(probe, '/well', '500', well=False)}"
            await builder.solve(request(f"{head}USER 1000:1000\n{steps}{alone}", context={}), on_status=watched)
    real_count.record("build")

    assert [head.split(b" ")[1].decode() for head in asked] == [path for path, _, _ in _VERDICTS]
    assert all(b"\r\nhost: localhost\r\n" in head.lower() for head in asked)


async def test_a_step_of_these_tests_can_fail(lab: Lab) -> None:
    wrong = step(health.SHELL, "/well", "400", well=True)
    text = f"FROM debian:bookworm-slim\nENV RUN={secrets.token_hex(4)} PORT=1\n{wrong}"

    with pytest.raises(BuildFailedError):
        async with client(lab.buildkitd) as builder:
            await builder.solve(request(text, context={}), on_status=Watched())
