"""Where packages are served, and fetching them from there."""

import hashlib
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from hypothesis import given
from hypothesis import strategies as st

from langs.indexes import ORIGINS
from orchestrator.bases import sources
from orchestrator.bases.fetching import fetch
from orchestrator.bases.recipes import Archive
from orchestrator.errors import ConfigError, FleetpacksError, TransientError
from tests.registry.conftest import certified

_CONTENT = b"a package"
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()


def described(**names: str) -> Archive:
    return msgspec.convert({"sha256": _SHA256, "file": "x", "into": "/x", **names}, Archive)


@asynccontextmanager
async def serving(
    pages: Mapping[str, bytes | int], certificate: Path | None = None
) -> AsyncGenerator[tuple[str, list[str]]]:
    """A server of these paths; yields its address, and the paths that were asked for.

    Args:
        pages: what it has, or its status.
        certificate: its own, with the key; None: it speaks plainly.
    """
    asked: list[str] = []
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    async def serve(plain: SocketStream) -> None:
        # Who does not trust us hangs up.
        async with plain:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                await answer(plain if context is None else await TLSStream.wrap(plain, ssl_context=context))

    async def answer(stream: ByteStream) -> None:
        async with stream:
            asked.append((await stream.receive()).split()[1].decode())
            found = pages.get(asked[-1], 404)
            body, status = (b"", found) if isinstance(found, int) else (found, 200)
            head = f"HTTP/1.1 {status} Told\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
            await stream.send(f"{head}Connection: close\r\n\r\n".encode() + body)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{port}", asked
        tasks.cancel_scope.cancel()


_PAGE = f'<a href="../../files/other.whl#sha256={"0" * 64}">x</a><a href="../../files/a.whl#sha256={_SHA256}">a</a>'


@pytest.mark.parametrize(
    ("names", "pages", "asked"),
    [
        ({"npm": "@a/b@1.0.0"}, {"/npm/@a/b/-/b-1.0.0.tgz": _CONTENT}, ["/npm/@a/b/-/b-1.0.0.tgz"]),
        ({"maven": "a.b:c:1.0:jar"}, {"/maven/a/b/c/1.0/c-1.0.jar": _CONTENT}, ["/maven/a/b/c/1.0/c-1.0.jar"]),
        ({"go": "x.org/t@v0.1.0"}, {"/go/x.org/t/@v/v0.1.0.zip": _CONTENT}, ["/go/x.org/t/@v/v0.1.0.zip"]),
        (
            {"pypi": "A_b==1.0"},
            {"/pypi/a-b/": _PAGE.encode(), "/files/a.whl": _CONTENT},
            ["/pypi/a-b/", "/files/a.whl"],
        ),
    ],
    ids=["npm", "maven", "go", "pypi"],
)
async def test_a_package_is_fetched_once_from_where_its_registry_is_said_to_be(
    tmp_path: Path, names: dict[str, str], pages: Mapping[str, bytes], asked: list[str]
) -> None:
    async with serving(pages) as (address, heard):
        registries = {name: f"{address}/{name}" for name in ORIGINS}

        first = await fetch(described(**names), tmp_path, registries)
        again = await fetch(described(**names), tmp_path, registries)

    assert first == again == tmp_path / _SHA256
    assert first.read_bytes() == _CONTENT
    assert heard == asked
    assert [path.name async for path in anyio.Path(tmp_path).iterdir()] == [_SHA256]


@pytest.mark.parametrize(
    ("names", "pages", "kind", "why"),
    [
        ({"npm": "b@1.0.0"}, {}, ConfigError, r"b@1\.0\.0: npm answers 404 Told"),
        ({"npm": "b@1.0.0"}, {"/npm/b/-/b-1.0.0.tgz": 503}, TransientError, "npm answers 503"),
        ({"npm": "b@1.0.0"}, {"/npm/b/-/b-1.0.0.tgz": b"other"}, ConfigError, "serves a file with the digest"),
        ({"pypi": "a==1.0"}, {"/pypi/a/": b"<a href=x>x</a>"}, ConfigError, "lists no file with the digest"),
    ],
)
async def test_what_is_not_the_package_is_an_error_and_is_not_kept(
    tmp_path: Path, names: dict[str, str], pages: Mapping[str, bytes | int], kind: type[FleetpacksError], why: str
) -> None:
    async with serving(pages) as (address, _):
        with pytest.raises(kind, match=why) as caught:
            await fetch(described(**names), tmp_path, {name: f"{address}/{name}" for name in ORIGINS})

    assert address not in caught.value.message
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


async def test_a_registry_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    registries = dict.fromkeys(ORIGINS, "http://127.0.0.1:1")

    with pytest.raises(TransientError, match="npm cannot be asked: ConnectError"):
        await fetch(described(npm="b@1.0.0"), tmp_path, registries)


async def test_a_registry_with_a_certificate_of_the_operators_authority_is_trusted(tmp_path: Path) -> None:
    certificate = certified(tmp_path, "127.0.0.1")
    async with serving({"/npm/b/-/b-1.0.0.tgz": _CONTENT}, certificate) as (address, _):
        registries = {name: f"{address}/{name}" for name in ORIGINS}

        with pytest.raises(TransientError, match="npm cannot be asked: ConnectError"):
            await fetch(described(npm="b@1.0.0"), tmp_path, registries)
        found = await fetch(described(npm="b@1.0.0"), tmp_path, registries, ca=certificate.with_name("ca.pem"))

    assert found.read_bytes() == _CONTENT


def test_capitals_of_a_modules_path_are_escaped() -> None:
    url = sources.go_url("github.com/BurntSushi/toml@v1.0.0-RC1", "https://proxy.example/")

    assert url == "https://proxy.example/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.zip"


@given(st.text(max_size=80), st.text(max_size=20))
def test_a_page_that_is_anything_leads_only_to_what_it_says_has_the_digest(page: str, address: str) -> None:
    assert sources.on_page(page, f"https://index.example/{address}", _SHA256) is None
