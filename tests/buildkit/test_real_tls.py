"""Builders that ask for a certificate: a real buildkitd, and a real Docker Engine behind TLS."""

import secrets
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener

from orchestrator.buildkit import Client, Exporter
from orchestrator.config import environment
from orchestrator.errors import FleetpacksError, UsageError
from remote import address, connect
from remote.unix import UnixStream
from tests.buildkit.real import Watched, request
from tests.conftest import RealCount
from tests.lab import Engine, Lab
from tests.remote.certificates import Certificates, make

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def buildkitd(lab: Lab, folder: Path, certificates: Certificates) -> AsyncGenerator[str]:
    """A buildkitd on a port of this machine, that talks to whom its authority knows; yields `127.0.0.1:PORT`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listens = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "buildkitd.toml"
    own = certificates.server
    config.write_text(
        f'root = "{folder}/root"\n[grpc]\naddress = ["tcp://{listens}"]\n'
        f'[grpc.tls]\ncert = "{own}/cert.pem"\nkey = "{own}/key.pem"\nca = "{own}/ca.pem"\n'
        f'[otel]\nsocketPath = "{folder}/otel"\n[cdi]\ndisabled = true\n[worker.containerd]\nenabled = false\n'
        f'[worker.oci]\nenabled = true\nbinary = "{lab.runc}"\nnetworkMode = "host"\nsnapshotter = "native"\n'
    )
    command = ["unshare", "--mount", str(lab.buildctl.with_name("buildkitd")), "--config", str(config)]
    env = {**environment.read(), "TMPDIR": str(folder)}
    async with await anyio.open_process(command, stdin=None, stdout=None, stderr=None, env=env) as process:
        try:
            with anyio.fail_after(30):
                while not await listening(listens):  # noqa: ASYNC110 -- another process listens
                    await anyio.sleep(0.05)
            yield listens
        finally:
            with anyio.CancelScope(shield=True):
                process.kill()
                await process.wait()


async def listening(place: str) -> bool:
    host, _, port = place.partition(":")
    try:
        async with await anyio.connect_tcp(host, int(port)):
            return True
    except OSError:
        return False


@asynccontextmanager
async def in_front_of(engine: Engine, certificates: Certificates, *, protocols: list[str]) -> AsyncGenerator[str]:
    """Ends TLS before an engine's socket, as an engine that listens on TCP does; yields `127.0.0.1:PORT`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.server / "ca.pem")
    context.load_cert_chain(certificates.server / "cert.pem", certificates.server / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(protocols)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()

    async def serve(client: anyio.abc.ByteStream) -> None:
        async with client, await UnixStream.connect(str(engine.socket)) as daemon, anyio.create_task_group() as both:

            async def copy(source: anyio.abc.ByteStream, target: anyio.abc.ByteStream) -> None:
                try:
                    async for data in source:
                        await target.send(data)
                # anyio's TLS says EndOfStream also to who sends to a peer that has said goodbye.
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                    pass
                both.cancel_scope.cancel()

            both.start_soon(copy, client, daemon)
            both.start_soon(copy, daemon, client)

    async with TLSListener(listener, context, standard_compatible=False) as tls, anyio.create_task_group() as tasks:
        tasks.start_soon(tls.serve, serve)
        yield f"127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def built(url: str, exporter: str) -> str | None:
    """Build something at an address; its digest."""
    at = address.parse(url)
    content = {"file": secrets.token_bytes(300_000)}
    build = request("FROM scratch\nCOPY file /\n", context=content, exporter=Exporter(type=exporter, attrs={}))
    async with Client(await connect.dialer(at), address=url) as client:
        return (await client.solve(build, on_status=Watched())).digest


async def test_a_buildkitd_that_asks_for_a_certificate_builds(
    lab: Lab, tmp_path: Path, certificates: Certificates, real_count: RealCount
) -> None:
    async with buildkitd(lab, tmp_path, certificates) as listens:
        digest = await built(f"tcp://{listens}?{certificates.query}", "image")
        with pytest.raises(UsageError) as nameless:
            await built(f"tcp://{listens}?cacert={certificates.client}/ca.pem", "image")
        with pytest.raises(FleetpacksError) as plain:
            await built(f"tcp://{listens}", "image")
    real_count.record("build")

    assert digest is not None
    assert listens in nameless.value.message
    assert "refuses our certificate" in nameless.value.message
    assert listens in plain.value.message


@pytest.mark.parametrize("kind", ["graph", "containerd"])
async def test_an_engine_that_asks_for_a_certificate_builds(
    request: pytest.FixtureRequest, certificates: Certificates, kind: str, real_count: RealCount
) -> None:
    engine: Engine = request.getfixturevalue(f"engine_{kind}")
    # 20.10 offers nothing but HTTP/1.1 by TLS: its BuildKit is reached by the upgrade alone.
    protocols = ["http/1.1"] if kind == "graph" else ["h2", "http/1.1"]

    async with in_front_of(engine, certificates, protocols=protocols) as listens:
        digest = await built(f"docker://{listens}?{certificates.query}", "moby")
    real_count.record("build")

    assert digest is not None
