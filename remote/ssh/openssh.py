"""SSH by OpenSSH's own `ssh`, where this machine has one: a process for each host (`master`).

Much faster than Python, and it knows all that a user's `ssh` knows: its configuration, keys, agents, tokens and
certificates are its own affair. Whom to believe is not: a host's key must be known, whatever the configuration says.
What is wrong with a key `ssh` tells in words for people, without the fingerprint as often as not: then asyncssh
connects once more, and its error is the one that is raised.
"""

import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio.to_thread
from anyio.abc import TaskGroup

from remote.address import SshAddress
from remote.bridge import open_bridge
from remote.errors import AddressError, RemoteError, UnsuitableError
from remote.ssh import failures
from remote.ssh.master import LoginError, Master
from remote.ssh.settings import Settings, objection, own_home, read

ASYNCSSH = "asyncssh"
OPENSSH = "openssh"
_KEY = re.compile(r"Host key verification failed|No .* host key is known|REVOKED HOST KEY|IDENTIFICATION HAS CHANGED")
_NO_KEY = re.compile(r"Permission denied \(|Too many authentication failures|No supported authentication methods")
_NO_SERVER = re.compile(
    r"Unable to negotiate|no matching |protocol version|versions differ|invalid format|invalid char"
)
_ANYWAY = "leave transport= out of the address: asyncssh serves then"


async def chosen(address: SshAddress) -> Settings | None:
    """How `ssh` is called for a host, where it serves; None: asyncssh does.

    Raises:
        AddressError: the address asks for `ssh`, and it does not serve.
    """
    if address.transport == ASYNCSSH:
        return None
    wanted = address.transport == OPENSSH
    program = await anyio.to_thread.run_sync(shutil.which, "ssh")
    if program is None:
        if wanted:
            raise AddressError(f"{address}: there is no `ssh` here", hint=f"install OpenSSH's client, or {_ANYWAY}")
        return None
    # Elsewhere it has files of its own, which somebody has not meant who says where he is at home.
    if not wanted and Path.home() != own_home():
        return None
    try:
        found = await read(address, program)
        reason = objection(address, found)
    except AddressError:
        if wanted:
            raise
        # asyncssh reads the same files, and passes over more of what it does not know.
        return None
    if reason is None:
        return found
    if wanted:
        raise AddressError(f"{address}: `ssh` does not serve: {reason}", hint=_ANYWAY)
    return None


class OpenSsh:
    """A `Transport` to one host.

    Args:
        address: where the host is.
        settings: how `ssh` is called for it.
        tasks: where its processes are accompanied; they end with it.
    """

    def __init__(self, address: SshAddress, settings: Settings, tasks: TaskGroup) -> None:
        self._address = address
        self._settings = settings
        self._tasks = tasks

    async def connect(self) -> Master:
        """See `Transport`."""
        name = str(self._address)
        master = Master(self._settings, name=name)
        try:
            await self._tasks.start(master.live)
        except LoginError as error:
            if _KEY.search(str(error)):
                await self._judge()
            raise failure(error.lines, name=name, where=self._settings.where) from error
        except OSError as error:
            raise AddressError(
                f"{name}: {self._settings.program} cannot be run: {error.strerror or error}",
                hint="is the disk for temporary files full? Without `ssh`, transport=asyncssh serves",
            ) from error
        return master

    async def _judge(self) -> None:
        # asyncssh takes long to import.
        from remote.ssh.inprocess import judge  # noqa: PLC0415

        async with open_bridge() as bridge:
            await bridge.call(partial(judge, self._address))


def failure(lines: Sequence[str], *, name: str, where: str) -> RemoteError:
    """What `ssh` said when it could not connect, as an error.

    Args:
        lines: of its standard error.
        name: the host's address in messages.
        where: name or address, and port.
    """
    text = "\n".join(lines)
    last = lines[-1].removeprefix("ssh: ") if lines else "no answer in time"
    if _KEY.search(text):
        return UnsuitableError(
            f"{name}: {where}: `ssh` does not take the host's key: {last}",
            hint="`ssh` with the same name, user and port has to work without a question",
        )
    if _NO_KEY.search(text):
        return failures.no_key(name, where, last)
    if _NO_SERVER.search(text):
        return failures.no_server(name, where, last)
    return failures.unreachable(name, where, last)
