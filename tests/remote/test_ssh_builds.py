"""Builds on a host behind a real sshd, with push, from start to end."""

import secrets
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from orchestrator.app import builder
from orchestrator.config import environment
from orchestrator.errors import DaemonLostError
from remote.address import parse
from tests.buildkit.real import Watched, push_to, request
from tests.conftest import RealCount
from tests.lab import Lab
from tests.remote import sshd
from tests.remote.sshd import Sshd

pytestmark = pytest.mark.real


@pytest.fixture(params=["asyncssh", "openssh"])
def at(ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The host's address, by each transport."""
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))
    return f"ssh://Builder?transport={request.param}"


async def test_builds_at_once_on_one_connection_are_pushed(
    lab: Lab, ssh_host: Sshd, at: str, real_count: RealCount
) -> None:
    log = ssh_host.folder / "log"
    logged = log.read_text().count("Accepted publickey")
    digests: list[str] = []

    async def build(number: int) -> None:
        made = request(
            "FROM scratch\nCOPY . /\n",
            context={"file": secrets.token_bytes(100_000), "number": b"%d" % number},
            exporter=push_to(lab.registry, f"fp-ssh-{secrets.token_hex(4)}"),
        )
        result = await client.solve(made, on_status=Watched())
        digests.append(str(result.digest))
        real_count.record("build")

    # sshd_config: MaxSessions 1.
    async with (
        builder.opened(parse(at)) as (client, can),
        anyio.create_task_group() as tasks,
    ):
        assert can.pushes
        for number in range(12):
            tasks.start_soon(build, number)

    assert len(set(digests)) == 12
    assert log.read_text().count("Accepted publickey") == logged + 1


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_a_client_outlives_its_hosts_sshd(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_count: RealCount, *, transport: str
) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    own = await sshd.make(folder, sockets={"buildkit/buildkitd.sock": lab.buildkitd})
    monkeypatch.setenv("HOME", str(own.home(tmp_path / "home")))
    made = request("FROM scratch\nCOPY . /\n", context={"file": secrets.token_bytes(1000)})
    at = f"ssh://Builder?transport={transport}"
    daemon = await own.start()

    async def restart() -> None:
        nonlocal daemon
        daemon = await own.start()

    try:
        async with builder.opened(parse(at)) as (client, _), anyio.create_task_group() as tasks:
            await own.stop(daemon)
            tasks.start_soon(restart)
            # Who calls before the loss is noticed is told of it.
            with suppress(DaemonLostError):
                await client.capabilities()
            await client.solve(made, on_status=Watched())
    finally:
        with anyio.CancelScope(shield=True):
            await own.stop(daemon)

    real_count.record("build")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_command_line_that_names_a_host_builds_and_pushes_there(
    lab: Lab, ssh_host: Sshd, tmp_path: Path, real_count: RealCount
) -> None:
    app = tmp_path / "repo" / "app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (app / "file").write_text(secrets.token_hex())
    variables = {"PATH": environment.read()["PATH"], "HOME": str(ssh_host.home(tmp_path / "home"))}
    words = [sys.executable, "-c", "from orchestrator.cli import main; main()", "build", "-C", str(tmp_path / "repo")]
    words += ["--image", f"{lab.registry}/fp-ssh-{secrets.token_hex(4)}/{{app}}", "--push", "--progress", "json"]
    words += ["--host", "ssh://Builder?slots=2&platform=linux/amd64"]

    done = await anyio.run_process(words, check=False, env=variables, cwd=Path(__file__).parents[2])
    real_count.record("build")

    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert b'"digest":"sha256:' in done.stdout.replace(b": ", b":")
