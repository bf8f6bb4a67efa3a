"""What can happen to a builder host: each fault begins with its block and is healed at the block's end.

Every one is the real thing: a link without carrier, packets that vanish, a slow line, processes that stand still, a
full disk. `Host.kill` and `machine.start_sshd`, `machine.start_buildkitd` are those of services; `lose` is the one that
nothing heals.
"""

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread

from tests.lab import tools
from tests.lab.errors import LabError
from tests.lab.firewall import iptables
from tests.lab.hosts.host import Host
from tests.lab.hosts.network import ENVIRONMENT, exists, ip
from tests.lab.process import end
from tests.lab.state import Layout

_BURST_SECONDS = 0.01
"""Seconds: what a limited line lets through at once, at its rate. The kernel's clock has no finer steps."""
_SMALLEST_BURST = 32_000


@asynccontextmanager
async def unplugged(host: Host) -> AsyncGenerator[None]:
    """Its network link is down: connections stand still, and new ones find no route after some seconds."""
    await ip(f"link set {host.link} down")
    try:
        yield
    finally:
        if exists(host.link):
            with anyio.CancelScope(shield=True):
                await ip(f"link set {host.link} up")


@asynccontextmanager
async def cut(host: Host) -> AsyncGenerator[None]:
    """All packets from and to the host vanish: nobody is told, neither here nor there."""
    try:
        for chain in ("INPUT", "OUTPUT"):
            await _filter(host, "--insert", chain)
        yield
    finally:
        with anyio.CancelScope(shield=True):
            for chain in ("INPUT", "OUTPUT"):
                await _filter(host, "--delete", chain)


@asynccontextmanager
async def slow_line(host: Host, *, bits: int) -> AsyncGenerator[None]:
    """Its line carries so many bits per second, in each direction."""
    burst = max(int(bits / 8 * _BURST_SECONDS), _SMALLEST_BURST)
    limit = ["root", "tbf", "rate", f"{bits}bit", "burst", str(burst), "latency", "100ms"]
    ends = (["tc", "qdisc", "{}", "dev", host.link], host.enter("tc", "qdisc", "{}", "dev", "eth0"))
    try:
        for command in ends:
            await _do(host, [word.format("replace") for word in command] + limit)
        yield
    finally:
        with anyio.CancelScope(shield=True):
            for command in ends:
                await _do(host, [word.format("delete") for word in command] + ["root"], check=False)


@asynccontextmanager
async def frozen(host: Host, program: str | None = None) -> AsyncGenerator[None]:
    """Its processes stand still (SIGSTOP), those of one program or all; the kernel goes on to take what is sent."""
    stopped: set[int] = set()
    try:
        while more := host.processes(program).keys() - stopped:  # one that ran may have started another meanwhile
            for pid in more:
                await host.signal(pid, signal.SIGSTOP)
            stopped |= more
        yield
    finally:
        for pid in stopped:
            await host.signal(pid, signal.SIGCONT)


@asynccontextmanager
async def full_disk(host: Host) -> AsyncGenerator[None]:
    """No byte is free where buildkitd keeps its files. Only on a host that was made with a size of disk.

    Raises:
        LabError: its disk is this machine's.
    """
    if not host.limited_disk:
        raise LabError(f"{host.name} has this machine's disk", hint="start it with `disk=...`")
    ballast = host.root / "run" / "lab" / "host" / "buildkit" / "ballast"
    try:
        await anyio.to_thread.run_sync(_fill, ballast)
        yield
    finally:
        ballast.unlink(missing_ok=True)


async def lose(host: Host) -> None:
    """Pull the plug: all of its processes end at once, its link goes, and nothing of its memory is written."""
    await end(host.init, grace=0)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while free := os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_frsize:
            with suppress(OSError):  # the daemon took a part of it in between
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)


async def _filter(host: Host, verb: str, chain: str) -> None:
    program = await iptables(Layout(root=host.folder.parents[1]))
    command = host.enter_network(str(program), "-w", verb, chain, "--jump", "DROP")
    await _do(host, command, check=verb != "--delete")


async def _do(host: Host, command: list[str], *, check: bool = True) -> None:
    if check:
        await tools.run(command, doing=f"a fault of {host.name}", hint="install iproute2", env=ENVIRONMENT)
    else:  # what is not there, or a host that is lost meanwhile
        await anyio.run_process(command, check=False, env=ENVIRONMENT)
