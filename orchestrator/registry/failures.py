"""The border: a registry's refusals and a network's failures become our errors.

What a registry writes is untrusted text: it is shortened and freed of control characters before anyone sees it. The
shape of its errors: OCI distribution specification 1.1, "Error codes".
"""

import msgspec

from orchestrator.errors import (
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)

_LONGEST_MESSAGE = 300
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed a little later."""


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[_Error, ...] = ()


def clean(text: str) -> str:
    """One short line without control characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def explanation(body: bytes) -> str:
    """What a registry says about a refusal: `CODE: message`, or nothing when it does not speak in that form."""
    try:
        errors = msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.DecodeError, RecursionError):
        return ""
    return clean("; ".join(": ".join(filter(None, (error.code, error.message))) for error in errors))


def refused(*, status: int, body: bytes, action: str, host: str, reading: bool, anonymous: bool) -> FleetpacksError:
    """The error for a status that is final.

    Args:
        status: the HTTP status.
        body: the beginning of the answer.
        action: what was asked for: `read registry.example/app:1`.
        host: the registry.
        reading: whether something was to be read that may not exist.
        anonymous: whether we had no credential for this registry.
    """
    said = explanation(body)
    message = f"{host} refused to {action}: HTTP {status}" + (f", {said}" if said else "")
    if status == _NOT_FOUND and reading:
        return ImageNotFoundError(
            f"cannot {action}: not found" + (f" ({said})" if said else ""), hint="check the name and the tag"
        )
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return RegistryError(message, hint=_login_hint(host, anonymous=anonymous))
    if status in RETRYABLE:
        return unavailable(host, action, f"HTTP {status}" + (f", {said}" if said else ""), answered=True)
    return RegistryError(message, hint="check the name and what this registry allows")


def unavailable(
    host: str, action: str, reason: str, *, answered: bool, asked: float | None = None
) -> RegistryUnavailableError:
    """The error when trying again did not help or takes too long.

    Args:
        host: the registry.
        action: what was asked for.
        reason: what happened.
        answered: whether it did so by an HTTP status.
        asked: what Retry-After says, in seconds.
    """
    later = "" if asked is None else f"; it asks to come back in {asked:.0f} s"
    return (RegistryBusyError if answered else RegistryUnavailableError)(
        f"{host} cannot {action} now: {clean(reason)}{later}",
        hint="try again later; check the registry's host and port, the network and the proxy settings",
    )


def broken(host: str, reason: str) -> ProtocolError:
    """The error for an answer that the protocol does not allow."""
    return ProtocolError(f"{host}: {clean(reason)}", hint="check that this host is a registry, or ask its operator")


def not_logged_in(host: str, action: str) -> RegistryError:
    """The error when a registry wants a password and we have none."""
    return RegistryError(
        f"{host} refused to {action}: it wants a user and a password, and none is known",
        hint=_login_hint(host, anonymous=True),
    )


def refused_realm(host: str, realm: str, reason: str) -> RegistryError:
    """The error for a token server that must not be asked."""
    # A realm may carry a password of its own: of a URL only what comes behind the last @ is shown.
    return RegistryError(
        f"{host} names a token server that is not asked, because {reason}: {clean(realm.rpartition('@')[2])!r}",
        hint=f"ask the operator of {host}; plain HTTP must be allowed for the registry and for the token server",
    )


def _login_hint(host: str, *, anonymous: bool) -> str:
    if anonymous:
        return f"run docker login {host}, or set DOCKER_CONFIG to the directory of the config.json that knows it"
    return f"the known user may not do this, or the password is old: run docker login {host} again"
