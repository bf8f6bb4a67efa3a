"""Daemons of our own, really run: ready by their own API, ended without a trace, whoever ends first."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest

from orchestrator.app import isolated
from orchestrator.buildkit import Client
from orchestrator.config import Config
from orchestrator.daemon import running as starting
from orchestrator.daemon.running import Daemon
from orchestrator.errors import FleetpacksError, OwnDaemonBusyError, OwnDaemonError
from tests.buildkit.real import ROOT, client, push_to, request, shell_root
from tests.conftest import RealCount
from tests.daemon.conftest import DAEMONS
from tests.daemon.real import Traces, configured, open_files, traces, variables
from tests.lab import Lab

pytestmark = DAEMONS


@pytest.fixture
def config(lab: Lab, home: Path) -> Config:
    found = configured(variables(lab, home))
    return msgspec.structs.replace(found, isolated=msgspec.structs.replace(found.isolated, root=home / "d"))


async def left(home: Path, before: Traces) -> Traces:
    """What there is when everything had time to end; the kernel tells of the last processes a moment later."""
    with anyio.move_on_after(30):
        while traces(home) != before:  # noqa: ASYNC110 -- the kernel tells no one
            await anyio.sleep(0.02)
    return traces(home)


async def use(daemon: Daemon, lab: Lab) -> bytes:
    """Have it build and push an image with a step that says something."""
    said = bytearray()

    async def hear(update: object) -> None:
        for log in getattr(update, "logs", ()):
            said.extend(log.data)

    async with client(daemon.settings.socket) as builder:
        result = await builder.solve(
            request(
                f"{ROOT}RUN echo really\n",
                context=await shell_root(),
                exporter=push_to(lab.registry, f"own-{os.getpid()}"),
            ),
            on_status=hear,
        )
    assert str(result.digest).startswith("sha256:")
    return bytes(said)


async def test_a_daemon_builds_and_is_gone_without_a_trace(
    lab: Lab, config: Config, home: Path, real_count: RealCount
) -> None:
    before = traces(home)

    async with isolated.started(config) as daemon:
        there = traces(home)
        said = await use(daemon, lab)
        used = traces(home)
    after = await left(home, before)
    real_count.record("build")

    assert any("buildkitd" in words for words in there.processes)
    assert b"really" in said
    assert all(daemon.settings.name in group for group in used.groups)
    assert used.groups
    assert after == before
    assert sorted(path.name for path in (home / "d").iterdir()) == ["buildkit", "lock", "log"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # another program, the same of ours
async def test_the_oldest_buildkitd_takes_its_configuration(
    lab: Lab, config: Config, home: Path, real_count: RealCount
) -> None:
    said = {**variables(lab, home), "PATH": f"{lab.oldest_buildkitd.parent}:{lab.runc.parent}:/usr/bin:/bin"}
    own = msgspec.structs.replace(configured(said), isolated=config.isolated)
    before = traces(home)

    async with isolated.started(own) as daemon, client(daemon.settings.socket) as builder:
        version = (await builder.info()).version
        said_by_steps = await use(daemon, lab)
    real_count.record("build")

    assert version.startswith("v0.13.")
    assert b"really" in said_by_steps
    assert await left(home, before) == before


async def test_the_cache_of_the_last_one_is_that_of_the_next(config: Config, home: Path) -> None:
    async with isolated.started(config) as daemon, client(daemon.settings.socket) as builder:
        [first] = await builder.workers()
    async with isolated.started(config) as daemon, client(daemon.settings.socket) as builder:
        [second] = await builder.workers()

    assert first.id == second.id


@pytest.mark.parametrize("name", ["run/mine", "lock/mine", "mine"])
async def test_a_directory_of_somebody_else_is_refused_and_stays_as_it_is(
    config: Config, home: Path, name: str
) -> None:
    place = home / "d" / name
    place.parent.mkdir(parents=True)
    place.write_text("important")

    with pytest.raises(OwnDaemonError, match="holds other things") as caught:
        async with isolated.started(config):
            pass

    assert "--data-root" in caught.value.hint
    assert [each for each in (home / "d").rglob("*") if each.is_file()] == [place]


async def test_a_second_one_on_the_same_directory_is_refused_and_the_first_one_stays(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with isolated.started(config) as daemon:
        monkeypatch.setattr(starting, "LOCK_SECONDS", 0.2)
        with pytest.raises(OwnDaemonBusyError, match="another run"):
            async with isolated.started(config):
                pass
        async with client(daemon.settings.socket) as builder:
            workers = await builder.workers()

    assert len(workers) == 1


async def test_a_daemon_that_does_not_start_is_told_with_its_log_and_leaves_nothing(
    lab: Lab, config: Config, home: Path
) -> None:
    before = traces(home)
    broken = home / "bin"
    broken.mkdir()
    (broken / "buildkitd").write_text("#!/bin/sh\necho last words >&2\nexit 3\n")
    (broken / "buildkitd").chmod(0o755)
    said = {**config.environment.variables, "PATH": f"{broken}:{lab.runc.parent}:/usr/bin:/bin"}
    environment = msgspec.structs.replace(config.environment, variables=said)

    with pytest.raises(OwnDaemonError, match="last words") as caught:
        async with isolated.started(msgspec.structs.replace(config, environment=environment)):
            pass

    assert "exit status 3" in caught.value.message
    assert await left(home, before) == before
    assert not await anyio.Path(home / "d" / "run").exists()


async def test_a_cancelled_start_leaves_nothing(config: Config, home: Path) -> None:
    before = traces(home)

    for seconds in (0.01, 0.04, 0.08):
        with anyio.move_on_after(seconds):
            async with isolated.started(config):
                await anyio.sleep_forever()

    assert await left(home, before) == before


async def test_a_daemon_that_is_killed_is_told_of_and_leaves_nothing(config: Config, home: Path) -> None:
    before = traces(home)

    async with isolated.started(config) as daemon:
        [pid] = [pid for pid in pids(home) if program(pid) == "buildkitd"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(OwnDaemonError, match=r"buildkitd ended \(exit status 137\);"):
            await daemon.over()

    assert await left(home, before) == before


async def test_when_the_process_in_between_is_killed_the_kernel_ends_the_rest(config: Config, home: Path) -> None:
    before = traces(home)

    async with isolated.started(config) as daemon:
        os.kill(daemon.pid, signal.SIGKILL)
        await left(home, before)
    after = await left(home, before)

    assert after == before


@asynccontextmanager
async def running(lab: Lab, home: Path) -> AsyncGenerator[tuple[anyio.abc.Process, int]]:
    """`fleetpacks daemon run` as a process that has told of its daemon, and the one between the two."""
    fleetpacks = Path(sys.executable).with_name("fleetpacks")
    command = [str(fleetpacks), "daemon", "run", "--data-root", str(home / "d"), "--json"]
    process = await anyio.open_process(command, env=variables(lab, home), start_new_session=True)
    try:
        assert process.stdout is not None
        with anyio.fail_after(60):
            said = json.loads(await process.stdout.receive())
        assert said["address"] == f"unix://{home}/d/run/buildkitd.sock"
        yield process, said["pid"]
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the program's own loop is the same in any case
async def test_nothing_is_left_when_we_are_killed_in_the_middle_of_a_build(lab: Lab, home: Path) -> None:
    before = traces(home)

    wanted = request(f"{ROOT}RUN echo begun && sleep 1000\n", context=await shell_root())
    said, during = anyio.Event(), list[Traces]()

    async def hear(update: object) -> None:
        if any(b"begun" in log.data for log in getattr(update, "logs", ())):
            said.set()

    async def build(builder: Client) -> None:
        with pytest.raises(FleetpacksError):
            await builder.solve(wanted, on_status=hear)

    async with (
        running(lab, home) as (process, _),
        client(home / "d/run/buildkitd.sock") as builder,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(build, builder)
        await said.wait()
        during.append(traces(home))
        process.kill()
    after = await left(home, before)

    assert [bool(each.groups) for each in during] == [True]
    assert after == before
    assert not await anyio.Path(home / "d/run").exists()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # as above
async def test_what_was_left_when_both_processes_were_killed_is_swept_by_the_next_start(lab: Lab, home: Path) -> None:
    before = traces(home)

    async with running(lab, home) as (process, between):
        os.kill(between, signal.SIGKILL)
        process.kill()
        await process.wait()
    run = anyio.Path(home / "d/run")
    sockets = await run.exists()
    async with running(lab, home) as (process, _):
        process.terminate()
        code = await process.wait()
    after = await left(home, before)

    assert sockets
    assert code == 128 + signal.SIGTERM
    assert after == before
    assert not await run.exists()


def pids(home: Path) -> list[int]:
    """Processes with something of a directory among their words, or below a keeper of it."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                files = open_files(entry.name)
            except OSError:
                continue
            if any(str(home) in file for file in files):
                found.append(int(entry.name))
    return found


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/exe").readlink().name
