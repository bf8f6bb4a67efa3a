"""How a connection comes to be where a proxy stands between: asked for whole URLs, or for a tunnel."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest

from orchestrator.errors import ConfigError, RegistryUnavailableError
from orchestrator.model import Registry
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.connection import LostError
from orchestrator.registry.connections import Connections
from orchestrator.registry.credentials import Credentials
from tests.registry.server import Answer, Fault, Server, running
from tests.registry.test_connections import listening, status
from tests.registry.test_tls import server_side


async def test_a_proxy_is_asked_for_a_tunnel_to_a_registry_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Server()) as proxy:
        named(monkeypatch, "HTTPS_PROXY", f"http://me:s3cret@{proxy.host}")
        proxy.faults.append(Fault(method="CONNECT", answer=Answer(status=502)))
        patience = Patience(attempts=1, total=1.0, first=0.1)
        async with RegistryClient(Credentials(None), {}, patience=patience) as client:
            with pytest.raises(RegistryUnavailableError, match="502"):
                await client.challenges("registry.test")

        assert proxy.seen[0].target == "registry.test:443"
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"


async def test_a_proxy_with_tls_is_asked_for_the_whole_url(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Server(), tls=server_side(certificate)) as proxy:
        named(monkeypatch, "HTTP_PROXY", f"https://me:s3cret@{proxy.host}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connections = Connections(local=False)

        answers = [await status(connections, "http://registry.test:5000") for _ in range(2)]
        await connections.aclose()

        assert answers == [200, 200]
        assert [seen.target for seen in proxy.seen] == ["http://registry.test:5000/v2/"] * 2
        assert {seen.headers["proxy-authorization"] for seen in proxy.seen} == {"Basic bWU6czNjcmV0"}
        assert proxy.connections == 1


async def test_what_comes_through_a_tunnel_is_verified_as_the_registrys(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(Server(), tls=server_side(certificate)) as server, tunnelling(server.host) as (proxy, asked):
        named(monkeypatch, "HTTPS_PROXY", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connections = Connections(local=False)

        answers = [await status(connections, server.base) for _ in range(2)]
        with pytest.raises(LostError, match="certificate verify failed"):
            await status(connections, "https://registry.test")
        await connections.aclose()

        assert answers == [200, 200]
        assert asked == [server.host, "registry.test:443"]
        assert server.connections == 1
        assert "proxy-authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("user", "says"), [("", "wants a user and a password"), ("me:s3cret@", "does not take the user and the password")]
)
@pytest.mark.parametrize("insecure", [True, False])
async def test_a_proxy_that_wants_to_know_who_we_are_is_one_error_at_once(
    monkeypatch: pytest.MonkeyPatch, user: str, says: str, *, insecure: bool
) -> None:
    async with running(Server()) as proxy:
        named(monkeypatch, "HTTP_PROXY" if insecure else "HTTPS_PROXY", f"http://{user}{proxy.host}")
        proxy.faults = [Fault(answer=Answer(status=407)) for _ in range(9)]
        registries = {"registry.test": Registry(host="registry.test", insecure=insecure)}
        async with RegistryClient(Credentials(None), registries) as client:
            with pytest.raises(ConfigError, match=says) as caught:
                await client.challenges("registry.test")

        assert proxy.host in caught.value.message
        assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"
        assert "USER:PASSWORD@HOST:PORT" in caught.value.hint
        assert len(proxy.seen) == 1


@pytest.mark.parametrize("status", [302, 403, 405])
async def test_a_proxy_that_refuses_to_connect_us_is_one_error_at_once(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async with running(Server()) as proxy:
        named(monkeypatch, "HTTPS_PROXY", f"http://me:s3cret@{proxy.host}")
        proxy.faults = [Fault(answer=Answer(status=status)) for _ in range(9)]
        async with RegistryClient(Credentials(None), {}) as client:
            with pytest.raises(ConfigError) as caught:
                await client.challenges("registry.test")

        assert caught.value.message == (
            f"the proxy {proxy.host} refuses to connect us with registry.test:443 (HTTP {status})"
        )
        assert "NO_PROXY" in caught.value.hint
        assert len(proxy.seen) == 1


async def test_a_registry_behind_a_tunnel_is_not_taken_for_the_proxy(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(Server(), tls=server_side(certificate)) as server, tunnelling(server.host) as (proxy, _):
        named(monkeypatch, "HTTPS_PROXY", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server.faults.append(Fault(answer=Answer(status=407)))
        connections = Connections(local=False)

        assert await status(connections, server.base) == 407
        await connections.aclose()


def named(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    """Let the environment name one proxy."""
    for name in ("NO_PROXY", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, url)


@asynccontextmanager
async def tunnelling(to: str) -> AsyncGenerator[tuple[str, list[str]], None]:
    """A proxy that connects everybody with one address; its URL, and what it was asked for."""
    asked: list[str] = []
    host, _, port = to.partition(":")

    async def pour(source: anyio.abc.ByteStream, sink: anyio.abc.ByteStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                await sink.send(data)
            await sink.send_eof()

    async def connect(stream: anyio.abc.ByteStream) -> None:
        async with stream, await anyio.connect_tcp(host, int(port)) as other:
            head = await stream.receive()
            asked.append(head.split()[1].decode())
            await stream.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            async with anyio.create_task_group() as group:
                group.start_soon(pour, stream, other)
                await pour(other, stream)

    async with listening(connect) as url:
        yield url, asked
