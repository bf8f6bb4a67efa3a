"""One running build: Solve, with Status beside it and the session under it.

The three belong together and end together. Solve decides: its answer is the build's. Status ends by itself shortly
before Solve does; its error never hides Solve's, and it is drained before the build is over, so that the last lines of
a failed step are not lost. A session that ends before the answer ends the build.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping

import anyio
import msgspec
from google.protobuf.message import DecodeError

from orchestrator.buildkit.border import malformed_error, protocol_error, session_error, solve_error
from orchestrator.buildkit.details import failed_step
from orchestrator.buildkit.gateway import Question
from orchestrator.buildkit.grpc import Connection, ConnectionLostError, GrpcError, Status
from orchestrator.buildkit.model import SolveRequest, StatusUpdate
from orchestrator.buildkit.protos import control_pb2, policy_pb2
from orchestrator.buildkit.session.session import Session
from orchestrator.buildkit.session.transfer import FileSyncState
from orchestrator.buildkit.status import decode_status
from orchestrator.buildkit.tails import LogTails
from orchestrator.errors import FleetpacksError

OnStatus = Callable[[StatusUpdate], Awaitable[None]]

_SOLVE = "/moby.buildkit.v1.Control/Solve"
_STATUS = "/moby.buildkit.v1.Control/Status"
FRONTEND = "dockerfile.v0"

_QUIET_AFTER_EVENTS = 5.0
"""Seconds without a message after which an answered build's status is given up; Go's client waits as long."""
_QUIET_WITHOUT_EVENTS = 1.0
"""The same for a build that failed before the daemon made a job of it: then its status has nothing to say."""
_UNKNOWN_PAUSE = 0.2
"""Seconds until status is asked for again when the daemon does not know the build yet. It waits 6 s itself."""


_POLICY_VERSION = 1
_ACTIONS = {"allow": policy_pb2.ALLOW, "deny": policy_pb2.DENY, "convert": policy_pb2.CONVERT}
_MATCHES = {"exact": policy_pb2.EXACT, "wildcard": policy_pb2.WILDCARD, "regex": policy_pb2.REGEX}


class Build:
    """Runs one build on connections that are open already. Used once.

    Args:
        request: what to build.
        control: the connection for Solve and Status.
        session: serves the daemon's calls.
        files: knows why a transfer of ours failed.
        session_connection: the session's own connection.
        on_status: receives every update, one at a time; its error ends the build.
        question: what the frontend is asked instead of building.
    """

    def __init__(
        self,
        request: SolveRequest,
        *,
        control: Connection,
        session: Session,
        files: FileSyncState,
        session_connection: Connection,
        on_status: OnStatus,
        question: Question | None = None,
    ) -> None:
        self._request = request
        self._control = control
        self._session = session
        self._files = files
        self._session_connection = session_connection
        self._on_status = on_status
        self._question = question
        self._tails = LogTails()
        self._failure: Exception | None = None
        self._events = 0
        self._status_ended = anyio.Event()
        self._receiving = anyio.CancelScope()
        self._showing = False
        self.answered = False
        """Whether the daemon ended the build itself; else it may still be at work on it."""

    async def run(self) -> Mapping[str, str]:
        """Build, and return what the exporter says.

        Raises:
            FleetpacksError: the daemon failed the build, as `border` translates it, or one of our services did.
            ConnectionLostError: one of the two connections ended.
            Exception: whatever `on_status` raised.
        """
        response = b""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, tasks.cancel_scope)
            tasks.start_soon(self._follow, tasks.cancel_scope)
            if self._question is not None:
                tasks.start_soon(self._ask, self._question, tasks.cancel_scope)
            try:
                response = await self._control.unary(_SOLVE, self._encoded())
            except GrpcError as error:
                # In this order: the end of the failed step's output comes with the last of the status.
                await self._finish()
                self._failure = self._explain(error)
                self._failure.__cause__ = error
            except ConnectionLostError as error:
                self._give_up(error, tasks.cancel_scope)
            else:
                await self._finish()
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return _exporter_response(response)

    def _explain(self, error: GrpcError) -> FleetpacksError:
        # Our own errors know more than the daemon's repetition of them.
        own = self._files.error or self._session.failure_behind(error.message)
        if own is not None:
            return own
        at = failed_step(error.details, error.message)
        step = at.step or self._tails.step_behind(error.message)
        if step is not None:
            at = msgspec.structs.replace(at, step=step, log=self._tails.of(step))
        return solve_error(error, at=at)

    def _encoded(self) -> bytes:
        if self._question is not None:
            return encode_question(self._request, session_id=self._session.id)
        return encode_solve(self._request, session_id=self._session.id)

    async def _ask(self, question: Question, scope: anyio.CancelScope) -> None:
        try:
            await question.ask(self._control)
        except GrpcError as error:
            self._give_up(protocol_error(error), scope)
        except (ConnectionLostError, FleetpacksError) as error:
            self._give_up(error, scope)

    async def _finish(self) -> None:
        self.answered = True
        if not self._showing:
            self._receiving.deadline = self._last_call()
        await self._status_ended.wait()

    async def _serve(self, scope: anyio.CancelScope) -> None:
        try:
            await self._session.run(self._session_connection)
        except ConnectionLostError as error:
            self._give_up(session_error(error), scope)
        else:
            self._give_up(session_error(None), scope)

    async def _follow(self, scope: anyio.CancelScope) -> None:
        try:
            while not await self._follow_once() and not self.answered:  # noqa: ASYNC110  the daemon is asked
                await anyio.sleep(_UNKNOWN_PAUSE)
        except ConnectionLostError as error:
            self._give_up(error, scope)
        except DecodeError as error:
            self._give_up(malformed_error(error), scope)
        except Exception as error:  # noqa: BLE001  on_status may raise anything, and its caller is to get it plainly
            self._give_up(error, scope)
        finally:
            self._status_ended.set()

    async def _follow_once(self) -> bool:
        """Deliver the build's events to their end; False when the daemon does not know the build (yet)."""
        try:
            async with self._control.call(_STATUS) as call:
                await call.send(control_pb2.StatusRequest(ref=self._request.ref).SerializeToString())
                await call.end()
                with anyio.CancelScope(deadline=self._last_call()) as self._receiving:
                    while True:
                        message = await call.receive()
                        self._events += 1
                        # Only silence ends the status early, never the time that is needed to show it.
                        self._receiving.deadline = math.inf
                        self._showing = True
                        update = decode_status(message)
                        self._tails.feed(update)
                        await self._on_status(update)
                        self._showing = False
                        self._receiving.deadline = self._last_call()
                return True
        except anyio.EndOfStream:
            return True
        except GrpcError as error:
            return error.status is not Status.NOT_FOUND or self._events > 0

    def _last_call(self) -> float:
        """Until when, on the event loop's clock, the next status message is waited for."""
        if not self.answered:
            return math.inf
        return anyio.current_time() + (_QUIET_AFTER_EVENTS if self._events else _QUIET_WITHOUT_EVENTS)

    def _give_up(self, failure: Exception, scope: anyio.CancelScope) -> None:
        if not self.answered and self._failure is None:
            self._failure = failure
            scope.cancel()


def encode_solve(request: SolveRequest, *, session_id: str) -> bytes:
    """Encode a `Control.Solve` request."""
    attrs = dict(request.attrs)
    if request.cache_imports:
        # The frontend looks them up (frontend/dockerui/config.go, v0.30.0): the names of its Go fields are the keys.
        attrs["cache-imports"] = json.dumps(
            [{"Type": entry.type, "Attrs": dict(entry.attrs)} for entry in request.cache_imports]
        )
    message = control_pb2.SolveRequest(
        ref=request.ref,
        session=session_id,
        frontend=FRONTEND,
        frontend_attrs=attrs,
        # Daemons before v0.13 dereference it without looking.
        entitlements=request.entitlements,
        cache=control_pb2.CacheOptions(),
    )
    for entry in request.cache_imports:
        message.cache.imports.add(type=entry.type, attrs=entry.attrs)
    for entry in request.cache_exports:
        message.cache.exports.add(type=entry.type, attrs=entry.attrs)
    for number, exporter in enumerate(request.exporters):
        message.exporters.add(type=exporter.type, attrs=exporter.attrs)
        if number == 0:
            message.exporter_deprecated = exporter.type
            message.exporter_attrs_deprecated.update(exporter.attrs)
    if request.source_policy:
        message.source_policy.version = _POLICY_VERSION
        for rule in request.source_policy:
            message.source_policy.rules.add(
                action=_ACTIONS[rule.action],
                selector=policy_pb2.Selector(identifier=rule.identifier, match_type=_MATCHES[rule.match]),
                updates=policy_pb2.Update(identifier=rule.to) if rule.to else None,
            )
    return message.SerializeToString(deterministic=True)


def encode_question(request: SolveRequest, *, session_id: str) -> bytes:
    """Encode a `Control.Solve` request that waits for a client of the gateway, and leaves no trace in the history."""
    message = control_pb2.SolveRequest(
        ref=request.ref, session=session_id, cache=control_pb2.CacheOptions(), internal=True
    )
    return message.SerializeToString()


def _exporter_response(message: bytes) -> Mapping[str, str]:
    try:
        return dict(control_pb2.SolveResponse.FromString(message).exporter_response)
    except DecodeError as error:
        raise malformed_error(error) from error
