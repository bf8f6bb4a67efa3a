"""Credentials as Docker keeps them: its configuration file and credential helpers.

Order, as in docker/cli (`configfile.go`): the helper that `credHelpers` names for this very host, the helper of
`credsStore`, then `auths`. Unlike there, a store that knows nothing does not hide an entry of `auths` with a secret in
it. Everything is read when it is first asked for, and once: most runs need one host.

Nothing read here ever stands in a message.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, ByteSendStream

from orchestrator.errors import ConfigError
from orchestrator.registry.hosts import DOCKER_HUB_KEY, canonical, is_docker_hub

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HELPER_SECONDS = 30.0
_NOT_FOUND = b"credentials not found"
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - the user name that docker-credential-helpers gives to identity tokens


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are for one registry: a user with a password, or an identity token. Shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """An OAuth2 refresh token; when there is one, it is used instead of the password."""
    yields: bool = False
    """Whether it is for want of a better one in Docker's configuration only."""

    def __repr__(self) -> str:
        kind = "identity_token" if self.identity_token else "password"
        return f"Credential(username={self.username!r}, {kind}=<hidden>)"


class _Auth(msgspec.Struct, frozen=True):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None


class _File(msgspec.Struct, frozen=True, rename={"store": "credsStore", "helpers": "credHelpers"}):
    auths: dict[str, _Auth] | None = None
    store: str | None = None
    helpers: dict[str, str] | None = None


class _Answer(msgspec.Struct, frozen=True, rename="pascal"):
    username: str = ""
    secret: str = ""


class Credentials:
    """Looks credentials up by registry host.

    Args:
        file: Docker's `config.json`, or None for anonymous access everywhere. It need not exist.
        given: credentials by host which somebody gave for this run; the file is not asked for these hosts, unless one
            yields.
    """

    def __init__(self, file: Path | None, given: Mapping[str, Credential] = {}) -> None:
        self._file = file
        self._content: _File | None = None
        by_host = {canonical(host): each for host, each in given.items()}
        self._known: dict[str, Credential | None] = {host: each for host, each in by_host.items() if not each.yields}
        self._yielding = {host: each for host, each in by_host.items() if each.yields}
        self._lock = anyio.Lock()

    async def lookup(self, host: str) -> Credential | None:
        """The credential for a registry host (`docker.io`, `registry.example:5000`), or None.

        Raises:
            ConfigError: the file or a helper's answer is malformed, or the helper is missing or fails.
        """
        host = canonical(host)
        async with self._lock:
            if host not in self._known:
                self._known[host] = await self._find(host) or self._yielding.get(host)
            return self._known[host]

    async def _find(self, host: str) -> Credential | None:
        if self._file is None:
            return None
        if self._content is None:
            self._content = await _read(self._file)
        content = self._content
        key = DOCKER_HUB_KEY if is_docker_hub(host) else host
        named = {canonical(_host_of(name)): helper for name, helper in (content.helpers or {}).items()}.get(host)
        if named is not None:
            return await _ask_helper(self._file, "credHelpers", named, key)
        if content.store and (found := await _ask_helper(self._file, "credsStore", content.store, key)) is not None:
            return found
        auths = content.auths or {}
        matching = [auths[key]] if key in auths else [auth for name, auth in auths.items() if _matches(name, host)]
        return _from_auth(self._file, host, matching[0]) if matching else None


def _matches(key: str, host: str) -> bool:
    return canonical(_host_of(key)) == host


def _host_of(key: str) -> str:
    """The host of a key, which may be a URL: docker login of old wrote `https://registry.example/v1/`."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


async def _read(file: Path) -> _File:
    try:
        body = await anyio.Path(file).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return _File()
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read: {error.strerror}",
            hint="make it readable, or set DOCKER_CONFIG to another directory",
        ) from None
    try:
        return msgspec.json.decode(body, type=_File) if body.strip() else _File()
    except msgspec.DecodeError as error:
        # msgspec tells places and types, never values. A ValidationError is one of these, too.
        raise ConfigError(
            f"{file}: this is not Docker's configuration file: {error}",
            hint="expected a JSON object with auths, credsStore or credHelpers, as docker login writes it",
        ) from None


def _from_auth(file: Path, host: str, auth: _Auth) -> Credential | None:
    username, password = auth.username or "", auth.password or ""
    if auth.auth:
        username, password = _decode_auth(file, host, auth.auth)
    if auth.identitytoken:
        return Credential(username=username, identity_token=auth.identitytoken)
    return Credential(username=username, password=password) if username and password else None


def _decode_auth(file: Path, host: str, auth: str) -> tuple[str, str]:
    try:
        # docker/cli pads old entries with NUL bytes at the end.
        text = base64.b64decode(auth, validate=True).decode().rstrip("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon or not username:
        raise ConfigError(
            f"{file}: auths: {host}: auth: expected base64 of USER:PASSWORD", hint=f"run docker login {host} again"
        )
    return username, password


async def _ask_helper(file: Path, key: str, helper: str, server: str) -> Credential | None:
    """Run `docker-credential-HELPER get` (protocol: docker/docker-credential-helpers, `credentials.Serve`)."""
    if not _HELPER.fullmatch(helper):
        raise ConfigError(
            f"{file}: {key}: the helper's name must be a plain word",
            hint="write ecr-login for docker-credential-ecr-login",
        )
    program = f"docker-credential-{helper}"
    try:
        with anyio.fail_after(_HELPER_SECONDS):
            code, output = await _run(program, server)
    except TimeoutError:
        raise _helper_failed(file, key, program, f"gave no answer in {_HELPER_SECONDS:.0f} s") from None
    except OSError as error:
        raise ConfigError(
            f"{file}: {key}: {program} cannot be run: {error.strerror}",
            hint=f"install {program} on PATH, or remove {helper} from {file}",
        ) from None
    if code:
        # The helper's words may hold anything, so none of them is repeated.
        if _NOT_FOUND in output.lower():
            return None
        raise _helper_failed(file, key, program, f"ended with exit code {code}")
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.DecodeError:
        raise _helper_failed(file, key, program, "did not answer with JSON of Username and Secret") from None
    if not answer.secret:
        return None
    if answer.username == _IDENTITY_TOKEN_USER:
        return Credential(identity_token=answer.secret)
    return Credential(username=answer.username, password=answer.secret)


async def _run(program: str, question: str) -> tuple[int, bytes]:
    """Exit code and output of a helper, which may well answer without having read the question."""
    output = bytearray()
    code = 0
    async with await anyio.open_process([program, "get"]) as process, anyio.create_task_group() as group:
        if process.stdin is not None:
            group.start_soon(_ask, process.stdin, question)
        if process.stderr is not None:
            group.start_soon(_drain, process.stderr)
        if process.stdout is not None:
            async for chunk in process.stdout:
                output += chunk
        code = await process.wait()
    return code, bytes(output)


async def _ask(stdin: ByteSendStream, question: str) -> None:
    with suppress(anyio.BrokenResourceError):
        await stdin.send(question.encode())
        await stdin.aclose()


async def _drain(stream: ByteReceiveStream) -> None:
    async for _ in stream:
        pass


def _helper_failed(file: Path, key: str, program: str, what: str) -> ConfigError:
    return ConfigError(f"{file}: {key}: {program} {what}", hint=f"try it: echo HOST | {program} get")
