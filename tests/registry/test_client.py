"""The client against a real HTTP server that answers, refuses, cuts and lies."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from orchestrator.errors import (
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)
from orchestrator.model import Registry
from orchestrator.registry.backoff import Patience, Timing
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from orchestrator.registry.reference import Reference, parse
from tests.registry.server import Answer, Fault, Server, refusal, running, sha256
from tests.registry.test_connections import listening

BODY = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {}, "layers": []}).encode()
ALICE = {"alice": "s3cret"}
DEEP = b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
"""Right JSON, and more than a decoder's stack."""


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.slept: list[float] = []

    def timing(self) -> Timing:
        return Timing(now=lambda: self.time, sleep=self._sleep, jitter=lambda: 0.0)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


def docker_config(directory: Path, auths: dict[str, dict[str, str]]) -> Credentials:
    file = directory / "config.json"
    file.write_text(json.dumps({"auths": auths}))
    return Credentials(file)


@asynccontextmanager
async def client_of(
    credentials: Credentials | None = None, *, clock: Clock | None = None, patience: Patience | None = None
) -> AsyncGenerator[RegistryClient, None]:
    timing = (clock or Clock()).timing()
    async with RegistryClient(credentials or Credentials(None), {}, patience=patience, timing=timing) as client:
        yield client


def image(server: Server, rest: str = "team/api:1") -> Reference:
    return parse(f"{server.host}/{rest}")


async def test_a_manifest_is_read_by_digest_and_put_under_a_tag() -> None:
    async with running(Server()) as server, client_of() as client:
        digest = server.add_manifest("team/api", "built", BODY)
        reference = image(server).with_digest(digest)

        manifest = await client.get_manifest(reference)
        await client.put_manifest(reference.with_tag("2"), manifest)

        assert manifest == Manifest(media_type=OCI_MANIFEST, body=BODY, digest=digest)
        assert server.manifests["team/api/manifests/2"] == (OCI_MANIFEST, BODY)


async def test_head_tells_digest_size_and_type_or_nothing() -> None:
    async with running(Server()) as server, client_of() as client:
        digest = server.add_manifest("team/api", "1", BODY, OCI_INDEX)

        found = await client.head(image(server))
        missing = await client.head(image(server, "team/api:none"))

        assert found == Descriptor(media_type=OCI_INDEX, digest=digest, size=len(BODY))
        assert missing is None


async def test_head_without_a_digest_header_reads_the_manifest_instead() -> None:
    async with running(Server()) as server, client_of() as client:
        digest = server.add_manifest("team/api", "1", BODY)
        server.faults.append(Fault(method="HEAD", answer=Answer(headers=(("content-type", OCI_MANIFEST),))))

        found = await client.head(image(server))

        assert found == Descriptor(media_type=OCI_MANIFEST, digest=digest, size=len(BODY))


async def test_an_unknown_image_is_not_found_with_the_registrys_reason() -> None:
    async with running(Server()) as server, client_of() as client:
        with pytest.raises(ImageNotFoundError, match="MANIFEST_UNKNOWN: manifest unknown"):
            await client.get_manifest(image(server))


async def test_an_open_registry_is_asked_without_authorization() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", BODY)

        await client.challenges(server.host)
        await client.get_manifest(image(server))

        assert all("authorization" not in seen.headers for seen in server.seen)


@pytest.mark.parametrize("scope_in_challenge", [True, False])
async def test_a_token_is_fetched_by_password_and_kept(tmp_path: Path, *, scope_in_challenge: bool) -> None:
    server = Server(auth="token", users=ALICE, scope_in_challenge=scope_in_challenge)
    async with running(server):
        server.add_manifest("team/api", "1", BODY)
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client:
            for _ in range(3):
                await client.get_manifest(image(server))

        asked = server.requests("GET", "/token")
        assert [seen.query for seen in asked] == [{"service": ["registry.test"], "scope": ["repository:team/api:pull"]}]
        assert all("s3cret" not in seen.target for seen in server.seen)


async def test_many_requests_at_once_share_one_token(tmp_path: Path) -> None:
    server = Server(auth="token", users=ALICE)
    async with running(server):
        server.add_manifest("team/api", "1", BODY)
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client, anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(client.get_manifest, image(server))

        assert len(server.requests("GET", "/token")) == 1


async def test_an_expired_token_is_replaced_before_it_is_used() -> None:
    clock = Clock()
    async with running(Server(auth="token", expires_in="60")) as server, client_of(clock=clock) as client:
        server.add_manifest("team/api", "1", BODY)

        await client.get_manifest(image(server))
        clock.time += 58
        await client.get_manifest(image(server))

        assert len(server.requests("GET", "/token")) == 2
        assert [seen.headers.get("authorization") for seen in server.requests("GET", "/manifests/")] == [
            None,
            "Bearer token-0",
            "Bearer token-1",
        ]


async def test_a_token_that_is_refused_is_fetched_again_once() -> None:
    async with running(Server(auth="token")) as server, client_of() as client:
        server.add_manifest("team/api", "1", BODY)
        await client.get_manifest(image(server))
        server.tokens["token-0"] = "revoked"

        await client.get_manifest(image(server))

        assert len(server.requests("GET", "/token")) == 2


async def test_an_identity_token_is_posted_and_never_put_in_a_url(tmp_path: Path) -> None:
    server = Server(auth="token", identity_tokens=frozenset({"refresh-me"}))
    async with running(server):
        server.add_manifest("team/api", "1", BODY)
        credentials = docker_config(tmp_path, {server.host: {"identitytoken": "refresh-me"}})
        async with client_of(credentials) as client:
            await client.get_manifest(image(server))

        assert len(server.requests("POST", "/token")) == 1
        assert all("refresh-me" not in seen.target for seen in server.seen)


async def test_basic_authentication_is_sent_at_the_first_try_once_it_was_asked_for(tmp_path: Path) -> None:
    server = Server(auth="basic", users=ALICE)
    async with running(server):
        server.add_manifest("team/api", "1", BODY)
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client:
            await client.get_manifest(image(server))
            await client.get_manifest(image(server))

        sent = ["authorization" in seen.headers for seen in server.requests("GET", "/manifests/")]
        assert sent == [False, True, True]


@pytest.mark.parametrize("auth", ["basic", "token"])
async def test_a_refusal_without_credentials_hints_at_docker_login(auth: str) -> None:
    server = Server(auth="basic" if auth == "basic" else "token", users=ALICE)
    async with running(server), client_of() as client:
        with pytest.raises(RegistryError) as caught:
            await client.get_manifest(image(server))

        assert f"docker login {server.host}" in caught.value.hint


async def test_a_wrong_password_is_an_error_without_the_password(tmp_path: Path) -> None:
    server = Server(auth="token", users={"alice": "other"})
    async with running(server):
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client:
            with pytest.raises(RegistryError, match="incorrect username or password") as caught:
                await client.get_manifest(image(server))

        assert "s3cret" not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"


async def test_a_denied_push_tells_the_registrys_code_in_one_clean_line() -> None:
    async with running(Server()) as server, client_of() as client:
        server.faults.append(Fault(method="PUT", answer=refusal(403, "DENIED", "quota\x1b[31m\nused " + "up" * 500)))
        manifest = Manifest(media_type=OCI_MANIFEST, body=BODY, digest=sha256(BODY))

        with pytest.raises(RegistryError, match="DENIED: quota") as caught:
            await client.put_manifest(image(server), manifest)

        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 450


async def test_one_request_after_another_takes_one_connection() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", BODY)
        server.faults.append(Fault(path="/manifests/3", answer=refusal(404, "MANIFEST_UNKNOWN", "")))

        manifest = await client.get_manifest(image(server))
        there = await client.head(image(server))
        await client.put_manifest(image(server, "2"), manifest)
        gone = await client.head(image(server, "3"))
        again = await client.get_manifest(image(server, "2"))

        assert (there is not None, gone, again) == (True, None, manifest)
        assert server.connections == 1


async def test_many_requests_at_once_share_eight_connections() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", BODY)
        await client.get_manifest(image(server))

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(client.get_manifest, image(server))

        assert len(server.requests("GET", "/manifests/")) == 41
        assert server.connections <= 8


async def test_connections_are_handed_on_when_there_are_more_registries_than_those() -> None:
    async with AsyncExitStack() as stack, client_of() as client:
        servers = [await stack.enter_async_context(running(Server())) for _ in range(10)]
        for server in servers:
            server.add_manifest("team/api", "1", BODY)

        for _ in range(2):
            for server in servers:
                assert (await client.get_manifest(image(server))).body == BODY


async def test_retry_after_is_obeyed() -> None:
    clock = Clock()
    async with running(Server()) as server, client_of(clock=clock) as client:
        server.add_manifest("team/api", "1", BODY)
        server.faults.append(Fault(path="/manifests/", answer=refusal(429, "TOOMANYREQUESTS", "slow", retry_after="7")))
        server.faults.append(Fault(path="/manifests/", answer=refusal(503, "UNAVAILABLE", "", retry_after="3")))

        await client.get_manifest(image(server))

        assert clock.slept == [7.0, 3.0]


async def test_a_retry_after_beyond_our_patience_ends_at_once_with_its_time() -> None:
    clock = Clock()
    async with running(Server()) as server, client_of(clock=clock) as client:
        server.faults.append(Fault(path="/manifests/", answer=refusal(429, "TOOMANYREQUESTS", "", retry_after="3600")))

        with pytest.raises(RegistryBusyError, match="come back in 3600 s"):
            await client.get_manifest(image(server))

        assert clock.slept == []


async def test_server_errors_and_lost_connections_are_tried_again_with_growing_pauses() -> None:
    clock = Clock()
    async with running(Server()) as server, client_of(clock=clock) as client:
        server.add_manifest("team/api", "1", BODY)
        whole = Answer(headers=(("content-type", OCI_MANIFEST),), body=BODY)
        server.faults = [
            Fault(path="/manifests/", answer=refusal(500, "UNKNOWN", "oops")),
            Fault(path="/manifests/", answer=None),
            Fault(path="/manifests/", answer=Answer(headers=whole.headers, body=BODY, cut_after=10)),
        ]

        manifest = await client.get_manifest(image(server))

        assert manifest.body == BODY
        assert clock.slept == [0.25, 0.5, 1.0]


async def test_the_number_of_attempts_is_bounded() -> None:
    clock = Clock()
    async with running(Server()) as server, client_of(clock=clock, patience=Patience(attempts=3)) as client:
        server.faults = [Fault(path="/manifests/", answer=refusal(502, "", "bad gateway")) for _ in range(9)]

        with pytest.raises(RegistryBusyError, match="HTTP 502, bad gateway"):
            await client.get_manifest(image(server))

        assert len(server.requests("GET", "/manifests/")) == 3


async def test_an_unreachable_registry_is_unavailable_after_all_attempts() -> None:
    async with running(Server()) as server:
        gone = image(server)
    async with client_of() as client:
        with pytest.raises(RegistryUnavailableError) as caught:
            await client.get_manifest(gone)

        assert gone.host in caught.value.message
        assert not isinstance(caught.value, RegistryBusyError)


async def test_a_refusal_nested_too_deeply_is_a_refusal_without_a_reason() -> None:
    async with running(Server()) as server, client_of() as client:
        server.faults.append(Fault(path="/manifests/", answer=Answer(status=403, body=DEEP)))

        with pytest.raises(RegistryError, match=r"HTTP 403$"):
            await client.get_manifest(image(server))


async def test_a_manifest_nested_too_deeply_is_refused() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", DEEP)

        with pytest.raises(ProtocolError, match="cannot be trusted"):
            await client.get_manifest(image(server))


async def test_bytes_of_another_digest_are_refused() -> None:
    async with running(Server()) as server, client_of() as client:
        digest = server.add_manifest("team/api", "1", BODY)
        server.manifests[f"team/api/manifests/{digest}"] = (OCI_MANIFEST, BODY + b" ")

        with pytest.raises(ProtocolError, match=digest):
            await client.get_manifest(image(server).with_digest(digest))


async def test_a_declared_digest_that_is_wrong_is_refused() -> None:
    async with running(Server()) as server, client_of() as client:
        headers = (("content-type", OCI_MANIFEST), ("docker-content-digest", sha256(b"other")))
        server.faults.append(Fault(path="/manifests/", answer=Answer(headers=headers, body=BODY)))

        with pytest.raises(ProtocolError, match="declares"):
            await client.get_manifest(image(server))


async def test_a_manifest_that_is_two_things_at_once_is_refused() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", BODY, OCI_INDEX)

        with pytest.raises(ProtocolError, match="calls itself"):
            await client.get_manifest(image(server))


async def test_an_endless_manifest_is_not_read_to_its_end() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "1", b" " * (4 * 1024 * 1024 + 1))

        with pytest.raises(ProtocolError, match="longer than"):
            await client.get_manifest(image(server))


@pytest.mark.parametrize(("body", "size"), [(b"other bytes", 11), (b"longer than said", 10), (b"short", 10)])
async def test_a_blob_that_is_not_its_descriptor_is_refused(body: bytes, size: int) -> None:
    async with running(Server()) as server, client_of() as client:
        digest = sha256(b"the blob..")
        server.blobs[digest] = body

        with pytest.raises(ProtocolError, match="not those of its digest"):
            await client.get_blob(image(server), Descriptor(media_type="x/y", digest=digest, size=size), _discard)


async def test_a_blob_cut_in_the_middle_is_an_error_that_can_be_retried() -> None:
    async with running(Server()) as server, client_of() as client:
        blob = b"b" * 300_000
        digest = server.add_blob(blob)
        server.faults.append(Fault(path="/blobs/", answer=Answer(body=blob, cut_after=200_000)))

        with pytest.raises(RegistryUnavailableError):
            await client.get_blob(image(server), Descriptor(media_type="x/y", digest=digest, size=len(blob)), _discard)

        assert len(server.requests("GET", "/blobs/")) == 1


async def test_a_blob_is_followed_to_another_host_without_our_authorization(tmp_path: Path) -> None:
    server = Server(auth="basic", users=ALICE)
    async with running(server), running(Server()) as storage:
        blob = b"layer bytes"
        digest = server.add_blob(blob)
        storage.add_blob(blob)
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        received = bytearray()

        async def sink(chunk: bytes) -> None:
            received.extend(chunk)

        async with client_of(credentials) as client:
            server.add_manifest("team/api", "1", BODY)
            await client.get_manifest(image(server))
            away = (("location", f"http://{storage.host}/v2/x/blobs/{digest}?signed=1"),)
            server.faults.append(Fault(path="/blobs/", answer=Answer(status=307, headers=away)))
            await client.get_blob(image(server), Descriptor(media_type="x/y", digest=digest, size=len(blob)), sink)

        assert bytes(received) == blob
        assert "authorization" in server.requests("GET", "/blobs/")[0].headers
        assert "authorization" not in storage.seen[0].headers


async def test_a_redirect_that_leaves_and_returns_does_not_get_the_authorization_back(tmp_path: Path) -> None:
    server = Server(auth="basic", users=ALICE)
    async with running(server), running(Server()) as other:
        server.add_manifest("team/api", "1", BODY)
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client:
            await client.get_manifest(image(server))
            server.faults.append(
                Fault(path="/manifests/", answer=Answer(status=302, headers=(("location", f"{other.base}/there"),)))
            )
            back = f"{server.base}/v2/team/api/manifests/stolen"
            other.faults.append(Fault(answer=Answer(status=302, headers=(("location", back),))))
            # Its 401 is then answered with a request of its own; what counts is the one that the redirect caused.
            await client.get_manifest(image(server))

        assert "authorization" not in server.requests("GET", "stolen")[0].headers


async def test_a_redirect_leaves_its_connection_to_the_next_request() -> None:
    async with running(Server()) as server, client_of() as client:
        server.add_manifest("team/api", "2", BODY)
        there = (("location", "/v2/team/api/manifests/2"),)
        server.faults.append(Fault(path="/manifests/1", answer=Answer(status=307, headers=there, body=b"x" * 5000)))

        manifest = await client.get_manifest(image(server))

        assert manifest.body == BODY
        assert server.connections == 1


@pytest.mark.parametrize("says", [b"x" * 200_000, b"and then nothing"], ids=["much", "slowly"])
async def test_a_redirect_that_says_much_or_says_it_slowly_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    monkeypatch.setattr("orchestrator.registry.transport._PASSING_SECONDS", 0.05)
    async with running(Server()) as server:
        digest = server.add_blob(b"layer bytes")
        head = (
            f"HTTP/1.1 307 Elsewhere\r\nlocation: {server.base}/v2/x/blobs/{digest}\r\ncontent-length: 900000\r\n\r\n"
        )

        async def redirect(stream: anyio.abc.ByteStream) -> None:
            async with stream:
                if b" /v2/ " in await stream.receive():
                    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    await stream.receive()
                await stream.send(head.encode() + says)
                await anyio.sleep_forever()

        received = bytearray()

        async def sink(chunk: bytes) -> None:
            received.extend(chunk)

        async with listening(redirect) as base, client_of() as client:
            reference = parse(f"{base.removeprefix('http://')}/team/api:1")
            with anyio.fail_after(20):
                await client.get_blob(reference, Descriptor(media_type="x/y", digest=digest, size=11), sink)

        assert bytes(received) == b"layer bytes"


async def test_redirects_without_end_end() -> None:
    async with running(Server()) as server, client_of() as client:
        await client.challenges(server.host)
        loop = Answer(status=302, headers=(("location", "/v2/team/api/manifests/1"),))
        server.faults = [Fault(answer=loop) for _ in range(50)]

        with pytest.raises(ProtocolError, match="more than 5 redirects"):
            await client.get_manifest(image(server))


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        ("http://registry.attacker.example/token", "plain HTTP on another host"),
        ("http://alice:x@127.0.0.1/token", "user name"),
        ("file:///etc/passwd", "not an http or https URL"),
        ("", "not an http or https URL"),
        ("https://[broken/token", "not an http or https URL"),
    ],
)
async def test_a_hostile_realm_gets_nothing(tmp_path: Path, realm: str, reason: str) -> None:
    server = Server(auth="token", realm=realm)
    async with running(server):
        credentials = docker_config(tmp_path, {server.host: {"username": "alice", "password": "s3cret"}})
        async with client_of(credentials) as client:
            with pytest.raises(RegistryError, match=reason):
                await client.get_manifest(image(server))


async def test_a_realm_gets_the_credentials_of_the_registry_and_never_its_own(tmp_path: Path) -> None:
    async with running(Server(users=ALICE)) as realm:
        async with running(Server(auth="token", realm=f"{realm.base}/token")) as hostile:
            credentials = docker_config(tmp_path, {realm.host: {"username": "alice", "password": "s3cret"}})
            async with client_of(credentials) as client:
                with pytest.raises(RegistryError):
                    await client.get_manifest(image(hostile))

        assert all("authorization" not in seen.headers for seen in realm.seen)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": "a\\r\\nb"}', b'{"token": 3}', b"\xff", DEEP],
)
async def test_a_token_server_that_gives_nonsense_is_a_protocol_error(body: bytes) -> None:
    async with running(Server(auth="token")) as server, client_of() as client:
        server.faults.append(Fault(path="/token", answer=Answer(body=body)))

        with pytest.raises(ProtocolError, match="token server"):
            await client.get_manifest(image(server))


async def test_a_registry_that_offers_nothing_we_speak_is_a_protocol_error() -> None:
    async with running(Server()) as server, client_of() as client:
        answer = Answer(status=401, headers=(("www-authenticate", "Negotiate abc=="),))
        server.faults.append(Fault(path="/manifests/", answer=answer))

        with pytest.raises(ProtocolError, match="negotiate"):
            await client.get_manifest(image(server))


async def test_no_proxy_stands_between_us_and_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with running(Server()) as server, client_of() as client:
        await client.challenges(server.host)

        assert server.seen


async def test_a_proxy_of_the_environment_is_used_for_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Server()) as proxy:
        for name in ("NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.base)
        insecure = {"registry.test:80": Registry(host="registry.test:80", insecure=True)}
        async with RegistryClient(Credentials(None), insecure, timing=Clock().timing()) as client:
            await client.challenges("registry.test:80")

        assert proxy.seen[0].headers["host"] == "registry.test"


async def _discard(chunk: bytes) -> None:
    await anyio.lowlevel.checkpoint()
