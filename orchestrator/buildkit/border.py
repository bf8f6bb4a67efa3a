"""The border where a daemon's words become our errors: the only module that reads foreign text.

BuildKit passes a registry's answer, a failed step and a wrong Dockerfile on as one line of text under the status
UNKNOWN, so the text decides. Each row was recorded from buildkitd v0.30.0 (`tests/buildkit/test_border.py` holds the
messages word for word, `tests/buildkit/test_real_failures.py` provokes them anew); the first row that matches wins.
What a build's author can write into such a line must neither choose the row nor hold the event loop: a step's command
is left out, and of a long text only both ends are looked at.
"""

import re

import msgspec
from google.protobuf.message import DecodeError

from orchestrator.buildkit.details import STEP_FAILED, failed_step
from orchestrator.buildkit.grpc import ConnectionLostError, GrpcError, Status
from orchestrator.errors import (
    BuilderUnreachableError,
    BuildFailedError,
    DaemonLostError,
    FailedStep,
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryError,
    RegistryUnavailableError,
)
from remote.errors import UnreachableError

_LOST = "the daemon stopped or hangs, or its machine went away; its log says why, and the build can be started again"


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pattern: str
    """Compiled when a daemon first fails: most runs need none of them."""
    error: type[FleetpacksError]
    hint: str


def _row(pattern: str, error: type[FleetpacksError], hint: str) -> _Row:
    return _Row(pattern=pattern, error=error, hint=hint)


_MOST_JUDGED = 4096
"""Characters at each end of a text: matching takes up to the square of a text's length."""
_UNREACHABLE = (
    r"(: connect: |: no such host$|server misbehaving|i/o timeout|TLS handshake timeout|connection reset by peer"
    r"|unexpected EOF|: EOF$|no route to host|network is unreachable|context deadline exceeded)"
)
_BUSY = r"(: 5\d\d [A-Z]|: 429 Too Many Requests|toomanyrequests: |unavailable: )"
_PLAIN_HTTP = r"(first record does not look like a TLS handshake|server gave HTTP response to HTTPS client)"
_PUSH = r"^failed to push "
_PULL = r"^(.*: )?failed to (resolve source metadata for|copy: httpReadSeeker: failed open: )"

_ROWS = (
    _row(
        rf"^{STEP_FAILED}(exit code: \d+|.*signal: killed)$",
        BuildFailedError,
        "the step's output says why",
    ),
    _row(
        r"^(dockerfile parse error|failed to parse |failed to process |failed to create LLB definition: )"
        r"|^target stage .* could not be found$|^the Dockerfile cannot be empty$|^no build stage in current context$"
        r"|^base name \(.*\) should not be blank$",
        BuildFailedError,
        "correct the Dockerfile",
    ),
    _row(
        r"^failed to read dockerfile: ",
        BuildFailedError,
        "name the Dockerfile relative to the app's directory, and make sure that it exists",
    ),
    _row(
        r"^failed to compute cache key: .*: not found$|^lstat .*: no such file or directory$",
        BuildFailedError,
        "the path is not in the build context: check its spelling, and that .dockerignore does not exclude it",
    ),
    _row(
        r"^secret .*: not found$",
        BuildFailedError,
        "declare the secret for this app, or mount it with required=false",
    ),
    _row(
        r"^failed to load LLB: [a-z.]+ is not allowed$",
        BuildFailedError,
        "the Dockerfile asks for a privilege (RUN --network, RUN --security) that builds here do not have",
    ),
    _row(
        r"^failed to load cache key: ",
        BuildFailedError,
        "the daemon cannot read the URL of an ADD",
    ),
    _row(
        _PUSH + ".*" + _PLAIN_HTTP,
        RegistryError,
        "the registry speaks plain HTTP: declare it insecure, for fleetpacks and in buildkitd.toml",
    ),
    _row(
        _PULL + ".*" + _PLAIN_HTTP,
        RegistryError,
        'the registry speaks plain HTTP: set http = true under [registry."HOST"] in buildkitd.toml',
    ),
    _row(
        f"({_PUSH}|{_PULL}).*x509: ",
        RegistryError,
        'the daemon does not trust the certificate: set ca = [...] under [registry."HOST"] in buildkitd.toml',
    ),
    _row(
        f"({_PUSH}|{_PULL}).*{_UNREACHABLE}",
        RegistryUnavailableError,
        "the daemon cannot reach the registry: check its address, and the network from the daemon's machine",
    ),
    _row(
        f"({_PUSH}|{_PULL}).*{_BUSY}",
        RegistryUnavailableError,
        "the registry is failing or busy: try again later, its log says why",
    ),
    _row(
        _PUSH + r".*invalid reference format",
        RegistryError,
        "an image's name is HOST/PATH, in lower case",
    ),
    _row(
        _PUSH,
        RegistryError,
        "log in to the registry with an account that may push there, and check that the repository exists",
    ),
    _row(
        _PULL + r".*(: not found$|: 40[13] |pull access denied|insufficient_scope|denied: |unauthorized: )",
        ImageNotFoundError,
        "check the image's name and tag, and log in to its registry if it is private",
    ),
    _row(
        _PULL,
        RegistryError,
        "the registry refused to serve the image; its log says why",
    ),
    _row(
        r"failed to authorize: |failed to fetch (oauth|anonymous) token",
        RegistryError,
        "log in to the registry with an account that may do this",
    ),
    _row(
        r"no active session for |session healthcheck failed",
        DaemonLostError,
        "the daemon lost our session; the same build can be started again",
    ),
    _row(
        r"no space left on device",
        BuildFailedError,
        "the daemon's disk is full: prune its cache (buildctl prune), or give it more room",
    ),
)


def solve_error(error: GrpcError, *, at: FailedStep | None = None) -> FleetpacksError:
    """Say in our terms why a daemon failed a build.

    Args:
        error: what the daemon said.
        at: where in the build, with the step's log; None takes what the error itself tells.
    """
    at = at or failed_step(error.details, error.message)
    text = error.message
    where = f"{at.file}:{at.line}: " if at.file and at.line else ""
    judged = _judged(text)
    for row in _ROWS:
        if re.search(row.pattern, judged, re.DOTALL):
            return row.error(where + text, hint=row.hint, at=at)
    if error.status in (Status.UNAVAILABLE, Status.CANCELLED):
        return DaemonLostError(f"the daemon gave the build up: {text}", hint=_LOST)
    if error.status is Status.UNIMPLEMENTED:
        return protocol_error(error)
    return BuildFailedError(where + text, hint="the build's log, and the daemon's, say more", at=at)


def unknown_build(error: GrpcError, ref: str) -> bool:
    """Whether a daemon only says that it does not know a build, yet or any more."""
    return error.status is Status.NOT_FOUND and error.message.endswith(f"no such job {ref}")


def _judged(text: str) -> str:
    """What of a text chooses its row."""
    if text.startswith("process "):
        _, failed, reason = text.rpartition(STEP_FAILED)
        text = failed + reason
    return text if len(text) <= 2 * _MOST_JUDGED else text[:_MOST_JUDGED] + text[-_MOST_JUDGED:]


def protocol_error(error: GrpcError) -> FleetpacksError:
    """Say in our terms why a daemon failed a call that is not a build."""
    if error.status in (Status.UNAVAILABLE, Status.CANCELLED):
        return DaemonLostError(f"the daemon does not answer: {error.message}", hint=_LOST)
    hint = "the daemon's words say what it did not like; its log may say more"
    if error.status is Status.UNIMPLEMENTED:
        hint = "fleetpacks needs a buildkitd of v0.12 or newer at the builder's address"
    return ProtocolError(f"the daemon refused a call: {error.status.name}: {error.message}", hint=hint)


def session_error(error: ConnectionLostError | None) -> DaemonLostError:
    """Say in our terms that a session ended under a running build; None: the daemon ended it without a word."""
    return DaemonLostError(f"the daemon ended the build's session: {error or 'it gave no reason'}", hint=_LOST)


def malformed_error(error: DecodeError) -> ProtocolError:
    """Say in our terms that a daemon's message cannot be read."""
    return ProtocolError(
        f"expected a message of BuildKit's API from the daemon, got something else: {error}",
        hint="is it a buildkitd that listens at the builder's address?",
    )


def lost_error(error: ConnectionLostError, *, address: str) -> DaemonLostError:
    """Say in our terms that a connection ended under us."""
    return DaemonLostError(f"{address}: the connection to the daemon was lost: {error}", hint=_LOST)


def dial_error(error: UnreachableError | OSError, *, address: str) -> BuilderUnreachableError:
    """Say in our terms that nothing answers at a builder's address."""
    if isinstance(error, UnreachableError):
        return BuilderUnreachableError(error.message, hint=error.hint)
    return BuilderUnreachableError(f"{address}: {error.strerror or error}", hint="is buildkitd running there?")
