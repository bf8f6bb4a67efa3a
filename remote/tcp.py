"""A TCP connection, plain or under TLS, where both sides may show a certificate."""

import ssl
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.tls import TLSStream

from remote.address import TcpAddress, Tls
from remote.errors import AddressError, UnreachableError, UnsuitableError

REFUSED = "the daemon refuses our certificate"
"""Begins the text of a `BrokenResourceError` that means this: by TLS 1.3 a client hears of it when it first reads."""


class TlsStream(anyio.abc.ByteStream):
    """A connection under TLS, whose errors are those of any stream: anyio's own lets some of OpenSSL's through.

    Args:
        stream: shaken hands already; this owns it.
    """

    def __init__(self, stream: TLSStream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take what has arrived, at most `max_bytes`."""
        with _broken():
            return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        with _broken():
            try:
                await self._stream.send(item)
            except anyio.EndOfStream as error:  # anyio says so also to who sends to a peer that has said goodbye
                raise anyio.BrokenResourceError("the peer closed the connection") from error

    async def send_eof(self) -> None:
        """Not to be had: TLS 1.2 knows no half-closed connection."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        with _broken():
            await self._stream.aclose()


@contextmanager
def _broken() -> Generator[None]:
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        refused = "alert" in reason and ("certificate" in reason or "unknown ca" in reason)
        raise anyio.BrokenResourceError(f"{REFUSED if refused else 'TLS'}: {reason}") from error


async def connect(address: TcpAddress, *, protocols: Sequence[str]) -> anyio.abc.ByteStream:
    """Open a connection; under TLS the handshake is done.

    Args:
        address: where, and with which certificates.
        protocols: what we are ready to speak, for TLS' ALPN, the favourite first.

    Raises:
        AddressError: a certificate's file cannot be read, or is none.
        UnreachableError: nobody listens there, or no such host is known.
        UnsuitableError: the peer's certificate is not trusted, or the peer speaks no TLS.
    """
    context = None
    if address.tls is not None:
        context = await anyio.to_thread.run_sync(client_context, address.tls)
        context.set_alpn_protocols(list(protocols))
    try:
        stream = await anyio.connect_tcp(address.host, address.port)
    except OSError as error:
        raise UnreachableError(
            f"{address}: {error.strerror or error}", hint="does the daemon listen there, and can this machine reach it?"
        ) from error
    if context is None or address.tls is None:
        return stream
    try:
        return TlsStream(await _shaken(stream, context, address.tls.servername or address.host))
    except ssl.SSLCertVerificationError as error:
        raise UnsuitableError(
            f"{address}: the daemon's certificate is not trusted: {error.verify_message}",
            hint="name its authority with cacert=, and the name that it holds with servername=",
        ) from error
    except (ssl.SSLError, anyio.EndOfStream) as error:
        raise UnsuitableError(
            f"{address}: no TLS handshake: {getattr(error, 'reason', None) or 'the peer hung up'}",
            hint="does the daemon speak TLS on this port? Without cacert=, cert= and key= TLS is not spoken",
        ) from error
    except anyio.BrokenResourceError as error:
        raise UnreachableError(
            f"{address}: the connection broke in the TLS handshake", hint="the daemon's log may say why"
        ) from error


async def _shaken(stream: anyio.abc.ByteStream, context: ssl.SSLContext, name: str) -> TLSStream:
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(stream)
        # HTTP/2 marks its own ends; a daemon that just closes has cut nothing off.
        shaken = await TLSStream.wrap(stream, hostname=name, ssl_context=context, standard_compatible=False)
        opened.pop_all()
    return shaken


def client_context(tls: Tls) -> ssl.SSLContext:
    """What checks a daemon's certificate, and shows ours.

    Raises:
        AddressError: a file cannot be read, or is none.
    """
    try:
        context = ssl.create_default_context(cafile=tls.cacert)
    except (OSError, ssl.SSLError) as error:
        raise AddressError(
            f"cacert: {tls.cacert}: {_reason(error)}", hint="name a PEM file of certificates that can be read"
        ) from error
    if tls.cert is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, password="")
        except (OSError, ssl.SSLError) as error:
            raise AddressError(
                f"cert: {tls.cert}, key: {tls.key}: {_reason(error)}",
                hint="name PEM files that can be read and belong together; the key must not be encrypted",
            ) from error
    return context


def _reason(error: OSError) -> str:
    # An SSLError is an OSError, too, whose strerror is OpenSSL's function and line.
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return reason or str(error) or "not in PEM form"
