"""Every error that a user can meet, each with its exit code and what to do next.

Foreign errors are translated into these at the border where they arrive. An error is an *app's* (its build failed) or
the *run's* (the configuration is wrong); `transient` is a type, not a guess made from a text later on.
"""

from typing import ClassVar

import msgspec

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRANSIENT = 75


def _whole(text: str) -> str:
    """Text that every encoder takes: undecodable bytes of names become escapes."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        # Halves of surrogate pairs, from JSON's escapes.
        return text.encode("utf-8", "backslashreplace").decode()


class FailedStep(msgspec.Struct, frozen=True, kw_only=True):
    """Where a build failed, as far as its daemon says. All of it is the build's author's text: untrusted."""

    file: str | None = None
    """The Dockerfile, as the build named it."""
    line: int | None = None
    """The first of its lines that are meant, from 1."""
    source: tuple[str, ...] = ()
    """These lines."""
    step: str | None = None
    """The vertex digest, as in events."""
    command: str | None = None
    """What was executed."""
    exit_code: int | None = None
    log: tuple[str, ...] = ()
    """The end of the step's output: whole lines, a bounded number of them."""


class FleetpacksError(Exception):
    """Base of all errors shown to a user.

    Attributes:
        message: what happened, and what was expected instead.
        hint: what to do next, in one sentence.
        at: where in a build it happened; None for what is no build's failure.
        kind: a stable word for machines, used in events and in the result file.
        exit_code: what the process ends with when nothing worse happened.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str, at: FailedStep | None = None) -> None:
        message = _whole(message)
        super().__init__(message)
        self.message = message
        self.hint = _whole(hint)
        self.at = at


class UsageError(FleetpacksError):
    """The command line asks for something that cannot be."""

    kind = "usage"
    exit_code = EXIT_USAGE


class UnwrittenError(UsageError):
    """The result file cannot be written: whoever waits for it learns of the run by its exit code alone."""


class ConfigError(FleetpacksError):
    """A configuration file, an environment variable or an app's own file is wrong.

    The message begins with `file:line: key:` as far as they are known.
    """

    kind = "configuration"
    exit_code = EXIT_USAGE


class ContextError(FleetpacksError):
    """A file of the build context cannot be read, or changed under our hands."""

    kind = "context"


class OutputError(FleetpacksError):
    """What a build made cannot be written to where it was asked for."""

    kind = "output"


class BuildFailedError(FleetpacksError):
    """A step of the Dockerfile failed, or the Dockerfile itself is wrong."""

    kind = "build"


class BuildTimeoutError(FleetpacksError):
    """An app was not built within its time."""

    kind = "timeout"


class ImageNotFoundError(FleetpacksError):
    """A base image or a published image does not exist, or may not be read."""

    kind = "image"


class NeededAppError(FleetpacksError):
    """An app was not built, because one whose image its build needs has none."""

    kind = "needed"


class RegistryError(FleetpacksError):
    """A registry refused a request for good: denied, unknown repository, bad answer."""

    kind = "registry"


class EngineError(FleetpacksError):
    """A Docker Engine refused a request for good."""

    kind = "engine"


class OwnDaemonError(FleetpacksError):
    """A daemon of our own cannot run here, or ended while it started."""

    kind = "own-daemon"


class StorageError(FleetpacksError):
    """A storage cannot be made ready to be measured, or cannot be measured."""

    kind = "storage"


class ProtocolError(FleetpacksError):
    """A daemon or a registry spoke in a way that its protocol does not allow."""

    kind = "protocol"


class TransientError(FleetpacksError):
    """Infrastructure failed in a way that trying again can mend. Retryable is this type, and nothing else is."""

    kind = "transient"
    exit_code = EXIT_TRANSIENT


class BuilderUnreachableError(TransientError):
    """No daemon answers at a builder's address."""

    kind = "builder-unreachable"


class OwnDaemonBusyError(TransientError):
    """Another run has a daemon on the directory that ours is to have."""

    kind = "own-daemon-busy"


class DiskFullError(TransientError):
    """A builder's disk is full. It collects its own garbage, so that the same may go well later, or elsewhere."""

    kind = "disk-full"


class CacheLostError(TransientError):
    """A daemon's cache lacks what the daemon counts on: leases or snapshots that a collection has deleted."""

    kind = "cache-lost"


class DaemonLostError(TransientError):
    """The connection to a daemon ended under a running build."""

    kind = "daemon-lost"


class StepCancelledError(TransientError):
    """A daemon ended work that builds had in common, with the client of another one; the daemon itself is well."""

    kind = "step-cancelled"


class RegistryUnavailableError(TransientError):
    """A registry cannot be reached, answers 5xx, or asks us to come back later."""

    kind = "registry-unavailable"


class RegistryBusyError(RegistryUnavailableError):
    """A registry was reached, and answered 5xx, or asks us to come back later: it may well serve other requests."""
