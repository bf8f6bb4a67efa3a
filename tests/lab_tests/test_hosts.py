"""Builder hosts: reached by OpenSSH alone, broken in every way that the lab knows, and gone without a trace."""

import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest

from tests.conftest import RealCount
from tests.lab import Lab
from tests.lab.errors import LabError
from tests.lab.firewall import iptables
from tests.lab.hosts import BUILDKITD_SOCKET, Host, cgroups, faults, machine, running, started
from tests.lab.hosts.network import known
from tests.lab.mounts import mount_points
from tests.lab.process import identify
from tests.lab.state import layout
from tests.lab_tests.test_commands import OwnLab, kill

pytestmark = [pytest.mark.real, pytest.mark.apart]

_OWNER = """\
import anyio
from tests.lab.hosts import started
async def main():
    async with started() as host:
        print(host.number, flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def host(lab: Lab, anyio_backend: str) -> AsyncGenerator[Host]:
    """One for tests that mend what they break. What it keeps in memory is quickly deleted."""
    async with started(cpus=1.5, disk="600m") as host:
        yield host


@asynccontextmanager
async def forwarded(host: Host, folder: Path) -> AsyncGenerator[Path]:
    """The host's daemon through OpenSSH's forward of its socket: a socket of ours."""
    socket = folder / "s"
    forward = ["-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:{BUILDKITD_SOCKET}"]
    async with session(host, *forward):
        yield socket


@asynccontextmanager
async def session(host: Host, *options: str) -> AsyncGenerator[anyio.abc.Process]:
    """A session that says `ready`, and then whatever it hears."""
    command = ["ssh", "-F", str(host.client / "config"), *options, host.name, "echo ready; exec cat"]
    async with await anyio.open_process(command) as ssh:
        try:
            assert ssh.stdout is not None
            assert await ssh.stdout.receive() == b"ready\n"
            yield ssh
        finally:
            if ssh.returncode is None:
                ssh.terminate()


async def echoes(ssh: anyio.abc.Process) -> bool:
    assert ssh.stdin is not None
    assert ssh.stdout is not None
    await ssh.stdin.send(b"x\n")
    return await ssh.stdout.receive() == b"x\n"


async def buildctl(lab: Lab, socket: Path, *words: str) -> tuple[int, str]:
    done = await anyio.run_process([str(lab.buildctl), "--addr", f"unix://{socket}", *words], check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def solve(context: Path, *lines: str) -> list[str]:
    (context / "Dockerfile").write_text("\n".join(["FROM debian:trixie-slim", *lines, ""]))
    words = ["build", "--progress=plain", "--frontend=dockerfile.v0"]
    return [*words, "--local", f"context={context}", "--local", f"dockerfile={context}"]


def traces(host: Host, space: str) -> list[str]:
    """What is left of a host whose namespace of processes was this."""
    places = [Path("/sys/class/net", host.link), host.folder, *Path("/sys/fs/cgroup").glob(f"*/{host.cgroup}")]
    return [str(place) for place in places if place.exists()] + members(space)


def members(space: str) -> list[str]:
    return [process.name for process in Path("/proc").glob("[0-9]*") if space_of(int(process.name)) == space]


def space_of(pid: int) -> str:
    """The namespace of a process; none of one that has ended, collected or not."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink()) if identify(pid) else ""
    except OSError:
        return ""


async def begins(host: Host, program: str) -> None:
    with anyio.fail_after(60):
        while not host.processes(program):  # noqa: ASYNC110 -- no event of ours: a process of another's begins
            await anyio.sleep(0.02)


def links_like(link: str) -> list[str]:
    """The bridge of a host, and all that is plugged into it."""
    return [path.name for path in Path("/sys/class/net").iterdir() if path.name[:10] == link[:10]]


async def test_a_build_over_ssh_gets_its_base_from_the_labs_registry_and_pushes_to_it(
    lab: Lab, host: Host, tmp_path: Path, real_count: RealCount
) -> None:
    repository = f"lab-tests/{secrets.token_hex(6)}"
    output = f"type=image,name={host.registry}/{repository}:latest,push=true"

    async with forwarded(host, tmp_path) as socket:
        workers = await buildctl(lab, socket, "debug", "workers")
        words = solve(tmp_path, "RUN cat /proc/self/cgroup; hostname")
        status, said = await buildctl(lab, socket, *words, "--no-cache", "--output", output)
    real_count.record("build")
    async with httpx.AsyncClient(trust_env=False) as client:
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        answers = [
            (await client.get(f"http://{registry}/v2/{repository}/manifests/latest", headers=accept)).status_code
            for registry in (host.registry, lab.registry)
        ]

    log = (host.folder / "sshd.log").read_text()
    assert workers[0] == status == 0, said
    assert "linux/amd64" in workers[1]
    assert f":cpu:/{host.cgroup}/buildkit/" in said
    assert answers == [httpx.codes.OK, httpx.codes.OK]
    assert log.count("Accepted publickey for root") == 1
    assert await anyio.Path(f"/sys/fs/cgroup/cpu/{host.cgroup}/cpu.cfs_quota_us").read_text() == "150000\n"


async def test_a_daemon_killed_with_its_steps_at_work_comes_back_without_them(
    lab: Lab, host: Host, tmp_path: Path
) -> None:
    async with forwarded(host, tmp_path) as socket:
        words = solve(tmp_path, f"RUN tail -f /dev/null # {secrets.token_hex(6)}")
        async with await anyio.open_process([str(lab.buildctl), "--addr", f"unix://{socket}", *words]):
            await begins(host, "tail")

            await host.kill("buildkitd")
            killed = host.processes()
            await machine.start_buildkitd(layout(), host)
            mended = host.processes()

        status, said = await buildctl(lab, socket, "debug", "workers")

    assert "buildkitd" not in killed.values()
    assert "tail" in killed.values(), "the killed daemon left no step: this test shows nothing"
    assert "tail" not in mended.values()
    assert status == 0, said


async def test_a_killed_sshd_takes_its_sessions_along_and_comes_back(host: Host) -> None:
    async with session(host) as ssh:
        await host.kill("sshd")
        with anyio.fail_after(30):
            status = await ssh.wait()

    await machine.start_sshd(layout(), host)

    assert status == 255
    async with session(host) as ssh:
        assert await echoes(ssh)


@pytest.mark.parametrize("fault", [faults.unplugged, faults.cut, faults.frozen], ids=lambda fault: fault.__name__)
async def test_a_session_outlives_a_fault_in_which_nothing_answers(
    host: Host, fault: Callable[[Host], AbstractAsyncContextManager[None]]
) -> None:
    async with session(host) as ssh:
        assert ssh.stdin is not None
        assert ssh.stdout is not None
        heard = b""
        async with fault(host):
            await ssh.stdin.send(b"x\n")
            with anyio.move_on_after(0.3):
                heard = await ssh.stdout.receive()

        with anyio.fail_after(60):
            heard_later = await ssh.stdout.receive()

    assert heard == b""
    assert heard_later == b"x\n"


async def test_a_slow_line_carries_no_more_than_it_says_in_either_direction(host: Host) -> None:
    size, bits = 300_000, 4_000_000
    ssh = ["ssh", "-F", str(host.client / "config"), host.name]
    took: list[float] = []

    async with faults.slow_line(host, bits=bits):
        for command, sent in ((f"head -c {size} /dev/urandom", b""), ("cat >/dev/null", os.urandom(size))):
            began = time.monotonic()
            await anyio.run_process([*ssh, command], input=sent)
            took.append(time.monotonic() - began)
    left = await anyio.run_process(["tc", "qdisc", "show", "dev", host.link])
    left_inside = await anyio.run_process(host.enter("tc", "qdisc", "show", "dev", "eth0"))

    # A twentieth of a second is what the bucket lets through at once.
    assert min(took) > size * 8 / bits - 0.1
    assert b"tbf" not in left.stdout + left_inside.stdout


async def test_a_full_disk_fails_builds_until_there_is_room_again(lab: Lab, tmp_path: Path) -> None:
    async with started(disk="300m") as host, forwarded(host, tmp_path) as socket:
        async with faults.full_disk(host):
            full, said = await buildctl(lab, socket, *solve(tmp_path))

        healed, said_later = await buildctl(lab, socket, *solve(tmp_path))

    assert full != 0
    assert "no space left on device" in said
    assert healed == 0, said_later


async def test_the_machines_own_disk_is_never_filled(host: Host) -> None:
    with pytest.raises(LabError, match="has this machine's disk"):
        async with faults.full_disk(msgspec.structs.replace(host, limited_disk=False)):
            pytest.fail("it was filled")


async def test_all_processes_of_a_host_share_its_part_of_the_processors(host: Host) -> None:
    part, burn = 0.2, "timeout 0.5 sh -c 'while :; do :; done'"
    cgroups.limit(host.cgroup, part)
    began, before = time.monotonic(), cgroups.used(host.cgroup)

    await anyio.run_process(
        ["ssh", "-F", str(host.client / "config"), host.name, f"{burn} & {burn}; wait"], check=False
    )

    used, took = cgroups.used(host.cgroup) - before, time.monotonic() - began
    cgroups.limit(host.cgroup, None)
    # Each processor has a slice of a few milliseconds before it asks for more.
    assert 0 < used < took * part + 0.1


async def test_a_host_that_was_lost_leaves_no_more_than_one_that_was_not(lab: Lab) -> None:
    async with started(cpus=1) as lost, started() as kept:
        hosts = [(host, space_of(host.init.pid)) for host in (lost, kept)]
        before = [traces(host, space) for host, space in hosts]
        await faults.lose(lost)
        alive = [host.init.alive() for host, _ in hosts]

    assert alive == [False, True]
    assert all(len(found) > 4 for found in before)
    assert [traces(host, space) for host, space in hosts] == [[], []]
    assert mount_points(kept.folder.parent) == ()


async def test_the_host_of_a_killed_process_is_removed_by_who_comes_next(lab: Lab) -> None:
    place = layout()
    command = [sys.executable, "-c", _OWNER]
    async with await anyio.open_process(command, cwd=Path(__file__).parents[2], stderr=None) as owner:
        assert owner.stdout is not None
        number = int(await owner.stdout.receive())
        owner.send_signal(signal.SIGKILL)
        await owner.wait()
    network = known(place)
    assert network is not None
    abandoned = machine.load(place, network, number)
    assert abandoned is not None
    space = space_of(abandoned.init.pid)

    async with started() as host:
        left = members(space)

    assert space
    assert left == []
    assert traces(host, space) == []


async def test_shared_hosts_come_up_once_are_mended_and_end_with_the_lab(lab: Lab, tmp_path: Path) -> None:
    own = OwnLab(lab, tmp_path / "lab")
    up = ("up", "--no-images", "--no-builder", "--hosts", "2")
    try:
        first_said = await own.run(*up)
        first = running(own.layout)
        await first[0].kill("buildkitd")
        kill(first[1].init)
        second_said = await own.run(*up)
        second = running(own.layout)
        spaces = [space_of(host.init.pid) for host in second]
        linked = links_like(second[0].link)
    finally:
        down_said = await own.run("down")

    assert (first_said[0], second_said[0], down_said[0]) == (0, 0, 0), (first_said, second_said, down_said)
    assert [host.number for host in first] == [host.number for host in second] == [1, 2]
    assert second[0].init == first[0].init
    assert second[1].init != first[1].init
    assert "ended 2 hosts" in down_said[1]
    assert running(own.layout) == ()
    for host, space in zip(second, spaces, strict=True):
        assert traces(host, space) == [str(host.folder)]
    assert not links_like(second[0].link)
    assert len(linked) == 3
    rules = await anyio.run_process([str(await iptables(own.layout)), "-t", "nat", "-S"])
    assert f"{second[0].address.rpartition('.')[0]}.0/24".encode() not in rules.stdout
    assert mount_points(own.layout.root) == ()
