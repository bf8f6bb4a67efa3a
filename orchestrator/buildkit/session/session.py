"""One build's session: a connection of its own, on which the daemon calls our services.

`Control.Session` carries bytes both ways, and in these bytes is another HTTP/2 connection with the roles swapped: the
daemon is the client. It finds a session by its id on any connection, so each running build has its own: no upload
waits behind another build's, and a lost connection fails one build.
"""

from collections.abc import Mapping

from orchestrator.buildkit.grpc import Call, Connection, GrpcError, Handler, Metadata, Status, Tunnel, serve
from orchestrator.errors import FleetpacksError, OutputError

_SESSION = "/moby.buildkit.v1.Control/Session"
_NAME = "fleetpacks"


class Session:
    """Services for one build, and what went wrong in them.

    Args:
        session_id: unique; the build names it in its request.
        shared_key: names the daemon's copy of our sources; printable ASCII.
        handlers: the services' methods by full path.
    """

    def __init__(self, session_id: str, *, shared_key: str, handlers: Mapping[str, Handler]) -> None:
        self.id = session_id
        self._shared_key = shared_key
        self._handlers = {method: self._watched(handler) for method, handler in handlers.items()}
        self._failures: list[FleetpacksError] = []

    async def run(self, connection: Connection) -> None:
        """Serve the daemon until it ends the session.

        Raises:
            ConnectionLostError: the connection, or the session inside it, broke.
        """
        async with connection.call(_SESSION, metadata=self.metadata()) as call:
            await serve(Tunnel(call), self._handlers)

    def metadata(self) -> Metadata:
        """What tells the daemon who we are: session/session.go and session/grpchijack/dial.go, v0.30.0."""
        return (
            ("x-docker-expose-session-uuid", self.id),
            ("x-docker-expose-session-name", _NAME),
            ("x-docker-expose-session-sharedkey", self._shared_key),
            *(("x-docker-expose-session-grpc-method", method) for method in self._handlers),
        )

    def failure_behind(self, text: str) -> FleetpacksError | None:
        """Which of our own errors made the daemon say this: it passes our words on.

        Not those about an output: an exporter of files says no more than `EOF` when its receiver has gone.
        """
        told = (failure for failure in self._failures if failure.message in text or isinstance(failure, OutputError))
        return next(told, None)

    def _watched(self, handler: Handler) -> Handler:
        async def watch(call: Call) -> None:
            try:
                await handler(call)
            except FleetpacksError as error:
                self._failures.append(error)
                raise GrpcError(Status.FAILED_PRECONDITION, error.message) from error

        return watch
