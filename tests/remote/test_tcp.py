"""TCP, plain and under TLS with certificates on both sides."""

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener

from remote.address import TcpAddress, parse
from remote.connect import connect
from remote.errors import AddressError, UnreachableError, UnsuitableError
from tests.remote.certificates import SERVER_NAME, Certificates, make


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


def demanding(certificates: Certificates) -> ssl.SSLContext:
    """A server that wants to see a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.server / "ca.pem")
    context.load_cert_chain(certificates.server / "cert.pem", certificates.server / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def echo(tls: ssl.SSLContext | None) -> AsyncGenerator[int]:
    """Listens on a port of this machine and sends back what it gets."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()

    async def serve(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    wrapped = listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
    async with wrapped, anyio.create_task_group() as tasks:
        tasks.start_soon(wrapped.serve, serve)
        yield port
        tasks.cancel_scope.cancel()


async def answered(url: str) -> bytes:
    address = parse(url)
    assert isinstance(address, TcpAddress)
    async with await connect(address) as stream:
        await stream.send(b"ping")
        return await stream.receive()


async def test_bytes_cross_a_plain_connection() -> None:
    async with echo(None) as port:
        assert await answered(f"tcp://127.0.0.1:{port}") == b"ping"


@pytest.mark.parametrize("more", ["", f"&servername={SERVER_NAME}"])
async def test_bytes_cross_a_connection_on_which_both_have_shown_certificates(
    certificates: Certificates, more: str
) -> None:
    async with echo(demanding(certificates)) as port:
        assert await answered(f"tcp://127.0.0.1:{port}?{certificates.query}{more}") == b"ping"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("servername=localhost", "is not trusted: .*certificate"),
        ("cacert={client}/ca.pem&servername=other.example", "Hostname mismatch"),
    ],
)
async def test_a_certificate_that_is_not_trusted_is_refused_with_a_hint(
    certificates: Certificates, query: str, says: str
) -> None:
    async with echo(demanding(certificates)) as port:
        with pytest.raises(UnsuitableError, match=says) as caught:
            await answered(f"tcp://127.0.0.1:{port}?{query.format(client=certificates.client)}")

    assert "cacert=" in caught.value.hint


async def test_a_daemon_without_tls_is_said_to_have_none(certificates: Certificates) -> None:
    async with echo(None) as port:
        with pytest.raises(UnsuitableError, match="no TLS handshake") as caught:
            await answered(f"tcp://127.0.0.1:{port}?{certificates.query}")

    assert "speak TLS" in caught.value.hint


async def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        with pytest.raises(UnreachableError) as caught:
            await answered(f"tcp://127.0.0.1:{port}")

    assert f"tcp://127.0.0.1:{port}" in caught.value.message


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("cacert={here}/none.pem", "cacert: {here}/none.pem: No such file or directory"),
        ("cacert={here}/garbage.pem", "cacert: {here}/garbage.pem: "),
        ("cert={client}/cert.pem&key={here}/none.pem", "No such file or directory"),
        ("cert={client}/cert.pem&key={server}/key.pem", "KEY_VALUES_MISMATCH"),
    ],
)
async def test_a_wrong_file_is_named(certificates: Certificates, tmp_path: Path, query: str, says: str) -> None:
    (tmp_path / "garbage.pem").write_text("no certificate")
    places = {"here": tmp_path, "client": certificates.client, "server": certificates.server}

    with pytest.raises(AddressError) as caught:
        await answered(f"tcp://127.0.0.1:1?{query.format(**places)}")

    assert says.format(**places) in caught.value.message
    assert "PEM" in caught.value.hint


async def test_who_sends_to_a_peer_that_has_left_hears_that_the_connection_broke(certificates: Certificates) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()

    async def leave(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()

    tls = TLSListener(listener, demanding(certificates), standard_compatible=False)
    address = parse(f"tcp://127.0.0.1:{port}?{certificates.query}")
    assert isinstance(address, TcpAddress)
    async with tls, anyio.create_task_group() as tasks:
        tasks.start_soon(tls.serve, leave)
        async with await connect(address) as stream:
            await stream.send(b"ping")
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            with pytest.raises(anyio.BrokenResourceError):
                await _send_for_ever(stream)
        tasks.cancel_scope.cancel()


async def _send_for_ever(stream: anyio.abc.ByteStream) -> None:
    with anyio.fail_after(10):
        while True:
            await stream.send(b"ping")
