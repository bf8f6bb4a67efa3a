"""Whom we believe to be a host: strictly what the files of known hosts say, whatever the configuration says.

OpenSSH asks whether to accept an unknown key, or accepts it by `StrictHostKeyChecking`. Here nobody sits who could
answer, and a builder sees the source and the tokens of builds: an unknown key and a changed one are errors, which show
the key's fingerprint and the command that accepts it.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from remote.errors import AddressError, UnsuitableError

_PORT = 22
_NOWHERE = {"none", "/dev/null"}


class KnownHosts:
    """The keys of hosts that somebody has accepted.

    Args:
        user: the files of the user; the first is where new keys are written.
        system: the files of the system.

    Raises:
        AddressError: a file is there and cannot be read, or is none.
    """

    def __init__(self, user: Sequence[str], system: Sequence[str]) -> None:
        home = Path.home()
        mine = [Path(name).expanduser() for name in user if name not in _NOWHERE]
        # Without a file of its own nothing could be accepted; and an absent file must not mean that all are.
        self.file = mine[0] if mine else home / ".ssh" / "known_hosts"
        self.keys = asyncssh.import_known_hosts("")
        for path in (*(mine or [self.file]), *(Path(name) for name in system)):
            self._load(path)

    def of(self, host: str, port: int) -> Sequence[asyncssh.SSHKey]:
        """The accepted keys of a host."""
        return self.keys.match(host, "", None if port == _PORT else port)[0]

    def _load(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise AddressError(f"{path}: {error.strerror}", hint="make the file of known hosts readable") from error
        for number, line in enumerate(text.splitlines(), 1):
            try:
                self.keys.load(line)
            except ValueError as error:
                raise AddressError(
                    f"{path}, line {number}: this is no entry of a known host", hint="correct the line, or remove it"
                ) from error


class Witness(asyncssh.SSHClient):
    """Sees the key of a host that nobody has accepted, and accepts it neither."""

    def __init__(self) -> None:
        self.key: asyncssh.SSHKey | None = None
        self.host = ""
        self.port = 0

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for a key that is not among the known ones."""
        del addr
        self.host, self.port, self.key = host, port, key
        return False


def refused(name: str, witness: Witness, known: KnownHosts, *, at: tuple[str, int]) -> UnsuitableError:
    """The error for a host whose key is not to be trusted.

    Args:
        name: the host's address in messages.
        witness: has seen the key.
        known: what was looked at.
        at: where the host listens, for the command that asks it for its keys: behind a host that is jumped over, this
            command has to run there.
    """
    key = witness.key
    if key is None:
        return UnsuitableError(
            f"{name}: the host's key is revoked, or of no kind that is trusted",
            hint=f"look at the lines of this host in {known.file}, and ask who runs the host",
        )
    pattern = witness.host if witness.port == _PORT else f"[{witness.host}]:{witness.port}"
    host, port = at
    file = shlex.quote(str(known.file))
    scan = f"ssh-keyscan -p {port} {shlex.quote(host)}"
    if host != witness.host:
        # Known under an alias (HostKeyAlias): what is scanned has to be filed under that.
        scan += f" | sed {shlex.quote(f's/^[^ ]* /{pattern} /')}"
    accept = f"{scan} >> {file}"
    fingerprint = f"{key.algorithm.decode()} key {key.get_fingerprint()}"
    compare = "compare the fingerprint with what the host's own `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` says"
    if not known.of(witness.host, witness.port):
        return UnsuitableError(
            f"{name}: the host shows a key that nobody has accepted: {fingerprint}",
            hint=f"{compare}; only if they are equal, accept it: {accept}",
        )
    forget = f"ssh-keygen -R {shlex.quote(pattern)} -f {file}"
    return UnsuitableError(
        f"{name}: THE HOST'S KEY HAS CHANGED: {fingerprint}, and {known.file} knows another; somebody may sit between",
        hint=f"{compare}; only if they are equal: {forget} && {accept}",
    )
