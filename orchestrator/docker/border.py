"""The border where an engine's words become our errors: the only module of this room that reads foreign text.

An engine passes on what a registry, containerd or runc said, as one line of text under a status that says little; for
progress streams there is no status at all. So the text decides. Each row was recorded from Engine 20.10.24 and
2.0.0-beta.24 (`tests/docker/test_border.py` holds the messages word for word); the first row that matches wins.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

import aiodocker
import aiohttp
import msgspec

from orchestrator.errors import (
    BuilderUnreachableError,
    DaemonLostError,
    DiskFullError,
    EngineError,
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)

_NO_ANSWER = 900
"""The status by which aiodocker means that there was none."""
_NO_SUCH = 404
_LONGEST = 2000


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pattern: re.Pattern[str]
    error: type[FleetpacksError]
    hint: str


def _row(pattern: str, error: type[FleetpacksError], hint: str) -> _Row:
    return _Row(pattern=re.compile(pattern, re.DOTALL), error=error, hint=hint)


_TRANSFER = r"^(push|pull) .*?: "
_DENIED = r"(no basic auth credentials|unauthorized: |denied: |access denied|40[13] (Unauthorized|Forbidden))"
_UNREACHABLE = (
    r"(connect: |: no such host|server misbehaving|i/o timeout|TLS handshake timeout|connection reset by peer"
    r"|unexpected EOF|: EOF$|no route to host|network is unreachable|context deadline exceeded|Client\.Timeout)"
)
_BUSY = (
    r"(HTTP status: 5\d\d|parsing HTTP (429|5\d\d) response body|: 5\d\d [A-Z]|: 429 Too Many Requests"
    r"|toomanyrequests: |unavailable: )"
)

_ROWS = (
    _row(
        r"no space left on device|[Dd]isk quota exceeded",
        DiskFullError,
        "prune its images and its cache (fleetpacks cache prune), or give its disk more room",
    ),
    _row(
        r"(No such image: |does not exist locally with the tag: |tag does not exist: )",
        ImageNotFoundError,
        "pull, load or build the image on this engine first, and check its name",
    ),
    _row(
        _TRANSFER + r".*(first record does not look like a TLS handshake|server gave HTTP response to HTTPS client)",
        RegistryError,
        "the registry speaks plain HTTP: name it in insecure-registries of the engine's daemon.json",
    ),
    _row(
        _TRANSFER + r".*(x509: |tls: failed to verify certificate)",
        RegistryError,
        "the engine does not trust the certificate: put its authority below /etc/docker/certs.d/HOST on its machine",
    ),
    _row(
        _TRANSFER + ".*" + _BUSY,
        RegistryBusyError,
        "the registry is failing or busy: try again later, its log says why",
    ),
    _row(
        "^pull .*?: .*(manifest unknown|not found|" + _DENIED + ")",
        ImageNotFoundError,
        "check the image's name and tag, and log in to its registry if it is private",
    ),
    _row(
        _TRANSFER + ".*" + _DENIED,
        RegistryError,
        "log in to the registry with an account that may push there, and check that the repository exists",
    ),
    _row(
        _TRANSFER + ".*" + _UNREACHABLE,
        RegistryUnavailableError,
        "the engine cannot reach the registry: check its address, and the network from the engine's machine",
    ),
    _row(
        r"client version \S+ is too (old|new)",
        ProtocolError,
        "fleetpacks needs a Docker Engine of 20.10 or newer",
    ),
    _row(
        r"^start .*(exec|executable file|starting container process)",
        EngineError,
        "the image's start command cannot be run: check that it exists and is executable for the image's user",
    ),
)


@contextmanager
def translated(address: str, doing: str) -> Generator[None]:
    """Raise errors of aiodocker, and of the HTTP below it, as ours.

    Args:
        address: the engine's.
        doing: what is asked of it, beginning with a verb: `push registry.example/app:1`.
    """
    try:
        yield
    except aiodocker.DockerError as error:
        raise _docker_error(error, address=address, doing=doing) from error
    except TimeoutError as error:
        raise BuilderUnreachableError(
            f"{address}: something listens there, but gave no answer in time: cannot {doing}",
            hint="is it a Docker Engine, and is it well? Its log may say what it waits for.",
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise lost(address, doing, str(error) or type(error).__name__) from error
    except (msgspec.ValidationError, ValueError, KeyError, TypeError) as error:
        # What aiodocker makes of an answer that is no JSON, or JSON of another kind.
        raise ProtocolError(
            f"{address}: expected an answer of Docker's API to: {doing}; got something else: {error}",
            hint="is it a Docker Engine that listens there?",
        ) from error


def is_missing(error: aiodocker.DockerError) -> bool:
    """Whether what was asked for is not there."""
    return error.status == _NO_SUCH


def lost(address: str, doing: str, reason: str) -> DaemonLostError:
    """The error for a connection that ended under a request."""
    return DaemonLostError(
        f"{address}: the connection to the engine was lost: cannot {doing}: {reason}",
        hint="the engine stopped or its machine went away; its log says why",
    )


def _docker_error(error: aiodocker.DockerError, *, address: str, doing: str) -> FleetpacksError:
    if error.status == _NO_ANSWER:
        cause = error.__context__
        if isinstance(cause, aiohttp.ClientConnectorError):
            return _unreachable(cause, address)
        return lost(address, doing, str(cause or error.message))
    text = error.message.strip()
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    message = f"{address}: the engine cannot {doing}: {text}"
    for row in _ROWS:
        if row.pattern.search(f"{doing}: {text}"):
            return row.error(message, hint=row.hint)
    return EngineError(message, hint="the engine's log says more")


def _unreachable(error: aiohttp.ClientConnectorError, address: str) -> FleetpacksError:
    reason = error.os_error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return EngineError(
            f"{address}: the engine's certificate does not verify: {error}",
            hint="name the authority that signed it: cacert=... in the engine's address",
        )
    hint = "is a Docker Engine running there?"
    if isinstance(reason, PermissionError):
        hint = "run as a user (or in a group) that may open the socket"
    return BuilderUnreachableError(f"{address}: {reason.strerror or reason}", hint=hint)
