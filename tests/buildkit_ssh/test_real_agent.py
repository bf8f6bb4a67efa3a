"""A step of a real build asks a real ssh-agent."""

from pathlib import Path

import pytest

from orchestrator.errors import BuildFailedError, ConfigError
from tests.buildkit.real import ROOT, Watched, client, request, shell_root
from tests.buildkit_ssh.agent import context, real_agent
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real


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
