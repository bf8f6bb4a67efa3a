"""`fleetpacks hosts check` against real builders: hosts behind sshd that are well or broken, a buildkitd, engines."""

import json
import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.app import hostcheck, hostfacts
from orchestrator.config import Flags, load
from tests.buildkit.real import ROOT, Watched, client, private_daemon, request, shell_root
from tests.conftest import RealCount
from tests.lab import Lab
from tests.lab.hosts import Host, started
from tests.lab.state import Engine

Run = Callable[..., Any]
Start = Callable[..., Awaitable[Any]]


def kinds(host: Mapping[str, Any]) -> list[str]:
    return [each["kind"] for each in host["problems"]]


def test_a_builder_that_does_not_answer_is_told_and_no_error_of_the_command(run: Run, tmp_path: Path) -> None:
    ran = run("hosts", "check", "--host", f"unix://{tmp_path}/none", "--json")

    told = json.loads(ran.out)
    [host] = told["hosts"]
    assert (ran.code, ran.err, told["format"]) == (75, "", 1)
    assert (host["address"], host["state"], host["daemon"]) == (f"unix://{tmp_path}/none", "unreachable", None)
    assert kinds(host) == ["builder-unreachable"]
    # The machine is this one all the same.
    assert host["machine"]["architecture"] == platform.machine()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "docker://127.0.0.1:1"])
def test_nothing_is_asked_of_a_machine_without_a_shell(run: Run, address: str) -> None:
    ran = run("hosts", "check", "--host", address)

    heading, row = ran.out.splitlines()
    assert ran.code == 75
    assert heading.split()[0] == "builder"
    assert row.split()[:2] == [address, "unreachable"]
    assert ran.err.startswith(f"error: {address}: ")
    assert f"warning: {address}: nothing is known of its machine: no shell there\n" in ran.err


def test_an_address_that_is_none_is_a_usage_error(run: Run) -> None:
    ran = run("hosts", "check", "--host", "ftp://a")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: --host: builder address 'ftp://a'")


def plant(home: Path, hosts: list[Host], stranger: Host) -> None:
    """A home whose `ssh` knows the hosts, and one of them under another name, without its key."""
    ssh = home / ".ssh"
    ssh.mkdir(parents=True)
    unknown = f"Host stranger\n  HostName {stranger.address}\n  UserKnownHostsFile {home}/none\n"
    ssh.joinpath("config").write_text(unknown + "".join((host.client / "config").read_text() for host in hosts))


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_pool_is_told_builder_by_builder(
    *, start: Start, tmp_path: Path, lab: Lab, engine_graph: Engine, engine_containerd: Engine, real_count: RealCount
) -> None:
    engines = [f"docker://{engine.socket}" for engine in (engine_graph, engine_containerd)]
    async with started(cpus=0.5, disk="300m") as well, started() as broken:
        addresses = [lab.buildkit_host, *engines, well.url, f"ssh://{well.name}?slots=1", broken.url, "ssh://stranger"]
        plant(tmp_path / "home", [well, broken], well)
        await broken.kill("buildkitd")
        before = sorted(well.processes().values())

        ran = await start("hosts", "check", "--json", *(word for url in addresses for word in ("--host", url)))
        shown = await start("hosts", "check", "--host", well.url)

        # Nothing of the question stays there.
        with anyio.fail_after(60):
            while sorted(well.processes().values()) != before:  # noqa: ASYNC110 -- other processes end
                await anyio.sleep(0.05)
    real_count.record("answer", times=len(addresses))

    here, graph, containerd, first, again, silent, strange = hosts = json.loads(ran.out)["hosts"]
    assert (ran.code, ran.err) == (1, "")
    assert [host["address"] for host in hosts] == addresses
    assert [host["state"] for host in hosts] == [*["well"] * 5, "unreachable", "unusable"]
    assert [host["daemon"]["kind"] for host in hosts[:5]] == [
        "buildkitd",
        "engine, graph driver",
        "engine, containerd's image store",
        "buildkitd",
        "buildkitd",
    ]
    # This machine has several daemons; each is the one that listens.
    assert here["daemon"]["version"].startswith("v0.")
    assert here["root"] == str(lab.state / "buildkit")
    assert here["disk"]["size"] == os.statvfs(lab.state).f_blocks * os.statvfs(lab.state).f_frsize
    assert [host["root"] for host in (graph, containerd)] == [
        str(engine.socket.parents[1] / "engines" / engine.kind / "root") for engine in (engine_graph, engine_containerd)
    ]
    assert graph["daemon"]["version"] is None
    assert graph["daemon"]["running"] is None
    assert [host["daemon"]["snapshotter"] for host in (here, graph, first)] == ["overlayfs", None, "overlayfs"]
    # A host behind sshd, over its one connection.
    assert first["daemon"]["latency_ms"] > 0
    assert first["daemon"]["running"] == 0
    assert {"platform": "linux/amd64", "emulated": False} in first["daemon"]["platforms"]
    assert (first["root"], first["disk"]["kind"], first["disk"]["filesystem"]) == (
        "/run/lab/host/buildkit",
        "memory",
        "tmpfs",
    )
    assert first["disk"]["size"] == 300 << 20
    assert 0 < first["disk"]["free"] <= first["disk"]["size"]
    assert (first["machine"]["user"], first["machine"]["architecture"]) == ("root", platform.machine())
    assert (first["machine"]["cores"], first["quota"]) == (len(os.sched_getaffinity(0)), 0.5)
    assert (first["slots"], first["slots_said"]) == (len(os.sched_getaffinity(0)), False)
    assert (again["slots"], again["slots_said"]) == (1, True)
    assert "quota" in kinds(first)
    assert "same-daemon" not in kinds(first)
    assert "same-daemon" in kinds(again)
    # One without a daemon is a machine still; one that nobody knows is asked nothing.
    assert silent["machine"]["architecture"] == platform.machine()
    assert (silent["daemon"], kinds(silent)) == (None, ["builder-unreachable"])
    assert strange["machine"] is None
    assert "ssh-keyscan" in strange["problems"][0]["hint"]

    heading, row = shown.out.splitlines()
    assert shown.code == 0
    assert " ".join(heading.split()) == "builder latency daemon platforms builds cores memory load disk cache"
    assert row.startswith(well.url)
    assert f"0 of {first['slots']}  0.50 of {first['machine']['cores']}" in row
    assert "0.50 processors" in shown.err


@pytest.mark.real
@pytest.mark.apart
async def test_what_a_builder_does_and_keeps_is_counted(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    watched = Watched()
    found: list[hostfacts.Host] = []
    made = request(ROOT + 'RUN ["/bin/sh", "-c", "echo begun; sleep 1000"]\n', context=await shell_root())

    async with private_daemon(lab, tmp_path) as (process, socket), client(socket) as builder:
        config = load(None, {"HOME": str(tmp_path)}, Flags(hosts=(f"unix://{socket}",)))

        async def build() -> None:
            await builder.solve(made, on_status=watched)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build)
            with anyio.fail_after(120):
                await watched.said(b"begun").wait()
            found += (await hostcheck.check(config)).hosts
            tasks.cancel_scope.cancel()
    real_count.record("build")

    [host] = found
    assert host.state == "well"
    assert host.daemon is not None
    assert (host.daemon.running, host.daemon.snapshotter) == (1, "native")
    assert host.daemon.cache is not None
    assert host.daemon.cache > 0
    assert host.root == f"{tmp_path}/root"
    assert "snapshotter-native" in [each.kind for each in host.problems]
    assert host.machine is not None
    assert process.pid in [each.pid for each in host.machine.daemons]
