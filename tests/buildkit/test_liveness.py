"""A daemon that says nothing: when it is asked, what counts as an answer, and when it is given up."""

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from orchestrator.buildkit import Client, SolveRequest, StatusUpdate, liveness
from orchestrator.buildkit.grpc import Call, Connection
from orchestrator.buildkit.protos import control_pb2
from orchestrator.errors import DaemonLostError
from tests.buildkit.daemon import ADDRESS, Daemon, request
from tests.buildkit.real import ROOT, Watched, client, private_daemon, shell_root
from tests.buildkit.real import request as real_request
from tests.lab import Lab

SHORT = 0.02


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "TURN", SHORT)


class Stoppable(ByteStream):
    """Passes bytes on until the peer is stopped: then it takes what is sent, and says nothing."""

    def __init__(self, stream: ByteStream, stopped: anyio.Event) -> None:
        self._stream = stream
        self._stopped = stopped

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        if self._stopped.is_set():
            await anyio.sleep_forever()
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def ignored(_update: StatusUpdate) -> None:
    pass


@asynccontextmanager
async def stoppable(daemon: Daemon) -> AsyncGenerator[tuple[Client, anyio.Event]]:
    stopped = anyio.Event()

    async def dial() -> ByteStream:
        return Stoppable(await daemon.dial(), stopped)

    async with daemon, Client(dial, address=ADDRESS) as builder:
        yield builder, stopped


async def test_a_daemon_that_is_stopped_under_a_build_is_lost_and_nothing_hangs() -> None:
    began = anyio.Event()

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        began.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def stop(stopped: anyio.Event) -> None:
        await began.wait()
        stopped.set()

    async with stoppable(Daemon(solve=solve)) as (builder, stopped), anyio.create_task_group() as tasks:
        tasks.start_soon(stop, stopped)
        with anyio.fail_after(10), pytest.raises(DaemonLostError, match=r"silent for .* whether it lives") as caught:
            await builder.solve(request(), on_status=ignored)
        assert "hangs" in caught.value.hint


async def test_a_daemon_that_was_given_up_is_not_waited_for_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stoppable(Daemon()) as (builder, stopped):
        stopped.set()
        with anyio.fail_after(10), pytest.raises(DaemonLostError):
            await builder.info()
        # From here on nobody who is patient gets an answer within the test.
        monkeypatch.setattr(liveness, "PATIENCE", 100_000)
        with anyio.fail_after(10), pytest.raises(DaemonLostError, match="silent"):
            await builder.info()


async def test_a_daemon_that_answers_again_is_trusted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await anyio.sleep(SHORT * liveness.SUSPECTED * 5)
        return {"containerimage.digest": "sha256:1"}

    daemon = Daemon(solve=slow)
    dials: list[anyio.Event] = []

    async def dial() -> ByteStream:
        dials.append(anyio.Event())
        return Stoppable(await daemon.dial(), dials[-1])

    async with daemon, Client(dial, address=ADDRESS) as builder:
        await builder.info()
        dials[0].set()
        with anyio.fail_after(10), pytest.raises(DaemonLostError):
            await builder.info()
        monkeypatch.setattr(liveness, "_CHECK", "/no.such/Method")
        with anyio.fail_after(10):
            result = await builder.solve(request(), on_status=ignored)

    assert result.digest == "sha256:1"


async def test_a_daemon_that_never_answers_a_question_is_lost_too() -> None:
    async with stoppable(Daemon()) as (builder, stopped):
        stopped.set()
        with anyio.fail_after(10), pytest.raises(DaemonLostError, match="silent"):
            await builder.info()


async def test_a_build_that_is_silent_for_long_is_asked_after_and_goes_on() -> None:
    quiet = SHORT * (liveness.QUIET + liveness.PATIENCE) * 3

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await anyio.sleep(quiet)
        return {"containerimage.digest": "sha256:1"}

    daemon = Daemon(solve=solve)
    async with stoppable(daemon) as (builder, _):
        with anyio.fail_after(30):
            result = await builder.solve(request(), on_status=ignored)

    assert result.digest == "sha256:1"
    assert daemon.checks > 3


async def test_a_daemon_that_does_not_know_the_question_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_CHECK", "/no.such/Method")
    quiet = SHORT * (liveness.QUIET + liveness.PATIENCE) * 2

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await anyio.sleep(quiet)
        return {}

    async with stoppable(Daemon(solve=solve)) as (builder, _):
        with anyio.fail_after(30):
            result = await builder.solve(request(), on_status=ignored)

    assert result.digest is None


async def test_nobody_is_asked_while_nobody_waits() -> None:
    daemon = Daemon()

    async with stoppable(daemon) as (builder, stopped):
        await builder.info()
        await anyio.sleep(SHORT * liveness.QUIET * 3)
        checks = daemon.checks
        stopped.set()
        await anyio.sleep(SHORT * (liveness.QUIET + liveness.PATIENCE) * 2)
        connections = daemon.connections

    assert (checks, daemon.checks, connections) == (0, 0, 1)


async def test_a_status_that_nobody_reads_is_no_sign_of_death() -> None:
    read = anyio.Event()

    async def status(_ref: str, call: Call) -> None:
        log = control_pb2.VertexLog(vertex="v", stream=1, msg=b"x" * 100_000)
        message = control_pb2.StatusResponse(logs=[log]).SerializeToString()
        for _ in range(100):
            await call.send(message)

    async def solve(_request: control_pb2.SolveRequest, _session: Connection) -> dict[str, str]:
        await read.wait()
        return {}

    async def on_status(_update: StatusUpdate) -> None:
        if not read.is_set():
            await anyio.sleep(SHORT * (liveness.QUIET + liveness.PATIENCE) * 2)
            read.set()

    async with stoppable(Daemon(solve=solve, status=status)) as (builder, _):
        with anyio.fail_after(30):
            await builder.solve(request(), on_status=on_status)


async def sleeping_build(seconds: float) -> SolveRequest:
    return real_request(ROOT + f"RUN echo began; sleep {seconds}; echo ended\n", context=await shell_root())


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_real_daemon_that_is_stopped_is_lost_and_leaves_nothing_behind(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a busy machine, where a daemon that runs may need a second to answer.
    monkeypatch.setattr(liveness, "TURN", 0.1)
    seen = Watched()

    async with private_daemon(lab, tmp_path) as (process, socket), anyio.create_task_group() as tasks:

        async def stop() -> None:
            await seen.said(b"began").wait()
            process.send_signal(signal.SIGSTOP)

        tasks.start_soon(stop)
        async with client(socket) as builder:
            with anyio.fail_after(30), pytest.raises(DaemonLostError, match="silent"):
                await builder.solve(await sleeping_build(300), on_status=seen)
        process.send_signal(signal.SIGCONT)
        async with client(socket) as builder:
            with anyio.fail_after(30):
                while await builder.active_builds():  # noqa: ASYNC110 -- the daemon is asked
                    await anyio.sleep(0.05)


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_real_daemon_that_was_stopped_for_less_than_our_patience_goes_on(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "TURN", 0.1)
    seen = Watched()

    async with private_daemon(lab, tmp_path) as (process, socket), anyio.create_task_group() as tasks:

        async def stop_for_a_while() -> None:
            await seen.said(b"began").wait()
            process.send_signal(signal.SIGSTOP)
            await anyio.sleep(0.1 * liveness.PATIENCE / 2)
            process.send_signal(signal.SIGCONT)

        tasks.start_soon(stop_for_a_while)
        async with client(socket) as builder:
            with anyio.fail_after(60):
                await builder.solve(await sleeping_build(1), on_status=seen)

    assert b"ended" in seen.log(1)
