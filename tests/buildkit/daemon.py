"""A scripted daemon: our own gRPC server with BuildKit's Control service, whose builds do what a test says.

It keeps BuildKit's rules where the client depends on them: it finds a session by its id on any connection, calls back
on it, lists a build as active from its first moment until it has cleaned up, and ends with the connection.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

import anyio

from orchestrator.buildkit import Client, Exporter, MemorySource, SecretReader, SolveRequest, TokenProvider
from orchestrator.buildkit.grpc import Call, Connection, ConnectionLostError, GrpcError, Metadata, Tunnel, open_client
from orchestrator.buildkit.grpc import Status as GrpcStatus
from orchestrator.buildkit.grpc import serve as serve_grpc
from orchestrator.buildkit.protos import control_pb2, gateway_pb2, worker_pb2
from tests.buildkit.pipes import Pipe, pipes

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from google.protobuf.message import Message

CONTROL = "/moby.buildkit.v1.Control"
BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge"
ADDRESS = "unix:///scripted"

Solve = Callable[[control_pb2.SolveRequest, Connection], Awaitable[dict[str, str]]]
Status = Callable[[str, Call], Awaitable[None]]
Frontend = Callable[[gateway_pb2.SolveRequest], Awaitable[dict[str, bytes]]]


async def nothing(request: control_pb2.SolveRequest, session: Connection) -> dict[str, str]:
    """A build without steps."""
    return {}


async def no_events(ref: str, call: Call) -> None:
    """A status stream that ends at once."""


class Daemon:
    """An async context manager: it runs while the block does.

    Args:
        solve: what a build does, and what its exporter answers. It may raise `GrpcError`.
        status: sends a build's status messages.
        cleanup: what a build waits for before it stops being active, also when it was cancelled.
        frontend: what the frontend says to a client of the gateway; None: the daemon has no gateway.
        records: the builds that it remembers.
        usage: what its cache holds; all of it is pruned when asked for.
    """

    def __init__(
        self,
        *,
        solve: Solve = nothing,
        status: Status = no_events,
        cleanup: Callable[[], Awaitable[None]] | None = None,
        frontend: Frontend | None = None,
        records: Sequence[control_pb2.BuildHistoryRecord] = (),
        usage: Sequence[control_pb2.UsageRecord] = (),
    ) -> None:
        self._solve_script = solve
        self._status_script = status
        self._cleanup = cleanup
        self._frontend = frontend
        self._records = records
        self._usage = usage
        self._returned: dict[str, anyio.Event] = {}
        self._results: dict[str, gateway_pb2.ReturnRequest] = {}
        self._news: list[control_pb2.BuildHistoryEvent] = []
        self._more_news = anyio.Event()
        self.questions: list[Message] = []
        self.checks = 0
        self.unknown_at_first = 0
        """How many calls of the gateway find no build yet."""
        self._tasks: TaskGroup = anyio.create_task_group()
        self._sessions: dict[str, Connection] = {}
        self._session_came = anyio.Event()
        self._ends: list[Pipe] = []
        self.active: list[str] = []
        self.requests: list[control_pb2.SolveRequest] = []
        self.session_metadata: list[Metadata] = []
        self.cancelled: list[str] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def connections(self) -> int:
        """How many were opened so far."""
        return len(self._ends)

    async def dial(self) -> Pipe:
        """A new connection to this daemon."""
        theirs, ours = pipes()
        self._ends.append(ours)
        self._tasks.start_soon(self._serve, ours)
        return theirs

    def tell(self, *events: control_pb2.BuildHistoryEvent) -> None:
        """What happens to builds now, for the one who listens."""
        self._news += events
        self._more_news.set()

    async def hang_up(self, connection: int) -> None:
        """End one connection, counted from 0 in the order in which they were opened."""
        await self._ends[connection].aclose()

    async def _serve(self, stream: Pipe) -> None:
        handlers = {
            f"{CONTROL}/Info": self._info,
            f"{CONTROL}/ListWorkers": self._workers,
            f"{CONTROL}/ListenBuildHistory": self._history,
            f"{CONTROL}/Session": self._session,
            f"{CONTROL}/Solve": self._solve,
            f"{CONTROL}/Status": self._status,
            f"{CONTROL}/DiskUsage": self._disk_usage,
            f"{CONTROL}/Prune": self._prune,
            "/grpc.health.v1.Health/Check": self._check,
        }
        if self._frontend is not None:
            handlers |= {f"{BRIDGE}/Solve": self._bridge_solve, f"{BRIDGE}/Return": self._bridge_return}
        with suppress(ConnectionLostError):
            await serve_grpc(stream, handlers)

    async def _info(self, call: Call) -> None:
        control_pb2.InfoRequest.FromString(await call.receive())
        version = worker_pb2.BuildkitVersion(package="github.com/moby/buildkit", version="v0.30.0", revision="abc")
        await call.send(control_pb2.InfoResponse(buildkit_version=version).SerializeToString())

    async def _workers(self, call: Call) -> None:
        control_pb2.ListWorkersRequest.FromString(await call.receive())
        record = worker_pb2.WorkerRecord(id="w", labels={"a": "b"})
        record.platforms.add(os="linux", architecture="amd64")
        record.platforms.add(os="linux", architecture="arm64", variant="v8")
        await call.send(control_pb2.ListWorkersResponse(record=[record]).SerializeToString())

    async def _history(self, call: Call) -> None:
        request = control_pb2.BuildHistoryRequest.FromString(await call.receive())
        self.questions.append(request)
        for ref in tuple(self.active):
            event = control_pb2.BuildHistoryEvent(record=control_pb2.BuildHistoryRecord(ref=ref))
            await call.send(event.SerializeToString())
        for record in () if request.active_only else self._records:
            event = control_pb2.BuildHistoryEvent(type=control_pb2.COMPLETE, record=record)
            await call.send(event.SerializeToString())
        if not request.early_exit:
            while True:
                while self._news:
                    await call.send(self._news.pop(0).SerializeToString())
                self._more_news = anyio.Event()
                await self._more_news.wait()

    async def _disk_usage(self, call: Call) -> None:
        self.questions.append(control_pb2.DiskUsageRequest.FromString(await call.receive()))
        await call.send(control_pb2.DiskUsageResponse(record=self._usage).SerializeToString())

    async def _prune(self, call: Call) -> None:
        self.questions.append(control_pb2.PruneRequest.FromString(await call.receive()))
        for record in self._usage:
            await call.send(record.SerializeToString())

    async def _check(self, call: Call) -> None:
        self.checks += 1
        await call.receive()
        await call.send(b"")

    async def _bridge_solve(self, call: Call) -> None:
        assert self._frontend is not None
        ref = dict(call.metadata)["buildkit-controlapi-buildid"]
        self.unknown_at_first -= bool(self.unknown_at_first)
        if self.unknown_at_first or ref not in self._returned:
            raise GrpcError(GrpcStatus.NOT_FOUND, f"forwarding Solve: no such job {ref!s}")
        answer = await self._frontend(gateway_pb2.SolveRequest.FromString(await call.receive()))
        result = gateway_pb2.Result(metadata=answer)
        await call.send(gateway_pb2.SolveResponse(result=result).SerializeToString())

    async def _bridge_return(self, call: Call) -> None:
        ref = str(dict(call.metadata)["buildkit-controlapi-buildid"])
        self._results[ref] = gateway_pb2.ReturnRequest.FromString(await call.receive())
        self._returned[ref].set()
        await call.send(b"")

    async def _wait_for_frontend(self, request: control_pb2.SolveRequest) -> dict[str, str]:
        """A build without a frontend is the gateway's client's; the result's metadata goes nowhere, as on a daemon."""
        self._returned[request.ref] = anyio.Event()
        await self._returned[request.ref].wait()
        error = self._results[request.ref].error
        if error.code:
            raise GrpcError(GrpcStatus(error.code), error.message, error.SerializeToString())
        return {}

    async def _session(self, call: Call) -> None:
        metadata = {key: value for key, value in call.metadata if isinstance(value, str)}
        session_id = metadata["x-docker-expose-session-uuid"]
        self.session_metadata.append(call.metadata)
        async with open_client(Tunnel(call), authority="localhost") as connection:
            self._sessions[session_id] = connection
            self._session_came.set()
            self._session_came = anyio.Event()
            await anyio.sleep_forever()

    async def _solve(self, call: Call) -> None:
        request = control_pb2.SolveRequest.FromString(await call.receive())
        self.requests.append(request)
        self.active.append(request.ref)
        try:
            while request.session not in self._sessions:
                await self._session_came.wait()
            if request.frontend:
                response = await self._solve_script(request, self._sessions[request.session])
            else:
                response = await self._wait_for_frontend(request)
            await call.send(control_pb2.SolveResponse(exporter_response=response).SerializeToString())
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(request.ref)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                if self._cleanup is not None:
                    await self._cleanup()
            self.active.remove(request.ref)

    async def _status(self, call: Call) -> None:
        await self._status_script(control_pb2.StatusRequest.FromString(await call.receive()).ref, call)


@asynccontextmanager
async def connected(daemon: Daemon) -> AsyncGenerator[Client]:
    """The daemon, and a client of it."""
    async with daemon, Client(daemon.dial, address=ADDRESS) as client:
        yield client


def request(
    ref: str = "ref",
    *,
    exporter: Exporter | None = None,
    secrets: dict[str, SecretReader] | None = None,
    tokens: TokenProvider | None = None,
) -> SolveRequest:
    """A small build."""
    return SolveRequest(
        ref=ref,
        attrs={"filename": "Dockerfile"},
        exporter=exporter,
        sources=(MemorySource(name="dockerfile", files={"Dockerfile": b"FROM scratch\n"}),),
        shared_key=f"key of {ref}",
        secrets=secrets or {},
        tokens=tokens,
    )


def vertex(name: str) -> bytes:
    """A status message with one step."""
    return control_pb2.StatusResponse(vertexes=[control_pb2.Vertex(digest=name, name=name)]).SerializeToString()
