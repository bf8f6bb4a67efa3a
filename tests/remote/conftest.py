"""What tests of hosts behind sshd share."""

from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from tests.lab import Lab
from tests.remote.sshd import Sshd, make


@pytest.fixture(scope="session")
def ssh_host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Generator[Sshd]:
    """A host whose sshd takes one session at a time, with the lab's buildkitd at its well-known place."""
    folder = tmp_path_factory.mktemp("ssh_host")
    host = anyio.run(_made, folder, lab.buildkitd)
    daemon = anyio.run(host.start)
    yield host
    anyio.run(host.stop, daemon)


async def _made(folder: Path, buildkitd: Path) -> Sshd:
    return await make(folder, sockets={"buildkit/buildkitd.sock": buildkitd}, more="MaxSessions 1")
