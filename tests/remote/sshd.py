"""A real sshd on a loopback port, with a host key and a configuration of its own, and what a client needs for it.

It runs in namespaces of its own: Debian's sshd wants a user `sshd` and a directory in /run, which the machine need not
have; and with the first process of its namespace all of its connections end, as with a host.
"""

import os
import shlex
import signal
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import msgspec

from tests.lab.process import Daemon, end, spawn
from tests.lab.state import layout
from tests.lab.tools import debian_package, debian_program, run

_LIBRARIES = "usr/lib/x86_64-linux-gnu:lib/x86_64-linux-gnu:usr/lib/aarch64-linux-gnu:lib/aarch64-linux-gnu"
_START_SECONDS = 20


class Sshd(msgspec.Struct, frozen=True, kw_only=True):
    """An sshd's files, and where it listens."""

    folder: Path
    port: int
    program: Path
    libraries: str

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key.pub"

    @property
    def identity(self) -> Path:
        """A key that it takes."""
        return self.folder / "identity"

    @property
    def known_host(self) -> str:
        """A line of known_hosts."""
        kind, key = self.host_key.read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def home(self, folder: Path, config: str = "", *, known: str | None = None) -> Path:
        """Make a home directory whose OpenSSH knows this host under the alias `Builder`.

        Args:
            folder: is made.
            config: stands in front of what `~/.ssh/config` says of the alias.
            known: of known_hosts; None: this host.
        """
        ssh = folder / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        alias = f"Host Builder\n  HostName 127.0.0.1\n  Port {self.port}\n  User root\n  IdentityFile {self.identity}\n"
        (ssh / "config").write_text(config + alias)
        (ssh / "known_hosts").write_text(self.known_host if known is None else known)
        return folder

    async def start(self) -> Daemon:
        """Start it; it listens when this returns."""
        log = self.folder / "log"
        words = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "/bin/sh"]
        daemon = spawn(["/usr/bin/unshare", *words, str(self.folder / "start")], log=log, environment={})
        await until(self._listens)
        return daemon

    async def stop(self, daemon: Daemon) -> None:
        """Kill it, and all of its connections. Returns when they are gone: the kernel ends them after the first one."""
        with ExitStack() as held:
            handles: list[int] = []
            for pid in _family(daemon):
                with suppress(ProcessLookupError):
                    handles.append(os.pidfd_open(pid))
                    held.callback(os.close, handles[-1])
            await end(daemon, grace=0)
            with anyio.fail_after(_START_SECONDS):
                for handle in handles:
                    await anyio.wait_readable(handle)

    def freeze(self, daemon: Daemon) -> None:
        """Have it and all of its connections say nothing more."""
        for pid in _family(daemon):
            os.kill(pid, signal.SIGSTOP)

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


def _family(daemon: Daemon) -> list[int]:
    """Its processes, as far as they have not ended."""
    found = [daemon.pid]
    for pid in found:
        with suppress(OSError):
            found += [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


async def make(folder: Path, *, sockets: Mapping[str, Path], more: str = "") -> Sshd:
    """Make an sshd's files.

    Args:
        folder: an empty one, for them.
        sockets: below /run on the host -> what is there.
        more: lines of its configuration.
    """
    place = layout()
    program = await debian_program(place, "openssh-server", "usr/sbin/sshd", installed=True)
    libraries = await debian_package(place, "libwrap0")
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    found = ":".join(str(libraries / each) for each in _LIBRARIES.split(":"))
    made = Sshd(folder=folder, port=port, program=program, libraries=found)
    for name in ("host_key", "identity"):
        await keygen(folder / name)
    (folder / "authorized_keys").write_bytes(made.identity.with_suffix(".pub").read_bytes())
    users = await anyio.Path("/etc/passwd").read_text(encoding="utf-8")
    (folder / "passwd").write_text(f"{users}\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    (folder / "sshd_config").write_text(
        f"{more}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
    )
    at = shlex.quote
    lines = [
        "set -e",
        f"mount --bind {at(str(folder / 'passwd'))} /etc/passwd",
        "mount -t tmpfs tmpfs /run",
        "mkdir /run/sshd",
        *(f"mkdir -p {at(str(Path('/run', name).parent))}" for name in sockets),
        *(f"ln -s {at(str(target))} {at(f'/run/{name}')}" for name, target in sockets.items()),
        f"export LD_LIBRARY_PATH={at(found)}",
        f"exec {at(str(program))} -D -e -f {at(str(folder / 'sshd_config'))}",
    ]
    (folder / "start").write_text("\n".join(lines) + "\n")
    return made


async def until(ready: Callable[[], bool]) -> None:
    """Wait for a program that tells nobody when it listens."""
    with anyio.fail_after(_START_SECONDS):
        while not ready():  # noqa: ASYNC110 -- there is no event of it
            await anyio.sleep(0.02)


async def keygen(path: Path, *, kind: str = "ed25519") -> None:
    """Make a pair of keys without a passphrase."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)]
    await run(words, doing="making a key", hint="install OpenSSH's client")


@asynccontextmanager
async def running(*, sockets: Mapping[str, Path], more: str = "") -> AsyncGenerator[Sshd]:
    """An sshd that runs as long as the block."""
    with tempfile.TemporaryDirectory(prefix="sshd-") as folder:
        made = await make(Path(folder), sockets=sockets, more=more)
        daemon = await made.start()
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await made.stop(daemon)


@asynccontextmanager
async def agent(folder: Path, *identities: Path) -> AsyncGenerator[Path]:
    """A real agent that holds keys, and its socket."""
    path = folder / "agent.sock"
    command = ["ssh-agent", "-D", "-a", str(path)]
    async with await anyio.open_process(command, stdout=None, stderr=None, stdin=None) as process:
        try:
            await until(path.is_socket)
            environment = {"SSH_AUTH_SOCK": str(path), "PATH": os.defpath}
            await run(["ssh-add", "-q", *identities], doing="adding keys", hint="none", env=environment)
            yield path
        finally:
            process.terminate()
