"""A BuildKit daemon over any byte stream.

One control connection carries Solve, Status and the questions; every running build has a second one for its session
(`session.session` says why). The control connection is opened when it is first needed and again after it was lost: a
lost connection fails the builds that ran on it and none that start later.
"""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self, TypeVar

import anyio
import msgspec
from google.protobuf.message import DecodeError, Message

from orchestrator.buildkit import subrequests
from orchestrator.buildkit.border import malformed_error
from orchestrator.buildkit.build import FRONTEND, Build, OnStatus
from orchestrator.buildkit.capabilities import Capabilities, recognise
from orchestrator.buildkit.channel import Channel
from orchestrator.buildkit.gateway import Question
from orchestrator.buildkit.grpc import Call, Handler
from orchestrator.buildkit.history import BuildRecord, Descriptor, HistoryEvent, encode_history, history_event
from orchestrator.buildkit.model import DaemonInfo, Dial, SolveRequest, SolveResult, StatusUpdate, Worker
from orchestrator.buildkit.protos import content_pb2, control_pb2, ops_pb2
from orchestrator.buildkit.resources import PREDICATES, MemoryUse, memory_use
from orchestrator.buildkit.session.auth import Auth
from orchestrator.buildkit.session.content import LAYOUT, LOCAL, Content
from orchestrator.buildkit.session.filesend import FileSend
from orchestrator.buildkit.session.filesync import file_sync_handlers
from orchestrator.buildkit.session.health import health_handlers
from orchestrator.buildkit.session.secrets import secret_handlers
from orchestrator.buildkit.session.session import Session
from orchestrator.buildkit.session.ssh import ssh_handlers
from orchestrator.buildkit.session.transfer import FileSyncState
from orchestrator.buildkit.session.unary import unary
from orchestrator.buildkit.usage import Keep, UsageRecord, encode_prune, usage_record
from orchestrator.errors import FleetpacksError, ProtocolError

_CONTROL = "/moby.buildkit.v1.Control"
_CONTENT = "/containerd.services.content.v1.Content"
_DIGEST = "containerimage.digest"
_PREDICATE = "in-toto.io/predicate-type"
_LARGEST_PROVENANCE = 16 * 1024 * 1024
"""Bytes: a step with all its samples takes 10,000."""
_CANCEL_PATIENCE = 10.0
"""Seconds in which a cancelled build must vanish from the daemon's active ones."""
_CANCEL_POLL = 0.05


class Client:
    """Speaks to one daemon. An async context manager: nothing of it outlives the block.

    Args:
        dial: opens a connection to the daemon; called once for control and once per build.
        address: the daemon's address in messages.
    """

    def __init__(self, dial: Dial, *, address: str) -> None:
        self._channel = Channel(dial, address=address)
        self._auth_seed = secrets.token_bytes(32)

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._channel.__aexit__(kind, error, traceback)

    @property
    def address(self) -> str:
        """The daemon's address, as it was given."""
        return self._channel.address

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

    async def capabilities(self) -> Capabilities:
        """Find out what the daemon can do: two questions."""
        workers = await self.workers()
        try:
            version = (await self.info()).version
        except ProtocolError:
            # An engine of 20.10 does not know the question.
            version = None
        return recognise(workers, version=version)

    async def disk_usage(self, *, filters: Sequence[str] = ()) -> tuple[UsageRecord, ...]:
        """List what the daemon's cache holds.

        Args:
            filters: of which one must match, in containerd's words: `type==regular`, `description~=RUN`, `id==...`,
                `inuse`, `mutable`, `immutable`, `shared`, `private`; a comma within one joins them by "and".
        """
        request = control_pb2.DiskUsageRequest(filter=filters).SerializeToString()
        response = _decoded(control_pb2.DiskUsageResponse, await self._ask("DiskUsage", request))
        return tuple(usage_record(record) for record in response.record)

    async def prune(
        self, *, filters: Sequence[str] = (), everything: bool = False, keep: Keep | None = None
    ) -> tuple[UsageRecord, ...]:
        """Delete from the daemon's cache what no build uses now, and return what is gone.

        Cancelling ends the pruning on the daemon too, after what it is deleting then.

        Args:
            filters: as for `disk_usage`; without any, everything matches.
            everything: also what the daemon keeps for itself, and what it shares with images.
            keep: what stays nevertheless.
        """
        request = encode_prune(filters=filters, everything=everything, keep=keep or Keep())
        async with self._stream("Prune", request) as call:
            return tuple([usage_record(_decoded(control_pb2.UsageRecord, message)) async for message in call])

    async def history(
        self, *, ref: str | None = None, filters: Sequence[str] = (), limit: int = 0, active: bool = False
    ) -> tuple[BuildRecord, ...]:
        """List the builds that run on the daemon, ours and others', and those that it remembers.

        Args:
            ref: of the only build to tell of.
            filters: of which one must match an ended build: `ref==...`, `status==error` (or `completed`, `canceled`),
                `repository==...`, `startedAt>24h`, `completedAt<...`, `duration>5m`; since v0.19.
            limit: how many ended builds, the newest; 0 sets none; since v0.19.
            active: only those that run.
        """
        request = encode_history(ref=ref, filters=filters, limit=limit, active=active, live=False)
        async with self._stream("ListenBuildHistory", request) as call:
            return tuple([history_event(_decoded(control_pb2.BuildHistoryEvent, each)).record async for each in call])

    @asynccontextmanager
    async def watch_history(
        self, *, ref: str | None = None, active: bool = False
    ) -> AsyncGenerator[AsyncIterator[HistoryEvent]]:
        """Hear of builds as they begin and end: first of those that are known, as in `history`, then of all news.

        Args:
            ref: of the only build to tell of.
            active: leaves out what had ended before.
        """
        request = encode_history(ref=ref, filters=(), limit=0, active=active, live=True)
        async with self._stream("ListenBuildHistory", request) as call:
            yield _Events(call)

    async def active_builds(self) -> tuple[str, ...]:
        """List the refs of the builds that run on the daemon, ours and others'."""
        return tuple(record.ref for record in await self.history(active=True))

    async def memory_use(self, ref: str) -> MemoryUse:
        """Look up what a build needed of its builder's memory, when it has ended well.

        Args:
            ref: the build's.
        """
        records = await self.history(ref=ref)
        provenance = [each for record in records for each in record.attestations if _tells_of_memory(each)]
        return memory_use([await self._content(each) for each in provenance])

    async def lint(self, request: SolveRequest) -> subrequests.Lint:
        """Check a Dockerfile by its frontend's rules, without building it.

        Args:
            request: the build it belongs to; its ref and its exporter are not used.

        Raises:
            BuildFailedError: there is no Dockerfile, or the frontend knows no such question.
        """
        return await self._inquire(subrequests.LINT, request, subrequests.Lint)

    async def outline(self, request: SolveRequest) -> subrequests.Outline:
        """List the arguments, secrets and mounts that a build's target uses; as `lint`."""
        return await self._inquire(subrequests.OUTLINE, request, subrequests.Outline)

    async def targets(self, request: SolveRequest) -> subrequests.Targets:
        """List the stages of a Dockerfile that can be built; as `lint`."""
        return await self._inquire(subrequests.TARGETS, request, subrequests.Targets)

    async def describe(self, request: SolveRequest) -> tuple[subrequests.Subrequest, ...]:
        """List the questions that a Dockerfile's frontend says it answers (`lint` is not in it, v0.30.0); as `lint`."""
        return await self._inquire(subrequests.DESCRIBE, request, tuple[subrequests.Subrequest, ...])

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
            OutputError: a destination cannot be written.
            DaemonLostError: the daemon went away.
            BuilderUnreachableError: nothing answers at the address.
        """
        return await self._run(request, on_status)

    async def _run(self, request: SolveRequest, on_status: OnStatus, question: Question | None = None) -> SolveResult:
        exporters = request.exporters if question is None else ()
        received = FileSend({number: each.destination for number, each in enumerate(exporters) if each.destination})
        unfinished = False
        try:
            async with (
                self._channel.translated(),
                self._channel.control() as control,
                self._channel.open() as session_connection,
                received.opened(),
            ):
                files = FileSyncState()
                handlers = {**self._handlers(request, files), **received.handlers()}
                session = Session(secrets.token_hex(16), shared_key=request.shared_key, handlers=handlers)
                build = Build(
                    request,
                    control=control,
                    session=session,
                    files=files,
                    session_connection=session_connection,
                    on_status=on_status,
                    question=question,
                )
                try:
                    response = await build.run()
                    await received.commit()
                finally:
                    # A daemon that was given up would not answer a question about it either.
                    unfinished = not build.answered and not control.given_up
                return SolveResult(
                    digest=response.get(_DIGEST),
                    exporter_response=response,
                    sent_bytes=session_connection.sent_bytes,
                    entries=files.entries,
                    files_sent=files.files_requested,
                    warnings=tuple(received.warnings),
                )
        finally:
            # Behind its connections: one that only we know to be broken would carry the build on.
            if unfinished:
                with anyio.move_on_after(_CANCEL_PATIENCE, shield=True):
                    await self._until_gone(request.ref)

    async def _inquire(self, name: str, request: SolveRequest, kind: type[subrequests.Answer]) -> subrequests.Answer:
        # Each under a ref of its own: a daemon may still hold the last one's when it has answered.
        request = msgspec.structs.replace(request, ref=secrets.token_hex(12))
        question = Question(request.ref, frontend=FRONTEND, attrs={**request.attrs, "requestid": name})
        await self._run(request, _nobody, question)
        answer = question.answer.get(subrequests.RESULT)
        if answer is None:
            raise ProtocolError(
                f"{self.address}: the frontend answered {name} without {subrequests.RESULT}",
                hint="fleetpacks needs a buildkitd of v0.12 or newer at the builder's address",
            )
        return subrequests.decode(answer, kind, name=name)

    def _handlers(self, request: SolveRequest, files: FileSyncState) -> Mapping[str, Handler]:
        methods = {**health_handlers(), **secret_handlers(request.secrets)}
        if request.tokens is not None:
            methods |= Auth(request.tokens, registries=request.registries, seed=self._auth_seed).handlers()
        return {
            **{method: unary(handler) for method, handler in methods.items()},
            **file_sync_handlers(request.sources, files),
            **ssh_handlers(request.ssh),
            **Content(
                {f"{LOCAL}{name}": store for name, store in request.stores.items()}
                | {f"{LAYOUT}{name}": store for name, store in request.layouts.items()}
            ).handlers(),
        }

    async def _until_gone(self, ref: str) -> None:
        try:
            while ref in await self.active_builds():  # noqa: ASYNC110  the daemon is asked, no event of ours is awaited
                await anyio.sleep(_CANCEL_POLL)
        except FleetpacksError:
            # Without the daemon there is no build, and a daemon without a history has nothing to wait for.
            return

    async def _content(self, blob: Descriptor) -> bytes:
        request = content_pb2.ReadContentRequest(digest=blob.digest, size=blob.size).SerializeToString()
        async with self._stream("Read", request, service=_CONTENT) as call:
            return b"".join([_decoded(content_pb2.ReadContentResponse, each).data async for each in call])

    @asynccontextmanager
    async def _stream(self, method: str, request: bytes, *, service: str = _CONTROL) -> AsyncGenerator[Call]:
        async with (
            self._channel.translated(),
            self._channel.control() as connection,
            connection.call(f"{service}/{method}") as call,
        ):
            with suppress(anyio.BrokenResourceError):
                await call.send(request)
                await call.end()
            yield call

    async def _ask(self, method: str, request: bytes) -> bytes:
        async with self._channel.translated(), self._channel.control() as connection:
            return await connection.unary(f"{_CONTROL}/{method}", request)


class _Events:
    """The events of a call, one by one."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __aiter__(self) -> AsyncIterator[HistoryEvent]:
        return self

    async def __anext__(self) -> HistoryEvent:
        return history_event(_decoded(control_pb2.BuildHistoryEvent, await self._call.__anext__()))


def _tells_of_memory(attestation: Descriptor) -> bool:
    return attestation.annotations.get(_PREDICATE) in PREDICATES and attestation.size <= _LARGEST_PROVENANCE


async def _nobody(_update: StatusUpdate) -> None:
    """Nobody watches a question."""


_Message = TypeVar("_Message", bound=Message)


def _decoded(kind: type[_Message], message: bytes) -> _Message:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise malformed_error(error) from error


def _platform(platform: ops_pb2.Platform) -> str:
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)
