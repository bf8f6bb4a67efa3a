import json
import os
import select
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest

from orchestrator.config import environment
from tests.lab import Lab
from tests.lab.mounts import mount_points
from tests.lab.process import Daemon, strays
from tests.lab.state import Layout, Record
from tests.lab.up import locked

pytestmark = [pytest.mark.real, pytest.mark.apart]


class OwnLab:
    """A lab beside the shared one, with the shared one's compiled programs, driven by the command line."""

    def __init__(self, shared: Lab, root: Path) -> None:
        self.layout = Layout(root=root)
        root.mkdir()
        (root / "bin").symlink_to(shared.state / "bin")

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit status and both outputs."""
        done = await anyio.run_process(
            [sys.executable, "-m", "tests.lab", *words],
            env={**environment.read(), "FLEETPACKS_LAB": str(self.layout.root)},
            cwd=Path(__file__).parents[2],
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).decode()

    async def up(self) -> Record:
        status, output = await self.run("up", "--no-images")
        assert status == 0, output
        return self.record()

    def record(self) -> Record:
        record = self.layout.read()
        assert record is not None
        return record


@pytest.fixture
async def own(lab: Lab, tmp_path: Path) -> AsyncGenerator[OwnLab]:
    own = OwnLab(lab, tmp_path / "lab")
    try:
        yield own
    finally:
        await own.run("down")


def kill(daemon: Daemon) -> None:
    assert daemon.alive()
    handle = os.pidfd_open(daemon.pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        # Readable when it has ended, and its port and files are free.
        assert select.select([handle], [], [], 10)[0]
    finally:
        os.close(handle)


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended and is not collected yet has no root any more."""
    return Path(f"/proc/{pid}/root/bin").exists()


async def test_a_second_up_changes_nothing(own: OwnLab) -> None:
    first = await own.up()
    written = own.layout.record.stat().st_mtime_ns

    second = await own.up()

    assert second == first
    assert own.layout.record.stat().st_mtime_ns == written
    assert all(daemon.alive() for daemon in first.daemons.values())


async def test_two_ups_at_once_make_one_lab(own: OwnLab) -> None:
    results: list[tuple[int, str]] = []

    async def up() -> None:
        results.append(await own.run("up", "--no-images"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(up)
        tasks.start_soon(up)

    assert [status for status, _ in results] == [0, 0], results
    assert sum(output.count("starting registry") for _, output in results) == 1
    assert {daemon.pid for daemon in strays(own.layout.root)} == {d.pid for d in own.record().daemons.values()}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_command_says_so_in_its_exit_status(
    own: OwnLab, number: signal.Signals, status: int
) -> None:
    command = [sys.executable, "-m", "tests.lab", "up", "--no-images"]
    env = {**environment.read(), "FLEETPACKS_LAB": str(own.layout.root)}
    with locked(own.layout, print):
        async with await anyio.open_process(command, env=env, cwd=Path(__file__).parents[2]) as up:
            assert up.stderr is not None
            said = await up.stderr.receive()

            up.send_signal(number)
            exit_status = await up.wait()

    assert b"waiting for another command" in said
    assert exit_status == status
    assert own.layout.read() is None


@pytest.mark.parametrize("victim", ["registry", "buildkitd"])
async def test_a_killed_daemon_is_brought_back_under_its_address_and_the_other_stays(own: OwnLab, victim: str) -> None:
    first = await own.up()
    kill(first.daemons[victim])
    status_while_dead, _ = await own.run("status")

    second = await own.up()

    (other,) = first.daemons.keys() - {victim}
    assert status_while_dead == 1
    assert second.port == first.port
    assert second.daemons[other] == first.daemons[other]
    assert second.daemons[victim] != first.daemons[victim]
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{second.port}/v2/")).status_code == httpx.codes.OK
    assert (await own.run("status"))[0] == 0


async def test_a_builder_with_the_configuration_of_an_older_lab_is_restarted(own: OwnLab) -> None:
    first = await own.up()
    config = own.layout.root / "buildkitd.toml"
    written = config.read_text()
    config.write_text(written.replace("mcr.microsoft.com", "other.example"))

    second = await own.up()

    assert config.read_text() == written
    assert second.daemons["registry"] == first.daemons["registry"]
    assert second.daemons["buildkitd"] != first.daemons["buildkitd"]


async def test_a_daemon_that_was_never_written_down_is_replaced(own: OwnLab) -> None:
    forgotten = await own.up()
    own.layout.record.unlink()

    second = await own.up()

    assert not any(daemon.alive() for daemon in forgotten.daemons.values())
    assert all(daemon.alive() for daemon in second.daemons.values())


async def test_a_registry_whose_port_was_taken_gets_another_and_the_builder_learns_of_it(own: OwnLab) -> None:
    first = await own.up()
    kill(first.daemons["registry"])
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=first.port):
        second = await own.up()

    assert second.port != first.port
    assert f"127.0.0.1:{second.port}" in (own.layout.root / "buildkitd.toml").read_text()
    assert second.daemons["buildkitd"] != first.daemons["buildkitd"]


async def test_down_ends_the_step_of_a_killed_builder_and_leaves_no_process_and_no_mount(lab: Lab, own: OwnLab) -> None:
    record = await own.up()
    context = own.layout.root.parent / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM {lab.registry}/library/debian:trixie-slim\nRUN echo it began && sleep 600\n"
    )
    command = [
        *(str(lab.buildctl), "--addr", f"unix://{own.layout.socket}", "build", "--progress=plain"),
        *("--frontend=dockerfile.v0", "--local", f"context={context}", "--local", f"dockerfile={context}"),
    ]
    async with await anyio.open_process(command, stdout=None) as build:
        assert build.stderr is not None
        output = ""
        async for chunk in build.stderr:
            output += chunk.decode()
            if output.endswith("it began\n"):
                break
        kill(record.daemons["buildkitd"])
        left = list(own.layout.steps.iterdir())
        pids = {int(json.loads((step / "state.json").read_bytes())["init_process_pid"]) for step in left}

        status, said = await own.run("down")

    assert left, "the killed builder left no step: this test shows nothing"
    assert status == 0, said
    assert not any(runs(pid) for pid in pids)
    assert list(own.layout.steps.iterdir()) == []
    assert strays(own.layout.root) == ()
    assert mount_points(own.layout.root) == ()
    assert not own.layout.socket.exists()


async def test_down_with_delete_leaves_nothing_at_all(own: OwnLab) -> None:
    await own.up()
    (own.layout.root / "bin").unlink()

    status, output = await own.run("down", "--delete")

    assert status == 0, output
    assert not own.layout.root.exists()


async def test_a_daemon_that_does_not_come_up_shows_the_end_of_its_log(own: OwnLab) -> None:
    await own.up()
    await own.run("down")
    # A file where the daemon wants its directory.
    (own.layout.root / "buildkit").rename(own.layout.root / "aside")
    (own.layout.root / "buildkit").mkdir()
    (own.layout.root / "buildkit" / "runc-overlayfs").write_text("in the way")

    status, output = await own.run("up", "--no-images")

    assert status == 1
    assert "buildkitd ended while it started; the end of its log:" in output
    assert "runc-overlayfs: not a directory" in output
    assert "hint: " in output
    assert "Traceback" not in output


async def test_a_directory_too_deep_for_a_socket_is_refused_in_words(lab: Lab, tmp_path: Path) -> None:
    deep = OwnLab(lab, tmp_path / ("d" * 100))

    status, output = await deep.run("up", "--no-images")

    assert status == 1
    assert "longer than a unix socket's path may be" in output
    assert "hint: name a shorter directory with $FLEETPACKS_LAB" in output


async def test_a_machine_without_a_compiler_is_told_what_to_do(lab: Lab, tmp_path: Path) -> None:
    bare = Layout(root=tmp_path / "lab")
    env = {**environment.read(), "FLEETPACKS_LAB": str(bare.root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    # Go may be installed in its usual place: the namespace of mounts hides it.
    hide = 'mkdir -p /usr/local/go && mount -t tmpfs none /usr/local/go && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", hide, "sh", sys.executable, "-m", "tests.lab", "up", "--no-images"]

    done = await anyio.run_process(command, env=env, check=False, cwd=Path(__file__).parents[2])

    assert done.returncode == 1
    assert b"there is no Go compiler" in done.stderr
    assert b"$BUILDKIT_HOST" in done.stderr


async def test_the_record_is_json_that_people_can_read(own: OwnLab) -> None:
    record = await own.up()

    read = json.loads(own.layout.record.read_text())

    assert read["port"] == record.port
    assert set(read["daemons"]) == {"registry", "buildkitd"}
