"""A BuildKit daemon over any byte stream.

One control connection carries Solve, Status and the questions; every running build has a second one for its session
(`session.session` says why). The control connection is opened when it is first needed and again after it was lost: a
lost connection fails the builds that ran on it and none that start later.
"""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio.abc import TaskStatus
from google.protobuf.message import DecodeError, Message

from orchestrator.buildkit.border import dial_error, lost_error, malformed_error, protocol_error
from orchestrator.buildkit.build import Build, OnStatus
from orchestrator.buildkit.grpc import Connection, ConnectionLostError, GrpcError, Handler, open_client
from orchestrator.buildkit.model import DaemonInfo, Dial, SolveRequest, SolveResult, Worker
from orchestrator.buildkit.protos import control_pb2, ops_pb2
from orchestrator.buildkit.session.auth import Auth
from orchestrator.buildkit.session.filesync import file_sync_handlers
from orchestrator.buildkit.session.health import health_handlers
from orchestrator.buildkit.session.secrets import secret_handlers
from orchestrator.buildkit.session.session import Session
from orchestrator.buildkit.session.transfer import FileSyncState
from orchestrator.buildkit.session.unary import unary
from orchestrator.errors import FleetpacksError
from remote.errors import UnreachableError

_CONTROL = "/moby.buildkit.v1.Control"
_AUTHORITY = "localhost"
_DIGEST = "containerimage.digest"
_CANCEL_PATIENCE = 10.0
"""Seconds in which a cancelled build must vanish from the daemon's active ones."""
_CANCEL_POLL = 0.05


class _Control:
    """A control connection, who uses it, and the end for which the task that holds it open waits."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.users = 0
        self.released = anyio.Event()


class Client:
    """Speaks to one daemon. An async context manager: nothing of it outlives the block.

    Args:
        dial: opens a connection to the daemon; called once for control and once per build.
        address: the daemon's address in messages.
    """

    def __init__(self, dial: Dial, *, address: str) -> None:
        self._dial = dial
        self._address = address
        self._auth_seed = secrets.token_bytes(32)
        self._control: _Control | None = None
        self._opening = anyio.Lock()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        # Not given the block's own error: a task group would wrap it, and a caller expects what was raised.
        await self._tasks.__aexit__(None, None, None)

    @property
    def address(self) -> str:
        """The daemon's address, as it was given."""
        return self._address

    async def info(self) -> DaemonInfo:
        """Ask which BuildKit answers.

        Raises:
            BuilderUnreachableError, DaemonLostError, ProtocolError: as for every method of this class.
        """
        message = await self._ask("Info", control_pb2.InfoRequest().SerializeToString())
        version = _decoded(control_pb2.InfoResponse, message).buildkit_version
        return DaemonInfo(version=version.version, revision=version.revision, package=version.package)

    async def workers(self) -> tuple[Worker, ...]:
        """List the daemon's workers."""
        message = await self._ask("ListWorkers", control_pb2.ListWorkersRequest().SerializeToString())
        return tuple(
            Worker(
                id=record.id,
                platforms=tuple(_platform(platform) for platform in record.platforms),
                labels=dict(record.labels),
            )
            for record in _decoded(control_pb2.ListWorkersResponse, message).record
        )

    async def active_builds(self) -> tuple[str, ...]:
        """List the refs of the builds that run on the daemon, ours and others'."""
        request = control_pb2.BuildHistoryRequest(active_only=True, early_exit=True).SerializeToString()
        async with (
            self._translated(),
            self._connection() as connection,
            connection.call(f"{_CONTROL}/ListenBuildHistory") as call,
        ):
            await call.send(request)
            await call.end()
            return tuple([_decoded(control_pb2.BuildHistoryEvent, message).record.ref async for message in call])

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """Build, and wait until the daemon has ended the build and every status update was delivered.

        Cancelling cancels the build on the daemon, and waits, at most 10 seconds, until it is not active there.

        Args:
            request: what to build.
            on_status: receives every update in order, one at a time; an error it raises cancels the build and is
                raised here.

        Raises:
            BuildFailedError: a step failed, or the Dockerfile is wrong.
            ImageNotFoundError: a base image does not exist or may not be read.
            RegistryError: a registry refused.
            RegistryUnavailableError: the daemon cannot reach a registry, or it fails.
            ContextError: a file of a source cannot be read.
            DaemonLostError: the daemon went away.
            BuilderUnreachableError: nothing answers at the address.
        """
        async with self._translated(), self._connection() as control, self._open() as session_connection:
            files = FileSyncState()
            session = Session(
                secrets.token_hex(16), shared_key=request.shared_key, handlers=self._handlers(request, files)
            )
            build = Build(
                request,
                control=control,
                session=session,
                files=files,
                session_connection=session_connection,
                on_status=on_status,
            )
            try:
                response = await build.run()
            finally:
                if not build.answered:
                    with anyio.move_on_after(_CANCEL_PATIENCE, shield=True):
                        await self._until_gone(request.ref)
            return SolveResult(
                digest=response.get(_DIGEST),
                exporter_response=response,
                sent_bytes=session_connection.sent_bytes,
                entries=files.entries,
                files_sent=files.files_requested,
            )

    def _handlers(self, request: SolveRequest, files: FileSyncState) -> Mapping[str, Handler]:
        methods = {**health_handlers(), **secret_handlers(request.secrets)}
        if request.tokens is not None:
            methods |= Auth(request.tokens, registries=request.registries, seed=self._auth_seed).handlers()
        return {
            **{method: unary(handler) for method, handler in methods.items()},
            **file_sync_handlers(request.sources, files),
        }

    async def _until_gone(self, ref: str) -> None:
        try:
            while ref in await self.active_builds():  # noqa: ASYNC110  the daemon is asked, no event of ours is awaited
                await anyio.sleep(_CANCEL_POLL)
        except FleetpacksError:
            # Without the daemon there is no build, and a daemon without a history has nothing to wait for.
            return

    async def _ask(self, method: str, request: bytes) -> bytes:
        async with self._translated(), self._connection() as connection:
            return await connection.unary(f"{_CONTROL}/{method}", request)

    @asynccontextmanager
    async def _translated(self) -> AsyncGenerator[None]:
        try:
            yield
        except GrpcError as error:
            raise protocol_error(error) from error
        except ConnectionLostError as error:
            raise lost_error(error, address=self._address) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        """Lend the control connection, or a new one when it takes no more calls.

        One that takes none (the daemon is being stopped) may still carry the builds that run on it: it is closed behind
        its last user.
        """
        async with self._opening:
            control = self._control
            if control is None or not control.connection.takes_calls:
                self._retire(control)
                control = self._control = await self._tasks.start(self._hold)
        control.users += 1
        try:
            yield control.connection
        finally:
            control.users -= 1
            if not control.connection.takes_calls:
                self._retire(control)

    def _retire(self, control: _Control | None) -> None:
        if self._control is control:
            self._control = None
        if control is not None and not control.users:
            control.released.set()

    async def _hold(self, *, task_status: TaskStatus[_Control]) -> None:
        async with self._open() as connection:
            control = _Control(connection)
            task_status.started(control)
            await control.released.wait()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Connection]:
        try:
            stream = await self._dial()
        except (UnreachableError, OSError) as error:
            raise dial_error(error, address=self._address) from error
        async with open_client(stream, authority=_AUTHORITY) as connection:
            yield connection


_Message = TypeVar("_Message", bound=Message)


def _decoded(kind: type[_Message], message: bytes) -> _Message:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise malformed_error(error) from error


def _platform(platform: ops_pb2.Platform) -> str:
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)
