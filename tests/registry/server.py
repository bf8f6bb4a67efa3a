"""A small real registry in this process: a TCP listener, h11, and the parts of the distribution protocol under test.

It answers as a registry does and remembers every request. `faults` are taken before the real answer, in order, each by
the first request that it matches.
"""

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import h11
import msgspec
from anyio.streams.tls import TLSListener

from orchestrator.registry.manifest import OCI_MANIFEST

REALM_HOLE = "{base}"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back; `cut_after` closes the connection after so many bytes of the body."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut_after: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An answer instead of the real one, once. None as answer closes the connection without a word."""

    answer: Answer | None
    method: str = ""
    path: str = ""

    def matches(self, request: Seen) -> bool:
        return self.method in {"", request.method} and self.path in request.path


class Server:
    """A registry's state. Addresses are known while `running`.

    Args:
        auth: what it asks for.
        users: name to password.
        identity_tokens: OAuth2 refresh tokens that it knows.
        realm: the token server it names; `{base}` is its own address.
        scope_in_challenge: whether its challenge says which scope is wanted.
    """

    def __init__(
        self,
        *,
        auth: Literal["none", "basic", "token"] = "none",
        users: Mapping[str, str] | None = None,
        identity_tokens: frozenset[str] = frozenset(),
        realm: str = "{base}/token",
        scope_in_challenge: bool = True,
        expires_in: object = 300,
    ) -> None:
        self.auth = auth
        self.users = dict(users or {})
        self.identity_tokens = identity_tokens
        self.realm = realm
        self.scope_in_challenge = scope_in_challenge
        self.expires_in = expires_in
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.connections = 0
        self.on_request: Callable[[Seen], None] = _ignore
        self.tokens: dict[str, str] = {}
        self.scheme = "http"
        self.host = ""

    @property
    def base(self) -> str:
        return f"{self.scheme}://{self.host}"

    def add_manifest(self, path: str, tag: str, body: bytes, media_type: str = OCI_MANIFEST) -> str:
        digest = sha256(body)
        for identifier in (tag, digest):
            self.manifests[f"{path}/manifests/{identifier}"] = (media_type, body)
        return digest

    def add_blob(self, body: bytes) -> str:
        digest = sha256(body)
        self.blobs[digest] = body
        return digest

    def requests(self, method: str, part: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and part in seen.path]

    def answer(self, request: Seen) -> Answer | None:
        self.on_request(request)
        for fault in self.faults:
            if fault.matches(request):
                self.faults.remove(fault)
                return fault.answer
        if request.path == "/token":
            return self._token(request)
        if not request.path.startswith("/v2/"):
            return refusal(404, "UNSUPPORTED", "no such thing")
        return self._unauthorized(request) or self._registry(request)

    def _registry(self, request: Seen) -> Answer:
        name = request.path.removeprefix("/v2/")
        if not name:
            return Answer(body=b"{}")
        if name.endswith("/tags/list"):
            return self._tags(name.removesuffix("/tags/list"))
        if "/blobs/" in name:
            blob = self.blobs.get(name.rpartition("/")[2])
            return refusal(404, "BLOB_UNKNOWN", "blob unknown") if blob is None else Answer(body=blob)
        if request.method == "PUT":
            digest = sha256(request.body)
            path = name.partition("/manifests/")[0]
            for identifier in (name.rpartition("/")[2], digest):
                self.manifests[f"{path}/manifests/{identifier}"] = (request.headers["content-type"], request.body)
            return Answer(status=201, headers=(("docker-content-digest", digest),))
        if name not in self.manifests:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, body = self.manifests[name]
        return Answer(headers=(("content-type", media_type), ("docker-content-digest", sha256(body))), body=body)

    def _tags(self, path: str) -> Answer:
        identifiers = [
            name.removeprefix(f"{path}/manifests/") for name in self.manifests if name.startswith(f"{path}/")
        ]
        tags = [identifier for identifier in identifiers if not identifier.startswith("sha256:")]
        if not tags:
            return refusal(404, "NAME_UNKNOWN", "repository name not known to registry")
        return Answer(body=json.dumps({"name": path, "tags": tags}).encode())

    def _unauthorized(self, request: Seen) -> Answer | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if self.auth == "none" or (self.auth == "basic" and scheme == "Basic" and self._user(value)):
            return None
        scope = self._scope(request)
        if self.auth == "token" and scheme == "Bearer" and value in self.tokens and scope in self.tokens[value]:
            return None
        if self.auth == "basic":
            challenge = 'Basic realm="this registry"'
        else:
            challenge = f'Bearer realm="{self.realm.replace(REALM_HOLE, self.base)}",service="registry.test"'
            challenge += f',scope="{scope}"' if scope and self.scope_in_challenge else ""
        refused = refusal(401, "UNAUTHORIZED", "authentication required")
        return msgspec.structs.replace(refused, headers=(*refused.headers, ("www-authenticate", challenge)))

    def _scope(self, request: Seen) -> str:
        name = request.path.removeprefix("/v2/")
        for middle in ("/manifests/", "/blobs/", "/tags/"):
            if middle in name:
                actions = "pull,push" if request.method == "PUT" else "pull"
                return f"repository:{name.partition(middle)[0]}:{actions}"
        return ""

    def _token(self, request: Seen) -> Answer:
        if request.method == "POST":
            form = parse_qs(request.body.decode())
            if form.get("grant_type") != ["refresh_token"] or form["refresh_token"][0] not in self.identity_tokens:
                return refusal(401, "UNAUTHORIZED", "bad identity token")
            return self._give("access_token", form.get("scope", [""])[0])
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if (self.users or self.identity_tokens) and not (scheme == "Basic" and self._user(value)):
            return refusal(401, "UNAUTHORIZED", "incorrect username or password")
        return self._give("token", " ".join(request.query.get("scope", [])))

    def _give(self, key: str, scope: str) -> Answer:
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = scope
        body = {key: token, "expires_in": self.expires_in}
        return Answer(headers=(("content-type", "application/json"),), body=json.dumps(body).encode())

    def _user(self, pair: str) -> bool:
        name, _, password = base64.b64decode(pair).decode().partition(":")
        return self.users.get(name) == password


def refusal(status: int, code: str, message: str, **headers: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status=status, headers=(("content-type", "application/json"), *named), body=body)


def _ignore(request: Seen) -> None:
    """Watch nothing."""


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@asynccontextmanager
async def running(server: Server, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server, None]:
    """Let a server answer on a free port of 127.0.0.1."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
    server.host = f"127.0.0.1:{port}"
    server.scheme = "http" if tls is None else "https"
    shown: anyio.abc.Listener[anyio.abc.ByteStream] = (
        listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
    )
    async with listener, anyio.create_task_group() as group:
        group.start_soon(shown.serve, _connection(server))
        yield server
        group.cancel_scope.cancel()


def _connection(server: Server) -> Callable[[anyio.abc.ByteStream], "anyio.abc.TaskStatus[None] | object"]:
    async def handle(stream: anyio.abc.ByteStream) -> None:
        server.connections += 1
        async with stream:
            try:
                await _talk(stream, server.answer, server.seen)
            except (h11.RemoteProtocolError, anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                # A client that leaves, or that speaks TLS: as any server, we close.
                return

    return handle


async def _talk(stream: anyio.abc.ByteStream, answer: Callable[[Seen], Answer | None], seen: list[Seen]) -> None:
    connection = h11.Connection(h11.SERVER)
    while (request := await _request(stream, connection)) is not None:
        seen.append(request)
        reply = answer(request)
        if reply is None:
            return
        headers = [*reply.headers]
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("content-length", str(len(reply.body))))
        head = connection.send(h11.Response(status_code=reply.status, headers=headers)) or b""
        if request.method == "HEAD":
            body = b""
        elif reply.cut_after is not None:
            await stream.send(head + reply.body[: reply.cut_after])
            return
        else:
            body = connection.send(h11.Data(data=reply.body)) or b""
        await stream.send(head + body + (connection.send(h11.EndOfMessage()) or b""))
        if connection.our_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _request(stream: anyio.abc.ByteStream, connection: h11.Connection) -> Seen | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive())
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Seen(method=head.method.decode(), target=head.target.decode(), headers=headers, body=bytes(body))
        else:
            return None
