"""The client against a scripted daemon: what it sends, what it waits for, and what it makes of every kind of end."""

import math

import anyio
import pytest

from orchestrator.buildkit import Client, DaemonInfo, Exporter, StatusUpdate, Token, Worker, build, client
from orchestrator.buildkit.grpc import Call, Connection, GrpcError, Status
from orchestrator.buildkit.protos import auth_pb2, control_pb2, health_pb2, secrets_pb2
from orchestrator.errors import (
    BuilderUnreachableError,
    BuildFailedError,
    DaemonLostError,
    ProtocolError,
    RegistryError,
)
from remote.errors import UnreachableError
from tests.buildkit.daemon import ADDRESS, Daemon, connected, request, vertex
from tests.buildkit.pipes import Pipe

FAILED = GrpcError(Status.UNKNOWN, 'process "/bin/sh -c false" did not complete successfully: exit code: 1')


class Collected:
    """Receives status updates."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def __call__(self, update: StatusUpdate) -> None:
        self.names += [vertex.name for vertex in update.vertexes]


async def never_ends(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
    await anyio.sleep_forever()
    raise AssertionError


async def fails(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
    raise FAILED


async def test_the_daemon_says_who_it_is_and_what_it_can_build() -> None:
    async with connected(Daemon()) as builder:
        info = await builder.info()
        workers = await builder.workers()

    assert info == DaemonInfo(version="v0.30.0", revision="abc", package="github.com/moby/buildkit")
    assert workers == (Worker(id="w", platforms=("linux/amd64", "linux/arm64/v8"), labels={"a": "b"}),)


async def test_a_build_is_asked_for_in_the_words_of_new_and_of_old_daemons() -> None:
    daemon = Daemon()
    exporter = Exporter(type="image", attrs={"name": "r.example/a", "push": "true"})

    async with connected(daemon) as builder:
        await builder.solve(request("one", exporter=exporter), on_status=Collected())

    [sent] = daemon.requests
    assert (sent.ref, sent.frontend, dict(sent.frontend_attrs)) == ("one", "dockerfile.v0", {"filename": "Dockerfile"})
    assert [(entry.type, dict(entry.attrs)) for entry in sent.exporters] == [("image", dict(exporter.attrs))]
    assert (sent.exporter_deprecated, dict(sent.exporter_attrs_deprecated)) == ("image", dict(exporter.attrs))
    assert sent.HasField("cache")


async def test_the_result_is_what_the_exporter_says() -> None:
    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        return {"containerimage.digest": "sha256:1", "image.name": "a"}

    async with connected(Daemon(solve=solve)) as builder:
        result = await builder.solve(request(), on_status=Collected())

    assert result.digest == "sha256:1"
    assert result.exporter_response == {"containerimage.digest": "sha256:1", "image.name": "a"}
    assert result.sent_bytes > 0


async def test_every_build_has_a_session_connection_and_all_share_one_for_control() -> None:
    together = anyio.Event()
    inside = 0

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        nonlocal inside
        inside += 1
        if inside == 5:
            together.set()
        await together.wait()
        return {}

    daemon = Daemon(solve=solve)

    async def run(builder: Client, ref: str) -> None:
        await builder.solve(request(ref), on_status=Collected())

    async with connected(daemon) as builder, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(run, builder, str(number))

    assert daemon.connections == 1 + 5


async def test_a_session_says_who_it_is_and_names_each_of_its_methods() -> None:
    daemon = Daemon()

    async with connected(daemon) as builder:
        await builder.solve(request("one"), on_status=Collected())
        await builder.solve(request("two", tokens=Refusing()), on_status=Collected())

    one, two = (sorted(metadata) for metadata in daemon.session_metadata)
    methods = [value for key, value in one if key == "x-docker-expose-session-grpc-method"]
    more = [value for key, value in two if key == "x-docker-expose-session-grpc-method"]
    assert methods == [
        "/grpc.health.v1.Health/Check",
        "/moby.buildkit.secrets.v1.Secrets/GetSecret",
        "/moby.filesync.v1.FileSync/DiffCopy",
    ]
    assert set(more) - set(methods) == {
        "/moby.filesync.v1.Auth/Credentials",
        "/moby.filesync.v1.Auth/FetchToken",
        "/moby.filesync.v1.Auth/GetTokenAuthority",
        "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    }
    assert ("x-docker-expose-session-sharedkey", "key of one") in one
    assert ("x-docker-expose-session-name", "fleetpacks") in one
    ids = [dict(metadata)["x-docker-expose-session-uuid"] for metadata in (one, two)]
    assert ids == [sent.session for sent in daemon.requests]
    assert len(set(ids)) == 2


async def test_the_daemon_may_check_our_health_and_read_declared_secrets_only() -> None:
    answers: dict[str, object] = {}

    async def secret() -> bytes:
        return b"s3cr3t"

    async def get(session: Connection, secret_id: str) -> bytes:
        message = secrets_pb2.GetSecretRequest(id=secret_id).SerializeToString()
        response = await session.unary("/moby.buildkit.secrets.v1.Secrets/GetSecret", message)
        return secrets_pb2.GetSecretResponse.FromString(response).data

    async def solve(_request: control_pb2.SolveRequest, session: Connection) -> dict[str, str]:
        health = await session.unary("/grpc.health.v1.Health/Check", b"")
        answers["health"] = health_pb2.HealthCheckResponse.FromString(health).status
        answers["declared"] = await get(session, "token")
        with pytest.raises(GrpcError) as caught:
            await get(session, "other")
        answers["other"] = caught.value.status
        with pytest.raises(GrpcError) as caught:
            await session.unary("/moby.sshforward.v1.SSH/CheckAgent", b"")
        answers["ssh"] = caught.value.status
        return {}

    async with connected(Daemon(solve=solve)) as builder:
        await builder.solve(request(secrets={"token": secret}), on_status=Collected())

    assert answers == {
        "health": health_pb2.HealthCheckResponse.SERVING,
        "declared": b"s3cr3t",
        "other": Status.NOT_FOUND,
        "ssh": Status.UNIMPLEMENTED,
    }


async def test_a_request_that_cannot_be_read_is_an_invalid_argument() -> None:
    caught: list[Status] = []

    async def solve(_request: control_pb2.SolveRequest, session: Connection) -> dict[str, str]:
        try:
            await session.unary("/moby.buildkit.secrets.v1.Secrets/GetSecret", b"\xff")
        except GrpcError as error:
            caught.append(error.status)
        return {}

    async with connected(Daemon(solve=solve)) as builder:
        await builder.solve(request(), on_status=Collected())

    assert caught == [Status.INVALID_ARGUMENT]


@pytest.mark.parametrize("solve", [None, fails], ids=["success", "failure"])
async def test_the_last_events_are_delivered_before_a_build_is_over(
    solve: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = anyio.Event()
    collected = Collected()

    async def run(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        answered.set()
        if solve is fails:
            raise FAILED
        return {}

    async def status(_ref: str, call: Call) -> None:
        await call.send(vertex("first"))
        await answered.wait()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        await call.send(vertex("last"))

    # The stream ends by itself: a limit that could end it must not be what this test sees.
    monkeypatch.setattr(build, "_QUIET_AFTER_EVENTS", math.inf)
    monkeypatch.setattr(build, "_QUIET_WITHOUT_EVENTS", math.inf)
    async with connected(Daemon(solve=run, status=status)) as builder:
        if solve is fails:
            with pytest.raises(BuildFailedError):
                await builder.solve(request(), on_status=collected)
        else:
            await builder.solve(request(), on_status=collected)

    assert collected.names == ["first", "last"]


async def test_a_status_that_fails_hides_neither_success_nor_failure() -> None:
    async def status(_ref: str, call: Call) -> None:
        await call.send(vertex("first"))
        raise GrpcError(Status.UNKNOWN, "the status broke")

    collected = Collected()
    async with connected(Daemon(status=status)) as builder:
        await builder.solve(request(), on_status=collected)
    async with connected(Daemon(status=status, solve=fails)) as builder:
        with pytest.raises(BuildFailedError) as caught:
            await builder.solve(request(), on_status=collected)

    assert collected.names == ["first", "first"]
    assert caught.value.message == FAILED.message


async def test_status_is_asked_for_again_while_the_daemon_does_not_know_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "_UNKNOWN_PAUSE", 0)
    asked = 0
    delivered = anyio.Event()

    async def status(ref: str, call: Call) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise GrpcError(Status.NOT_FOUND, f"no such job {ref}")
        await call.send(vertex("first"))

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await delivered.wait()
        return {}

    async def on_status(update: StatusUpdate) -> None:
        assert [vertex.name for vertex in update.vertexes] == ["first"]
        delivered.set()

    async with connected(Daemon(solve=solve, status=status)) as builder:
        with anyio.fail_after(5):
            await builder.solve(request(), on_status=on_status)

    assert asked == 3


@pytest.mark.parametrize(("events", "limit"), [(0, "_QUIET_WITHOUT_EVENTS"), (1, "_QUIET_AFTER_EVENTS")])
async def test_a_status_that_falls_silent_does_not_hold_an_answered_build(
    events: int, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_QUIET_AFTER_EVENTS", math.inf)
    monkeypatch.setattr(build, "_QUIET_WITHOUT_EVENTS", math.inf)
    monkeypatch.setattr(build, limit, 0.01)
    sent = anyio.Event()

    async def status(_ref: str, call: Call) -> None:
        for _ in range(events):
            await call.send(vertex("only"))
        sent.set()
        await anyio.sleep_forever()

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await sent.wait()
        return {"containerimage.digest": "sha256:1"}

    collected = Collected()
    async with connected(Daemon(solve=solve, status=status)) as builder:
        with anyio.fail_after(5):
            result = await builder.solve(request(), on_status=collected)

    assert result.digest == "sha256:1"
    assert collected.names == ["only"] * events


async def test_an_error_of_the_caller_ends_the_build_and_is_raised_as_it_is() -> None:
    class DisplayBrokeError(Exception):
        pass

    async def on_status(_update: StatusUpdate) -> None:
        raise DisplayBrokeError

    async def status(_ref: str, call: Call) -> None:
        await call.send(vertex("first"))
        await anyio.sleep_forever()

    daemon = Daemon(solve=never_ends, status=status)
    async with connected(daemon) as builder:
        with pytest.raises(DisplayBrokeError):
            await builder.solve(request("mine"), on_status=on_status)
        active = await builder.active_builds()

    assert daemon.cancelled == ["mine"]
    assert active == ()


async def test_cancelling_cancels_on_the_daemon_and_waits_until_it_has_cleaned_up() -> None:
    started, cleaning, cleaned = anyio.Event(), anyio.Event(), anyio.Event()
    left: list[bool] = []
    during: tuple[str, ...] = ()

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def cleanup() -> None:
        cleaning.set()
        await cleaned.wait()

    daemon = Daemon(solve=solve, cleanup=cleanup)

    async def run(builder: Client, scope: anyio.CancelScope) -> None:
        with scope:
            await builder.solve(request("mine"), on_status=Collected())
        left.append("mine" in daemon.active)

    async with connected(daemon) as builder, anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        tasks.start_soon(run, builder, scope)
        await started.wait()
        scope.cancel()
        await cleaning.wait()
        during = await builder.active_builds()
        assert left == []
        cleaned.set()

    assert during == ("mine",)
    assert daemon.cancelled == ["mine"]
    assert left == [False]


async def test_a_daemon_that_does_not_clean_up_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_CANCEL_PATIENCE", 0.1)
    started = anyio.Event()

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    forever = anyio.Event()
    daemon = Daemon(solve=solve, cleanup=forever.wait)

    async def cancel_when_started(scope: anyio.CancelScope) -> None:
        await started.wait()
        scope.cancel()

    scope = anyio.CancelScope()
    active: tuple[str, ...] = ()
    async with connected(daemon) as builder, anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_when_started, scope)
        with anyio.fail_after(5), scope:
            await builder.solve(request("mine"), on_status=Collected())
        active = tuple(daemon.active)
        forever.set()

    assert scope.cancelled_caught
    assert active == ("mine",)


@pytest.mark.parametrize("connection", [0, 1], ids=["control", "session"])
async def test_a_lost_connection_is_a_lost_daemon_and_the_next_build_gets_a_new_one(connection: int) -> None:
    daemon = Daemon()

    async def solve(request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        if request.ref == "unlucky":
            await daemon.hang_up(connection)
            await anyio.sleep_forever()
        return {"containerimage.digest": "sha256:1"}

    daemon = Daemon(solve=solve)
    async with connected(daemon) as builder:
        with anyio.fail_after(5), pytest.raises(DaemonLostError) as caught:
            await builder.solve(request("unlucky"), on_status=Collected())
        result = await builder.solve(request("lucky"), on_status=Collected())

    assert caught.value.hint
    assert result.digest == "sha256:1"


async def test_a_connection_that_was_lost_between_two_builds_fails_neither() -> None:
    daemon = Daemon()

    async with connected(daemon) as builder:
        with anyio.fail_after(5):
            await builder.solve(request("one"), on_status=Collected())
            await daemon.hang_up(0)
            await anyio.wait_all_tasks_blocked()
            await builder.solve(request("two"), on_status=Collected())

    assert [sent.ref for sent in daemon.requests] == ["one", "two"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnreachableError("unix:///scripted: no such socket", hint="start it"), "unix:///scripted: no such socket"),
        (ConnectionRefusedError(111, "Connection refused"), "unix:///scripted: Connection refused"),
    ],
)
async def test_an_address_where_nothing_answers_is_unreachable(error: Exception, message: str) -> None:
    async def dial() -> Pipe:
        raise error

    async with Client(dial, address=ADDRESS) as builder:
        with pytest.raises(BuilderUnreachableError) as caught:
            await builder.solve(request(), on_status=Collected())
        with pytest.raises(BuilderUnreachableError):
            await builder.info()

    assert caught.value.message == message
    assert caught.value.hint


class Refusing:
    """A provider whose token server says no."""

    async def has_credentials(self, host: str) -> bool:
        return bool(host)

    async def fetch_token(self, *, host: str, realm: str, service: str, scopes: tuple[str, ...]) -> Token:
        raise RegistryError(f"{host}: {realm} refuses {service} {', '.join(scopes)}", hint="run `docker login`")

    async def basic_credential(self, host: str) -> None:
        raise AssertionError(host)


async def test_our_own_error_behind_a_failed_build_is_raised_with_its_hint() -> None:
    async def solve(_request: control_pb2.SolveRequest, session: Connection) -> dict[str, str]:
        message = auth_pb2.FetchTokenRequest(
            host="r.example", realm="https://auth.example", service="r", scopes=["repository:a:push"]
        ).SerializeToString()
        try:
            await session.unary("/moby.filesync.v1.Auth/FetchToken", message)
        except GrpcError as error:
            text = f"failed to push r.example/a: failed to authorize: {error.message}"
            raise GrpcError(Status.UNKNOWN, text) from error
        raise AssertionError

    async with connected(Daemon(solve=solve)) as builder:
        with pytest.raises(RegistryError) as caught:
            await builder.solve(request(tokens=Refusing()), on_status=Collected())

    assert caught.value.message == "r.example: https://auth.example refuses r repository:a:push"
    assert caught.value.hint == "run `docker login`"


async def test_a_daemon_that_talks_nonsense_breaks_the_protocol() -> None:
    async def status(_ref: str, call: Call) -> None:
        await call.send(b"\xff\xff")
        await anyio.sleep_forever()

    async with connected(Daemon(solve=never_ends, status=status)) as builder:
        with anyio.fail_after(5), pytest.raises(ProtocolError) as caught:
            await builder.solve(request(), on_status=Collected())

    assert caught.value.hint
