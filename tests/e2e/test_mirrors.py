"""Mirrors of package indexes: a real installation goes through the operator's, and no image knows of it."""

import secrets
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_secrets import words_in_image
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_HOP = frozenset({"connection", "content-length", "transfer-encoding", "content-encoding"})
_INTEGRITY = "sha512-NiSupZ4OeuGwr68lGIeym/ksIZMJodUGOSCZ/FSnTxcrekbvqrgdUxlJOMpijaKZVjAJrWrGs/6Jy8OMuyj9ow=="


class Case(msgspec.Struct, frozen=True, kw_only=True):
    index: str
    upstream: str
    files: Mapping[str, str]
    """In which `%s` becomes a random word, so that nothing of an earlier run is cached."""
    step: str
    """A part of the name of the step that installs."""
    by_password: bool = False
    """Whether the token is the address's password: many tools print addresses, without those."""
    dear: bool = False
    """Whether it is tried in `.ci/full` only: it takes three quarters of a minute."""


CASES = {
    "npm": Case(
        index="npm",
        upstream="https://registry.npmjs.org",
        files={
            "package.json": '{"name": "a", "description": "%s", "scripts": {"start": "node server.js"},'
            ' "dependencies": {"escape-html": "1.0.3"}}',
            "package-lock.json": '{"name": "a", "lockfileVersion": 3, "requires": true, "packages": {"": {"name": "a",'
            ' "dependencies": {"escape-html": "1.0.3"}}, "node_modules/escape-html": {"version": "1.0.3", "resolved":'
            ' "https://registry.npmjs.org/escape-html/-/escape-html-1.0.3.tgz", "integrity": "' + _INTEGRITY + '"}}}',
            "server.js": "require('node:http').createServer().listen(process.env.PORT)\n",
        },
        step="npm ci",
    ),
    "pip": Case(
        index="pypi",
        upstream="https://pypi.org/simple",
        files={
            "requirements.txt": "# %s\nbottle==0.13.4\n",
            "app.py": "import bottle\napp = bottle.Bottle()\napp.run()\n",
        },
        step="-r requirements.txt",
        by_password=True,
    ),
    "go": Case(
        dear=True,
        index="go",
        upstream="https://proxy.golang.org",
        files={
            "go.mod": "// %s\nmodule example.com/a\n\ngo 1.25\n\nrequire github.com/go-chi/chi/v5 v5.2.3\n",
            "go.sum": "github.com/go-chi/chi/v5 v5.2.3 h1:WQIt9uxdsAbgIYgid+BpYc+liqQZGMHRaUwp0JUcvdE=\n"
            "github.com/go-chi/chi/v5 v5.2.3/go.mod h1:L2yAIGWB3H+phAw1NxKwWM+7eUH/lU8pOMm5hHcoops=\n",
            "main.go": 'package main\n\nimport "github.com/go-chi/chi/v5"\n\nfunc main() { chi.NewRouter() }\n',
        },
        step="go mod download",
    ),
    "gradle": Case(
        dear=True,
        index="maven",
        upstream="https://repo1.maven.org/maven2",
        files={
            "build.gradle": "// %s\napply plugin: 'application'\nmainClassName = 'A'\nrepositories { mavenCentral() }\n"
            "dependencies { implementation 'org.slf4j:slf4j-api:1.7.36' }\n",
            "src/main/java/A.java": "class A { public static void main(String[] words) "
            "{ org.slf4j.LoggerFactory.getILoggerFactory(); } }\n",
        },
        step="not everything could be fetched",
        by_password=True,
    ),
    "apt": Case(
        index="apt",
        upstream="http://deb.debian.org",
        files={
            # A gem of the app's own, by a name that the library of a known one comes with.
            "Gemfile": "# %s\nsource 'https://rubygems.org'\ngem 'pg', path: 'pg'\n",
            "pg/pg.gemspec": "Gem::Specification.new { |s| s.name = 'pg'; s.version = '1'; s.summary = 'x';"
            " s.authors = ['x']; s.files = [] }\n",
            "Procfile": "web: ruby server.rb\n",
            "server.rb": "puts 1\n",
        },
        step="apt-get install",
        by_password=True,
    ),
}


class Mirror:
    """A mirror on this machine, which answers only whoever knows its token, and remembers what it was asked."""

    def __init__(self, url: str, asked: list[str]) -> None:
        self.url = url
        self.asked = asked


@asynccontextmanager
async def mirror(
    case: Case, token: str, *, at: str = "127.0.0.1", tls: ssl.SSLContext | None = None, through: str = ""
) -> AsyncGenerator[Mirror]:
    """Serve one index.

    Args:
        case: whose.
        token: without which nobody gets anything.
        at: the address at which it listens.
        tls: what is spoken; None: plain HTTP.
        through: the host for which it is the proxy, too.
    """
    authorization = b"basic " + b64encode(f"user:{token}".encode())
    prefix = "" if case.by_password else f"/{token}"
    asked: list[str] = []

    async def serve(stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                data = b""
                while b"\r\n\r\n" not in data:
                    data += await stream.receive()
                path = data.split(b" ", 2)[1].decode().removeprefix(f"http://{through}" if through else "")
                known = authorization.lower() in data.lower() if case.by_password else path.startswith(f"{prefix}/")
                if not known:
                    # Most tools say a password only where they are asked for one.
                    refusal = b'401 Unauthorized\r\nwww-authenticate: Basic realm="mirror"'
                    await stream.send(b"HTTP/1.1 " + refusal + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    return
                asked.append(path.removeprefix(prefix))
                answer = await real.get(case.upstream + asked[-1], headers={"accept": _accepted(data)})
                head = "".join(
                    f"{name}: {value}\r\n" for name, value in answer.headers.items() if name.lower() not in _HOP
                )
                size = f"content-length: {len(answer.content)}\r\nconnection: close\r\n\r\n"
                await stream.send(f"HTTP/1.1 {answer.status_code} x\r\n{head}{size}".encode() + answer.content)

    async with (
        httpx.AsyncClient(timeout=60, follow_redirects=True) as real,
        await anyio.create_tcp_listener(local_host=at) as listener,
        anyio.create_task_group() as tasks,
    ):
        secure = TLSListener(listener, tls, standard_compatible=False) if tls is not None else listener
        tasks.start_soon(secure.serve, serve)
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        user = f"user:{token}@" if case.by_password else ""
        yield Mirror(f"{'http' if tls is None else 'https'}://{user}{at}:{port}{prefix}", asked)
        tasks.cancel_scope.cancel()


def _accepted(request: bytes) -> str:
    lines = request.split(b"\r\n")
    found = (line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"accept:"))
    return next(found, b"*/*").decode()


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items() if FULL or not case.dear])
async def test_an_installation_goes_through_the_operators_mirror_which_no_image_knows(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path, case: Case
) -> None:
    word, tokens = secrets.token_hex(8), (secrets.token_hex(16), secrets.token_hex(16))
    for name, text in case.files.items():
        (tmp_path / "source/app" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source/app" / name).write_text(text.replace("%s", word))
    (tmp_path / "operator.toml").write_text(f'[mirrors]\n{case.index} = {{ env = "THE_MIRROR" }}\n')
    image = f"{lab.registry}/{word}/{{app}}:latest"

    async def built(mirrored: Mirror, *, fresh: bool) -> Ran:
        variables = {
            "FLEETPACKS_CONFIG": str(tmp_path / "operator.toml"),
            "THE_MIRROR": mirrored.url,
            "CACHE_KEY": word,
            # What comes before an app's files is the same in every run of this test.
            "NO_CACHE": str(fresh).lower(),
        }
        async with build(tmp_path / "source", image=image, variables=variables) as running:
            ran = await running.end()
        real_count.record("build")
        assert ran.code == 0, [*ran.failed().values(), ran.err]
        return ran

    async with mirror(case, tokens[0]) as first, mirror(case, tokens[1]) as second:
        ran = await built(first, fresh=True)
        again = await built(second, fresh=False)

    assert first.asked
    installed = next(step for name, step in ran.steps("app").items() if case.step in name)
    assert not installed.cached
    # Another address makes no other layer.
    assert second.asked == []
    assert [event.steps - event.cached for event in again.completed().values()] == [0]
    assert again.completed()["app"].digest == ran.completed()["app"].digest
    words = tuple(word.encode() for word in (*tokens, "fleetpacks-index", "PORT=5000"))
    found = await words_in_image(lab, f"{lab.registry}/{word}/app:latest", words, tmp_path / "image")
    # The port shows that the search would find the others.
    assert found == {b"PORT=5000"}
    output = msgspec.json.encode(ran.events) + ran.err.encode()
    assert not [token for token in tokens if token.encode() in output]
