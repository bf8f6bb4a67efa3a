"""Whether a daemon that says nothing still lives: a stopped process and a lost network keep their connections.

TCP and unix sockets stay silent when the peer's process is stopped, and HTTP/2 PINGs are no way to ask: buildkitd
allows one in five minutes (grpc-go's default enforcement) and answers more with GOAWAY. So after some silence the
standard health service is asked, on the same connection. Any byte is proof of life, also a refusal from a daemon
without that service, and also one that the answer's own flow control holds back: its headers come first.

As patient as BuildKit is with our side of a session (session/grpc.go, v0.30.0: asked every 5 s, given up after two
times 15 s). Patience is counted in turns of ours, not on the clock: a process of ours that was stopped, or whose
machine slept, must not take its own absence for the daemon's.

A daemon that was given up once gets no such patience on its next connection, until a byte comes: a living one greets
whoever connects (RFC 9113, section 3.4), and a queue of builds must not wait out each its own half minute.
"""

from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

from orchestrator.buildkit.grpc import Connection, ConnectionLostError, GrpcError

_CHECK = "/grpc.health.v1.Health/Check"

TURN = 1.0
"""Seconds."""
QUIET = 5
"""Turns without a byte after which the daemon is asked."""
PATIENCE = 30
"""Turns without a byte, after the question was sent, until the daemon counts as lost."""
SUSPECTED = 4
"""The same for a daemon that was lost so before and has not greeted since; it is asked at once."""


class Liveness:
    """Watches one connection while somebody waits for something on it.

    Args:
        connection: to the daemon.
        suspected: whether the last connection to it was given up.
    """

    def __init__(self, connection: Connection, *, suspected: bool = False) -> None:
        self._connection = connection
        self._suspected = suspected
        self._question: anyio.CancelScope | None = None
        self._heard = connection.received_bytes
        self._quiet = 0
        self._unanswered = 0
        self.users = 0
        """How many use the connection now; a connection that nobody waits on may be silent for ever."""

    async def watch(self) -> None:
        """Give the connection up as soon as its peer counts as lost; returns then, or when it has ended anyway."""
        async with anyio.create_task_group() as asking:
            while not self._connection.ended:
                await anyio.sleep(TURN)
                self._turn(asking)
            asking.cancel_scope.cancel()

    def _turn(self, asking: TaskGroup) -> None:
        if self._connection.received_bytes != self._heard or not self.users:
            self._heard = self._connection.received_bytes
            self._quiet = self._unanswered = 0
            self._suspected = self._suspected and not self._connection.received_bytes
            if self._question is not None:
                self._question.cancel()
                self._question = None
            return
        self._quiet += 1
        if self._question is None and self._quiet >= (1 if self._suspected else QUIET):
            self._question = anyio.CancelScope()
            asking.start_soon(self._ask, self._question)
        if self._unanswered:
            self._unanswered += 1
        if self._unanswered > (SUSPECTED if self._suspected else PATIENCE):
            seconds = round(self._quiet * TURN)
            self._connection.give_up(f"it has been silent for {seconds} s, and does not answer whether it lives")

    async def _ask(self, scope: anyio.CancelScope) -> None:
        # What comes of it is counted as bytes, in `_turn`.
        with scope, suppress(GrpcError, ConnectionLostError, anyio.BrokenResourceError, anyio.EndOfStream):
            async with self._connection.call(_CHECK) as call:
                # Only from here on: a full set of streams keeps us from asking, and is no fault of the daemon's.
                self._unanswered = 1
                await call.send(b"")
                await call.end()
                await call.receive()
