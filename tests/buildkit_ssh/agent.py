"""A real ssh-agent with one key, and a root file system that can ask it."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from tests.buildkit.real import shell_root
from tests.lab.state import layout
from tests.lab.tools import debian_program


class Agent(msgspec.Struct, frozen=True):
    """An agent with one key, and the program that asks it."""

    socket: Path
    fingerprint: str
    ssh_add: Path

    async def keys(self) -> str:
        """What `ssh-add -l` says."""
        env = {"SSH_AUTH_SOCK": str(self.socket)}
        return (await anyio.run_process([str(self.ssh_add), "-l"], env=env, check=False)).stdout.decode()


@asynccontextmanager
async def real_agent(folder: Path) -> AsyncGenerator[Agent]:
    """Start one in a directory; it ends with the block."""
    ssh_agent = await debian_program(layout(), "openssh-client", "usr/bin/ssh-agent", installed=True)
    socket, key = folder / "agent", folder / "key"
    add, keygen = (ssh_agent.with_name(name) for name in ("ssh-add", "ssh-keygen"))
    async with await anyio.open_process([str(ssh_agent), "-D", "-a", str(socket)]) as process:
        try:
            assert process.stdout is not None
            # It says its socket when it listens.
            await process.stdout.receive()
            await anyio.run_process([str(keygen), "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
            await anyio.run_process([str(add), "-q", str(key)], env={"SSH_AUTH_SOCK": str(socket)})
            listed = await anyio.run_process([str(keygen), "-l", "-f", f"{key}.pub"])
            found = re.search(r"SHA256:\S+", listed.stdout.decode())
            assert found
            yield Agent(socket, found[0], add)
        finally:
            process.terminate()


async def context(agent: Agent) -> dict[str, bytes]:
    """A context for `ROOT` with a shell and ssh-add."""
    root = dict(await shell_root(str(agent.ssh_add)))
    return {**root, "bin/ssh-add": root.pop(str(agent.ssh_add).removeprefix("/"))}
