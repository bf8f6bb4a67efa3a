"""A step of a real build asks a real ssh-agent."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.errors import BuildFailedError, ConfigError
from tests.buildkit.real import ROOT, Watched, client, request, shell_root
from tests.conftest import RealCount
from tests.lab import Lab
from tests.lab.state import layout
from tests.lab.tools import debian_program

pytestmark = pytest.mark.real


class Agent(msgspec.Struct, frozen=True):
    """An agent with one key, and the program that asks it."""

    socket: Path
    fingerprint: str
    ssh_add: Path

    async def keys(self) -> str:
        env = {"SSH_AUTH_SOCK": str(self.socket)}
        return (await anyio.run_process([str(self.ssh_add), "-l"], env=env, check=False)).stdout.decode()


@asynccontextmanager
async def real_agent(folder: Path) -> AsyncGenerator[Agent]:
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
    root = dict(await shell_root(str(agent.ssh_add)))
    return {**root, "bin/ssh-add": root.pop(str(agent.ssh_add).removeprefix("/"))}


async def test_a_step_lists_the_agents_keys_and_can_change_nothing(
    lab: Lab, real_count: RealCount, tmp_path: Path
) -> None:
    watched = Watched()
    # A text of its own: a cached step would ask nobody.
    asks = f"echo {tmp_path}; ssh-add -l; ssh-add -D; ssh-add -x </dev/null; ssh-add -l"
    run = f'RUN --mount=type=ssh ["/bin/sh", "-c", "{asks}"]\n'

    async with real_agent(tmp_path) as agent, client(lab.buildkitd) as daemon:
        files = await context(agent)
        await daemon.solve(request(ROOT + run, context=files, ssh={"default": agent.socket}), on_status=watched)
        kept = await agent.keys()

    assert watched.log(1).count(agent.fingerprint.encode()) == 2
    assert b"Failed to remove all identities" in watched.log(2)
    assert agent.fingerprint in kept
    real_count.record("build")


@pytest.mark.parametrize(
    ("agents", "error", "says"),
    [
        ({}, BuildFailedError, "no SSH key"),
        ({"other": "agent"}, BuildFailedError, "'default' is not declared"),
        ({"default": "nobody"}, ConfigError, "does not answer at"),
    ],
)
async def test_a_step_without_its_agent_fails_with_its_reason(
    lab: Lab, tmp_path: Path, agents: dict[str, str], error: type[Exception], says: str
) -> None:
    dockerfile = ROOT + 'RUN --mount=type=ssh,required=true ["/bin/sh", "-c", "exit 0"]\n'
    ssh = {name: tmp_path / path for name, path in agents.items()}

    async with real_agent(tmp_path), client(lab.buildkitd) as daemon:
        with pytest.raises(error) as caught:
            await daemon.solve(request(dockerfile, context=await shell_root(), ssh=ssh), on_status=Watched())

    assert says in str(caught.value)
