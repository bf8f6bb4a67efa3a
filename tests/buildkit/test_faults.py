"""Faults at a chosen moment of the protocol, at a real buildkitd: each fires, is the right error, leaves nothing."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from orchestrator.buildkit import Client, SolveRequest, StatusUpdate
from orchestrator.errors import (
    BuildFailedError,
    DaemonLostError,
    DiskFullError,
    FleetpacksError,
    RegistryUnavailableError,
)
from remote.address import UnixAddress
from remote.connect import connect
from tests.buildkit.faults import Fault, Kind
from tests.buildkit.real import ROOT, Watched, client, private_daemon, push_to, request, shell_root
from tests.conftest import RealCount
from tests.e2e.proxy import refusing
from tests.lab import Lab

pytestmark = pytest.mark.real

CONTROL, SESSION = 0, 1
SOON = 60


def large() -> SolveRequest:
    """A build that sends a thousand frames and prints some lines."""
    return request("FROM scratch\nCOPY a /a\n", context={"a": os.urandom(4_000_000)})


async def printing() -> SolveRequest:
    command = f": {os.urandom(4).hex()}; i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.01; done"
    return request(ROOT + f"RUN {command}\n", context=await shell_root())


@asynccontextmanager
async def faulty(lab: Lab, fault: Fault) -> AsyncGenerator[Client]:
    async def dial() -> ByteStream:
        return fault.wrap(await connect(UnixAddress(path=str(lab.buildkitd))))

    async with Client(dial, address="unix:///faulty") as builder:
        yield builder


async def gone(lab: Lab, ref: str) -> bool:
    """Whether the daemon has let go of a build, within a bounded time."""
    async with client(lab.buildkitd) as builder:
        with anyio.move_on_after(SOON):
            while ref in await builder.active_builds():  # noqa: ASYNC110 -- the daemon is asked
                await anyio.sleep(0.05)
            return True
    return False


@pytest.mark.parametrize(
    ("connection", "sent", "nth"),
    [(CONTROL, False, 1), (CONTROL, False, 5), (SESSION, True, 1), (SESSION, True, 2), (SESSION, True, 50),
     (SESSION, False, 2)],
    ids=str,
)  # fmt: skip
async def test_a_connection_cut_at_a_data_frame_is_a_lost_daemon(
    lab: Lab, connection: int, *, sent: bool, nth: int
) -> None:
    fault = Fault(connection=connection, sent=sent, nth=nth, kind="cut")
    build = large() if connection == SESSION else await printing()

    async with faulty(lab, fault) as builder:
        with anyio.fail_after(SOON), pytest.raises(DaemonLostError) as caught:
            await builder.solve(build, on_status=Watched())
        assert caught.value.hint
        after = await builder.info()

    assert (fault.fired, fault.open_now, after.version) == (1, 0, "v0.30.0")
    assert await gone(lab, build.ref)


@pytest.mark.parametrize("kind", ["goaway at once", "garbage"])
async def test_a_control_connection_that_is_ended_or_spoilt_is_a_lost_daemon(lab: Lab, kind: Kind) -> None:
    fault = Fault(connection=CONTROL, sent=False, nth=4, kind=kind)
    build = await printing()

    async with faulty(lab, fault) as builder:
        with anyio.fail_after(SOON), pytest.raises(DaemonLostError):
            await builder.solve(build, on_status=Watched())

    assert (fault.fired, fault.open_now) == (1, 0)
    assert await gone(lab, build.ref)


async def test_a_graceful_goaway_fails_no_build_that_runs_and_none_that_comes(lab: Lab, real_count: RealCount) -> None:
    fault = Fault(connection=CONTROL, sent=False, nth=4, kind="goaway")
    seen = Watched()

    async with faulty(lab, fault) as builder:
        with anyio.fail_after(SOON):
            await builder.solve(await printing(), on_status=seen)
            await builder.solve(large(), on_status=Watched())

    assert b"line 200\n" in seen.log(1)
    # Control, its two sessions, and a second one for control.
    assert (fault.fired, fault.opened, fault.open_now) == (1, 4, 0)
    real_count.record("build", times=2)


async def test_a_daemon_killed_when_a_step_starts_is_a_lost_daemon(lab: Lab, tmp_path: Path) -> None:
    killed = 0

    async with private_daemon(lab, tmp_path) as (process, socket), client(socket) as builder:

        async def kill(update: StatusUpdate) -> None:
            nonlocal killed
            if not killed and any("RUN" in vertex.name and vertex.started for vertex in update.vertexes):
                killed += 1
                process.kill()

        with anyio.fail_after(SOON), pytest.raises(DaemonLostError):
            await builder.solve(await printing(), on_status=kill)

    assert killed == 1


def always(status: int, begin: str) -> tuple[Callable[[str, str], int | None], list[str]]:
    """Refuses every request that begins so."""
    fired: list[str] = []

    def refuse(method: str, path: str) -> int | None:
        if f"{method} {path}".startswith(begin):
            fired.append(path)
            return status
        return None

    return refuse, fired


def once(status: int, method: str, nth: int) -> tuple[Callable[[str, str], int | None], list[str]]:
    """Refuses the nth request of a method."""
    fired: list[str] = []
    seen = 0

    def refuse(asked: str, path: str) -> int | None:
        nonlocal seen
        seen += asked == method
        if asked == method and seen == nth:
            fired.append(path)
            return status
        return None

    return refuse, fired


def pushing(registry: str) -> SolveRequest:
    name = f"faults-{os.urandom(4).hex()}"
    return request("FROM scratch\nCOPY a /a\n", context={"a": os.urandom(99)}, exporter=push_to(registry, name))


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_registry_that_fails_every_upload_is_unavailable_and_says_so(lab: Lab) -> None:
    async def fail(status: int) -> None:
        refuse, fired = always(status, "POST /v2/faults")
        async with refusing(lab, refuse) as registry, client(lab.buildkitd) as builder:
            with anyio.fail_after(SOON), pytest.raises(RegistryUnavailableError) as caught:
                await builder.solve(pushing(registry), on_status=Watched())
        assert fired
        assert caught.value.hint
        ended.append(status)

    ended: list[int] = []

    # The daemon tries each of them again for some seconds.
    async with anyio.create_task_group() as tasks:
        for status in (500, 503, 429, 0):
            tasks.start_soon(fail, status)

    assert sorted(ended) == [0, 429, 500, 503]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_registry_that_fails_one_put_or_is_slow_gets_the_image_all_the_same(
    lab: Lab, real_count: RealCount
) -> None:
    async def fail(status: int, nth: int, delay: float) -> None:
        refuse, fired = once(status, "PUT", nth)
        async with refusing(lab, refuse, delay=delay) as registry, client(lab.buildkitd) as builder:
            with anyio.fail_after(SOON):
                result = await builder.solve(pushing(registry), on_status=Watched())
        assert len(fired) == (nth > 0)
        assert result.digest is not None
        real_count.record("build")
        ended.append((status, nth))

    ended: list[tuple[int, int]] = []
    cases = ((503, 1, 0.0), (503, 2, 0.0), (503, 3, 0.0), (0, 1, 0.0), (0, 3, 0.0), (599, 0, 0.7))

    async with anyio.create_task_group() as tasks:
        for case in cases:
            tasks.start_soon(fail, *case)

    assert len(ended) == len(cases)


@asynccontextmanager
async def small_disk(lab: Lab, folder: Path) -> AsyncGenerator[Path]:
    """The socket of a daemon with 24 MB of disk."""
    root = folder / "root"
    root.mkdir()
    await anyio.run_process(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(root)])
    try:
        async with private_daemon(lab, folder) as (_, socket):
            yield socket
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.run_process(["umount", "--recursive", "--lazy", str(root)], check=False)


@pytest.mark.parametrize(
    ("dockerfile", "kind"),
    [
        ("FROM scratch\nCOPY big /\n", DiskFullError),
        ("FROM debian:bookworm-slim\nCOPY small /\n", DiskFullError),
        (ROOT + "RUN while :; do cat /bin/sh >>/f || exit 5; done\n", BuildFailedError),
    ],
    ids=["context", "base image", "step"],
)
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_full_disk_is_told_from_a_failed_step_and_both_say_what_to_do(
    lab: Lab, tmp_path: Path, dockerfile: str, kind: type[FleetpacksError]
) -> None:
    files = {"big": os.urandom(40_000_000), "small": b"s"}
    context = await shell_root() if "RUN" in dockerfile else {name: files[name] for name in files if name in dockerfile}

    async with small_disk(lab, tmp_path) as socket, client(socket) as builder:
        with anyio.fail_after(SOON), pytest.raises(kind) as caught:
            await builder.solve(request(dockerfile, context=context), on_status=Watched())
        assert "disk is full" in caught.value.hint
        assert await builder.active_builds() == ()
