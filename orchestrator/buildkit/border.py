"""The border where a daemon's words become our errors: the only module that reads foreign text.

BuildKit passes a registry's answer, a failed step and a wrong Dockerfile on as one line of text under the status
UNKNOWN, so the text decides. Each row was recorded from real daemons (`tests/buildkit/recorded/` holds what they said,
by version; `tests/buildkit/scenarios.py` provokes it anew); the first row that matches wins.
What a build's author can write into such a line must neither choose the row nor hold the event loop: a step's command
is left out, and of a long text only both ends are looked at.
"""

import re

import msgspec
from google.protobuf.message import DecodeError

from orchestrator.buildkit.details import STEP_FAILED, failed_step, step_failure
from orchestrator.buildkit.grpc import ConnectionLostError, GrpcError, Status
from orchestrator.buildkit.grpc.wire import HTTP1, NOT_HTTP
from orchestrator.errors import (
    BuilderUnreachableError,
    BuildFailedError,
    CacheLostError,
    ContextError,
    DaemonLostError,
    DiskFullError,
    FailedStep,
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
    StepCancelledError,
    UsageError,
)
from remote.errors import RemoteError, UnreachableError
from remote.tcp import REFUSED

_LOST = "the daemon stopped or hangs, or its machine went away; its log says why, and the build can be started again"


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pattern: str
    """Compiled when a daemon first fails: most runs need none of them."""
    error: type[FleetpacksError]
    hint: str
    file: str | None = None
    """The file that is wrong, where the daemon never says which."""


def _row(pattern: str, error: type[FleetpacksError], hint: str, file: str | None = None) -> _Row:
    return _Row(pattern=pattern, error=error, hint=hint, file=file)


_NO_SPACE = r"(^|: )no space left on device(: unknown)?$"
_FULL = "No space left on device"
"""How programs say it; in a step's output it chooses a hint, and no more than that."""
_FULL_HINT = "the daemon's disk is full: prune its cache (fleetpacks cache prune), or give it more room"
_MOST_JUDGED = 4096
"""Characters at each end of a text: matching takes up to the square of a text's length."""
_WRAPPED = r"^(failed to solve with frontend [\w.]+: |failed to create LLB definition: )+"
"""Says who said it; daemons up to v0.9."""
_UNREACHABLE = (
    r"(: connect: |: no such host$|server misbehaving|i/o timeout|TLS handshake timeout|connection reset by peer"
    r"|unexpected EOF|: EOF$|no route to host|network is unreachable|context deadline exceeded)"
)
_BUSY = r"(: 5\d\d [A-Z]|: 429 Too Many Requests|toomanyrequests: |unavailable: )"
_PLAIN_HTTP = r"(first record does not look like a TLS handshake|server gave HTTP response to HTTPS client)"
_PUSH = r"^failed to push "
_PULL = (
    r"(^(.*: )?failed to (resolve source metadata for|copy: httpReadSeeker: failed open: )"
    r'|^failed to do request: (Head|Get) "https?://[^"/]*/v2/'
    r"|^failed to authorize: |^pulling from host \S+ failed with status code )"
)

_SCANNER = "docker/buildkit-syft-scanner"
"""The default of `--sbom`, whose name nobody wrote (frontend/attestations, BuildKit v0.30.0)."""
_NOT_PULLED = (ImageNotFoundError, RegistryBusyError, RegistryError, RegistryUnavailableError)
_SCANNER_HINT = "this image finds out what images are made of: name one that the builder can have with --sbom-scanner"

_ROWS = (
    _row(
        rf"^{STEP_FAILED}(exit code: 137|cannot allocate memory|.*signal: killed)$",
        BuildFailedError,
        "the step was killed, most often for want of memory: give the builder more of it, or run fewer builds at once",
    ),
    _row(
        rf"^{STEP_FAILED}exit code: 12[67]$",
        BuildFailedError,
        "the step's program is not in the image that it runs in, or cannot be executed there",
    ),
    _row(
        rf"^{STEP_FAILED}exit code: \d+$",
        BuildFailedError,
        "the step's output says why",
    ),
    _row(
        _NO_SPACE,
        DiskFullError,
        _FULL_HINT,
    ),
    _row(
        r"^(dockerfile parse error|failed to parse |failed to process )|^target stage .* could not be found$"
        r"|^the Dockerfile cannot be empty$|^no build stage in current context$|^base name \(.*\) should not be blank$"
        r"|^dockerfile contains no stages to build$|^invalid stage index |^circular dependency detected on stage"
        r"|^[A-Z]+ (must have|requires) ",
        BuildFailedError,
        "correct the Dockerfile",
    ),
    # Of a daemon's own cache, not of what a build names. Seen after collections; builds fail until it is started anew
    # (moby/buildkit#4024, #3008), or only while a collection goes on (with the containerd image store).
    _row(
        r'(^|: )lease "[^"]*": not found$|(^|[: ])snapshot (\S+ )?\S+ does not exist: not found$'
        r"|(^|: )lease does not exist: not found$",
        CacheLostError,
        "the daemon has lost a part of its own cache, most often to a collection: restart it where this goes on "
        "(moby/buildkit#4024)",
    ),
    # Never our own cancellation: who cancels hears no answer. Pulls and pushes end so, too: before their rows.
    _row(
        r"(^|: )context canceled$",
        StepCancelledError,
        "a build that shared this work was cancelled, or the daemon is being stopped: the same build can be started "
        "again",
    ),
    _row(
        r"string field contains invalid UTF-8$",
        ContextError,
        "this daemon takes names of files in UTF-8 only: `find . | grep -axv '.*'` shows the others; rename them, or "
        "leave them out by .dockerignore",
    ),
    _row(
        r"^syntax error in pattern$|^illegal exclusion pattern: ",
        BuildFailedError,
        "correct its patterns: a [ needs a range and its ], a ! the pattern that it takes back, a \\ what it escapes",
        file=".dockerignore",
    ),
    _row(
        r"^unsupported request frontend\.",
        ProtocolError,
        "the daemon's Dockerfile frontend does not know this question; that of a newer one does",
    ),
    # What the daemon read from our session when a connection broke (grpc-go, internal/transport: the reader's error).
    _row(
        r"code = Unavailable desc = error reading from server: ",
        DaemonLostError,
        "the daemon lost our session, or is being stopped; the same build can be started again",
    ),
    _row(
        r"^failed to read dockerfile: ",
        BuildFailedError,
        "name the Dockerfile relative to the app's directory, and make sure that it exists",
    ),
    _row(
        r"^failed to compute cache key: (failed to calculate checksum of ref .*: )?\".*\"( not found)?: not found$"
        r"|^lstat .*: no such file or directory$",
        BuildFailedError,
        "the path is not in the build context, or not in the stage that is copied from: check its spelling, and that "
        ".dockerignore does not exclude it",
    ),
    _row(
        r"failed to copy: httpReadSeeker: failed open: could not fetch content descriptor .* from remote: not found$",
        ImageNotFoundError,
        "the registry has the base image's manifest, but not this layer of it: push the base image anew",
    ),
    _row(
        r'failed commit on ref "[a-z]+-sha256:[0-9a-f]+": (commit failed: )?unexpected commit digest ',
        RegistryError,
        "what the registry serves for the base image is not what its manifest names: push the base image anew",
    ),
    _row(
        r"^secret .*: not found$",
        BuildFailedError,
        "declare the secret for this app, or mount it with required=false",
    ),
    _row(
        r'^no SSH key ".*" forwarded from the client$',
        BuildFailedError,
        "declare the SSH agent for this app, or mount it with required=false",
    ),
    _row(
        r"^failed to load LLB: [a-z.]+ is not allowed$",
        BuildFailedError,
        "the Dockerfile asks for a privilege (RUN --network, RUN --security) that builds here do not have: an operator "
        "may give it, by `entitlements` in the operator's file",
    ),
    _row(
        r"(^|: )granting entitlement [a-z.]+ is not allowed by build daemon configuration$",
        UsageError,
        "take it out of `entitlements` in the operator's file, or have the daemon allow it: insecure-entitlements "
        "in buildkitd.toml, builder.entitlements in an engine's daemon.json",
    ),
    _row(
        r"^failed to load cache key: ",
        BuildFailedError,
        "the daemon cannot read the URL of an ADD",
    ),
    _row(
        r"^digest mismatch sha256:",
        BuildFailedError,
        "what an ADD downloads is not what its --checksum says",
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
        RegistryBusyError,
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
        r"^\S+/\S+: not found$|(^|: )no match for platform in manifest( sha256:[0-9a-f]+)?: not found$",
        ImageNotFoundError,
        "check the image's name and tag, and that it is made for the platform; log in to its registry if it is private",
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
        "the daemon lost our session, or is being stopped; the same build can be started again",
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
            full = row.error is BuildFailedError and any(_FULL in line for line in at.log)
            hint = _FULL_HINT if full else row.hint
            if _SCANNER in judged and row.error in _NOT_PULLED:
                hint = f"{hint}; {_SCANNER_HINT}"
            where = f"{row.file}: " if row.file else where
            return row.error(where + text, hint=hint, at=at)
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
    text = re.sub(_WRAPPED, "", text, count=1)
    failure = step_failure(text)
    if failure is not None:
        text = STEP_FAILED + failure.reason
    return text if len(text) <= 2 * _MOST_JUDGED else text[:_MOST_JUDGED] + text[-_MOST_JUDGED:]


def protocol_error(error: GrpcError) -> FleetpacksError:
    """Say in our terms why a daemon failed a call that is not a build."""
    if error.status in (Status.UNAVAILABLE, Status.CANCELLED):
        return DaemonLostError(f"the daemon does not answer: {error.message}", hint=_LOST)
    if re.search(_NO_SPACE, _judged(error.message)):
        return DiskFullError(f"the daemon's disk is full: {error.message}", hint=_FULL_HINT)
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


def lost_error(error: ConnectionLostError, *, address: str) -> FleetpacksError:
    """Say in our terms that a connection ended under us."""
    if REFUSED in str(error):
        return UsageError(f"{address}: {error}", hint="name one that it trusts with cert= and key= in its address")
    foreign = next((what for what in (HTTP1, NOT_HTTP) if str(error).endswith(what)), None)
    if foreign is not None:
        return UsageError(
            f"{address}: expected a buildkitd, but {foreign}",
            hint="is it a Docker Engine? Name it with docker:// then, in place of unix:// or tcp://",
        )
    return DaemonLostError(f"{address}: the connection to the daemon was lost: {error}", hint=_LOST)


def dial_error(error: RemoteError | OSError, *, address: str) -> FleetpacksError:
    """Say in our terms that no builder answers at an address: nothing does, or what does is none."""
    if isinstance(error, UnreachableError):
        return BuilderUnreachableError(error.message, hint=error.hint)
    if isinstance(error, RemoteError):
        return UsageError(error.message, hint=error.hint)
    return BuilderUnreachableError(f"{address}: {error.strerror or error}", hint="is buildkitd running there?")
