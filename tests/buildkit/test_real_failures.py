"""Failures provoked at a real buildkitd: each is a clear error of ours within seconds.

The registries here are scripted, since no real one refuses, fails or falls silent when asked to.
"""

import base64
import ssl
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from orchestrator.buildkit import BasicCredential, Client, Exporter
from orchestrator.errors import (
    BuildFailedError,
    DaemonLostError,
    FleetpacksError,
    ImageNotFoundError,
    RegistryError,
    RegistryUnavailableError,
    TransientError,
)
from tests.buildkit.real import Watched, client, private_daemon, push_to, request
from tests.buildkit.scripted_registry import Answer, Asked, scripted_registry
from tests.buildkit.tokens import Asking, check_that_a_token_is_asked_for_and_no_password
from tests.lab import Lab
from tests.remote.certificates import make

pytestmark = pytest.mark.real

DOCKERFILE = "FROM scratch\nCOPY a /a\n"
DENIED = b'{"errors":[{"code":"DENIED","message":"not for you"}]}'
UNSUPPORTED = b'{"errors":[{"code":"UNSUPPORTED","message":"read-only"}]}'


@pytest.mark.parametrize(
    ("dockerfile", "kind", "message"),
    [
        ("FROM scratch\nFOO bar\n", BuildFailedError, "Dockerfile:2: dockerfile parse error on line 2: unknown"),
        ("FROM scratch\nCOPY gone /\n", BuildFailedError, 'Dockerfile:2: failed to compute cache key: .*"/gone"'),
        ("FROM scratch\nCOPY --chmod=755 a /a\nRUN echo\n", BuildFailedError, 'process "/bin/sh -c echo" did not'),
        ("FROM {registry}/no/such:1\nCOPY a /a\n", ImageNotFoundError, "Dockerfile:1: .*/no/such:1: not found"),
        ("FROM 127.0.0.1:9/no:1\nCOPY a /a\n", RegistryUnavailableError, "connect: connection refused"),
        ("", BuildFailedError, "the Dockerfile cannot be empty"),
    ],
    ids=["instruction", "missing file", "failing step", "missing base", "unreachable base", "empty"],
)
async def test_a_build_that_cannot_be_made_says_why(
    lab: Lab, dockerfile: str, kind: type[FleetpacksError], message: str
) -> None:
    build = request(dockerfile.format(registry=lab.registry), context={"a": b"a"})

    async with client(lab.buildkitd) as builder:
        with anyio.fail_after(30), pytest.raises(kind, match=message) as caught:
            await builder.solve(build, on_status=Watched())

    assert caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (Answer(403, DENIED), RegistryError, "failed to push .*: denied: not for you"),
        (Answer(405, UNSUPPORTED), RegistryError, "failed to push .*: unsupported: read-only"),
        (Answer(503), RegistryUnavailableError, "failed to push .* 503 Service Unavailable"),
    ],
    ids=["denied", "read-only", "failing"],
)
async def test_a_registry_that_takes_no_image_says_why(
    lab: Lab, answer: Answer, kind: type[FleetpacksError], message: str
) -> None:
    async def script(asked: Asked) -> Answer:
        return answer if asked.method == "POST" else Answer(404)

    async with scripted_registry(script) as registry, client(lab.buildkitd) as builder:
        build = request(DOCKERFILE, context={"a": b"a"}, exporter=push_to(registry, "app"))
        with anyio.fail_after(60), pytest.raises(kind, match=message) as caught:
            await builder.solve(build, on_status=Watched())

    assert caught.value.hint


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_registry_whose_certificate_the_daemon_does_not_trust_says_so(lab: Lab, tmp_path: Path) -> None:
    async def script(_: Asked) -> Answer:
        return Answer(404)

    own = make(tmp_path / "certificates").server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")

    async with scripted_registry(script, tls=context) as registry:
        strict = f'[registry."{registry}"]\nhttp = false\ninsecure = false\n'
        async with private_daemon(lab, tmp_path, config=strict) as (_, socket), client(socket) as builder:
            with anyio.fail_after(60), pytest.raises(RegistryError, match=r"failed to resolve .* x509: ") as pulled:
                await builder.solve(
                    request(f"FROM {registry}/app:1\nCOPY a /a\n", context={"a": b"a"}), on_status=Watched()
                )
            assert "ca = " in pulled.value.hint
            with anyio.fail_after(60), pytest.raises(RegistryError, match=r"failed to push .* x509: ") as pushed:
                await builder.solve(
                    request(DOCKERFILE, context={"a": b"a"}, exporter=push_to(registry, "app")), on_status=Watched()
                )
            assert "ca = " in pushed.value.hint


async def test_an_exporter_that_does_not_exist_fails_within_seconds(lab: Lab) -> None:
    build = request(DOCKERFILE, context={"a": b"a"}, exporter=Exporter(type="nope", attrs={}))

    async with client(lab.buildkitd) as builder:
        with anyio.fail_after(5), pytest.raises(BuildFailedError, match='exporter "nope" could not be found'):
            await builder.solve(build, on_status=Watched())


async def test_the_daemon_gets_a_token_from_us_and_no_password(lab: Lab) -> None:
    async with client(lab.buildkitd) as builder:
        await check_that_a_token_is_asked_for_and_no_password(builder)


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
async def test_a_basic_registry_sees_our_password_only_when_the_build_names_it(lab: Lab, *, named: bool) -> None:
    seen: list[str] = []

    async def script(asked: Asked) -> Answer:
        seen.append(asked.headers.get("authorization", "-"))
        if seen[-1] != "-":
            return Answer(404)
        return Answer(401, headers={"WWW-Authenticate": 'Basic realm="lab"'})

    async with scripted_registry(script) as registry, client(lab.buildkitd) as builder:
        tokens = Asking(registry, BasicCredential(username="bob", password="hunter2"))
        build = request(
            f"FROM {registry}/app:1\nCOPY a /a\n",
            context={"a": b"a"},
            tokens=tokens,
            registries=(registry,) if named else (),
        )
        with pytest.raises(ImageNotFoundError):
            await builder.solve(build, on_status=Watched())

    basic = "Basic " + base64.b64encode(b"bob:hunter2").decode()
    assert set(seen) == ({"-", basic} if named else {"-"})


class SilentRegistry:
    """Says nothing until it is told to."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.speaks = anyio.Event()

    async def __call__(self, _: Asked) -> Answer:
        self.asked.set()
        await self.speaks.wait()
        return Answer(404)


async def test_a_daemon_that_is_killed_under_a_build_is_lost_at_once(lab: Lab, tmp_path: Path) -> None:
    silent = SilentRegistry()

    async with (
        scripted_registry(silent) as registry,
        private_daemon(lab, tmp_path) as (process, socket),
        client(socket) as builder,
        anyio.create_task_group() as tasks,
    ):

        async def kill() -> None:
            await silent.asked.wait()
            process.kill()

        tasks.start_soon(kill)
        build = request(f"FROM {registry}/app:1\nCOPY a /a\n", context={"a": b"a"})
        with anyio.fail_after(30), pytest.raises(DaemonLostError) as caught:
            await builder.solve(build, on_status=Watched())
        assert caught.value.hint


async def until_stopping(builder: Client) -> None:
    """Returns when the daemon takes no new calls."""
    with suppress(TransientError):
        while True:
            await builder.info()


async def test_a_daemon_that_is_being_stopped_ends_its_builds_first(lab: Lab, tmp_path: Path) -> None:
    silent = SilentRegistry()

    async with (
        scripted_registry(silent) as registry,
        private_daemon(lab, tmp_path) as (process, socket),
        client(socket) as builder,
        anyio.create_task_group() as tasks,
    ):

        async def stop() -> None:
            await silent.asked.wait()
            process.terminate()
            await until_stopping(builder)
            silent.speaks.set()

        tasks.start_soon(stop)
        build = request(f"FROM {registry}/app:1\nCOPY a /a\n", context={"a": b"a"})
        with anyio.fail_after(30), pytest.raises(ImageNotFoundError):
            await builder.solve(build, on_status=Watched())


async def test_cancelling_while_the_daemon_waits_for_a_registry_leaves_no_active_build(lab: Lab) -> None:
    silent = SilentRegistry()

    scope = anyio.CancelScope()

    async def cancel() -> None:
        await silent.asked.wait()
        scope.cancel()

    async with (
        scripted_registry(silent) as registry,
        client(lab.buildkitd) as builder,
        anyio.create_task_group() as tasks,
    ):
        build = request(f"FROM {registry}/app:1\nCOPY a /a\n", context={"a": b"a"})
        tasks.start_soon(cancel)
        with anyio.fail_after(30), scope:
            await builder.solve(build, on_status=Watched())
        assert build.ref not in await builder.active_builds()

    assert scope.cancelled_caught
