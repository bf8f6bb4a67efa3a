"""What goes wrong with a host behind sshd, in the same words whichever program of ours speaks to it."""

from remote.errors import UnreachableError, UnsuitableError

SOCKET_HINT = (
    "start the daemon, put the user into the group of its socket, or name another one: ?socket=/path; and the host's "
    "sshd must forward sockets: AllowStreamLocalForwarding yes"
)
"""OpenSSH's sshd tells no more than that it failed."""


def unreachable(name: str, where: str, what: str) -> UnreachableError:
    """Nobody is there."""
    return UnreachableError(
        f"{name}: {where}: {what}", hint="is the host up, and does sshd listen there? `ssh` with the same name may tell"
    )


def broken(name: str, what: str) -> UnreachableError:
    """The connection that was there is lost."""
    return UnreachableError(f"{name}: the connection broke: {what}", hint="is the host well?")


def silent(name: str, what: str, seconds: float) -> UnreachableError:
    """Somebody is there, and says nothing."""
    return UnreachableError(f"{name}: sshd {what} within {seconds:.0f} s", hint="is the host well, and its network?")


def no_server(name: str, where: str, what: str) -> UnsuitableError:
    """Something else listens there, or a server that is too old."""
    return UnsuitableError(
        f"{name}: {where}: {what}", hint="is it an SSH server, and does it speak what OpenSSH 7.4 does?"
    )


def no_key(name: str, where: str, what: str) -> UnsuitableError:
    """The host does not trust us."""
    return UnsuitableError(
        f"{name}: {where} takes none of our keys: {what}",
        hint="add the key to ~/.ssh/authorized_keys of the user there, and to an agent here (ssh-add), if it has a "
        "passphrase; `ssh` with the same name, user and port has to work without a question",
    )


def no_forwarding(name: str, what: str) -> UnsuitableError:
    """It lets us in, but to no socket."""
    return UnsuitableError(
        f"{name}: the host's sshd forwards no sockets: {what}",
        hint="allow it in the host's sshd_config: AllowStreamLocalForwarding yes (and no DisableForwarding)",
    )


def no_daemon(name: str, path: str, what: str) -> UnreachableError:
    """Nobody listens at a socket of the host."""
    return UnreachableError(
        f"{name}: nobody answers at {path} on the host ({what}), or our user there may not open it", hint=SOCKET_HINT
    )


def no_session(name: str, what: str) -> UnsuitableError:
    """It lets us in, but to no shell."""
    return UnsuitableError(
        f"{name}: the host's sshd lets us run nothing: {what}",
        hint="its sshd_config says MaxSessions 0, or the user there has no shell",
    )
