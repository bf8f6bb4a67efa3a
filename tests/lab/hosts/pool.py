"""All hosts of a lab: those that `up` makes for everybody, and those that a test makes for itself.

A test's host belongs to the process that made it, which is written down first. Whoever starts or ends hosts next
removes those whose owner is gone: a killed test leaves nothing for long. Numbers are given out under a lock.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from tests.lab.errors import LabError
from tests.lab.hosts import cgroups, client, machine, network, settings
from tests.lab.hosts.host import Host
from tests.lab.process import Daemon, identify
from tests.lab.state import Layout, layout

_SHARED = range(1, 100)
_OWN = range(100, 250)
"""Numbers of hosts, and so of addresses: of those that everybody shares, and of those that a test has for itself."""


async def start(
    place: Layout, count: int, *, say: Callable[[str], None], cpus: float | None = None
) -> tuple[Host, ...]:
    """Start the hosts that everybody shares where they do not run. More that run stay.

    Args:
        place: the state directory, of a lab that was up.
        count: how many there shall be.
        say: receives one line per thing done.
        cpus: how much of the processors each may use.

    Raises:
        LabError: one of them does not come up.
    """
    if count > len(_SHARED):
        raise LabError(f"{count} hosts are too many", hint=f"ask for {len(_SHARED)} at most")
    async with _locked(place):
        net = await _prepare(place, say=say)
        async with anyio.create_task_group() as tasks:
            for number in _SHARED[:count]:
                tasks.start_soon(partial(_ensure, place, net, number, say=say, cpus=cpus))
    return running(place)


def running(place: Layout) -> tuple[Host, ...]:
    """The hosts that everybody shares, those of them that run."""
    net = network.known(place)
    found = [machine.load(place, net, number) for number in _SHARED] if net else []
    return tuple(host for host in found if host is not None and machine.is_up(host))


@asynccontextmanager
async def started(*, cpus: float | None = None, disk: str = "", place: Layout | None = None) -> AsyncGenerator[Host]:
    """A host of one's own, which may be broken in any way; nothing of it is left on leaving.

    Args:
        cpus: how much of the processors it may use, build steps too.
        disk: size of buildkitd's root, e.g. `300m`, which is in memory then; without it the machine's disk.
        place: the state directory, of a lab that was up; usually that of the environment.

    Raises:
        LabError: it does not come up.
    """
    place = place or layout()
    async with _locked(place):
        net = await _prepare(place, say=lambda _: None)
        number = _allocate(place)
    try:
        yield await machine.boot(place, net, number, cpus=cpus, disk=disk)
    finally:
        with anyio.CancelScope(shield=True):
            await _remove(place, net, number)


async def clean(place: Layout, *, delete: bool = False) -> int:
    """End all hosts and their network. The roots of shared hosts stay for the next `start`.

    Args:
        place: the state directory.
        delete: whether these are deleted, too.

    Returns:
        How many there were.

    Raises:
        LabError: something of them stays.
    """
    net = network.known(place)
    if net is None:
        return 0
    ended = 0
    async with _locked(place):
        for number in _numbers(place):
            host = machine.load(place, net, number)
            ended += host is not None and host.init.alive()
            if delete or number in _OWN:
                await _remove(place, net, number)
            else:
                await machine.halt(place, net, number, gently=True)
        await network.remove(place)
        await _sweep(place)
    return ended


async def _prepare(place: Layout, *, say: Callable[[str], None]) -> network.Network:
    """What all hosts share. The caller holds the lock."""
    await machine.programs(place)
    await _sweep(place)
    client.ensure_key(client.key(place))
    return await network.ensure(place, say=say)


async def _ensure(
    place: Layout, net: network.Network, number: int, *, say: Callable[[str], None], cpus: float | None
) -> None:
    host = machine.load(place, net, number)
    if host is not None and machine.is_up(host) and settings.is_current(place, net, number):
        programs = set(host.processes().values())
        if "sshd" not in programs:
            await machine.start_sshd(place, host)
        if "buildkitd" not in programs:
            await machine.start_buildkitd(place, host)
        if cpus is not None:
            cgroups.limit(host.cgroup, cpus)
        return
    await machine.halt(place, net, number, gently=True)
    settings.folder_of(place, number).mkdir(exist_ok=True)
    host = await machine.boot(place, net, number, cpus=cpus)
    say(f"started {host.name}: ssh -F {host.client / 'config'} {host.name}")


def _allocate(place: Layout) -> int:
    taken = _numbers(place)
    for number in _OWN:
        if number not in taken:
            owner = identify(os.getpid())
            assert owner is not None
            folder = settings.folder_of(place, number)
            folder.mkdir()
            (folder / "owner.json").write_bytes(msgspec.json.encode(owner))
            return number
    raise LabError(f"there are {len(_OWN)} hosts of tests already", hint="`python -m tests.lab down` ends all of them")


async def _sweep(place: Layout) -> None:
    """Remove the hosts of tests whose process is gone, and what a removal left that was killed."""
    net = network.known(place)
    for number in _numbers(place):
        if net is not None and number in _OWN and not _owned(place, number):
            await _remove(place, net, number)
    for trash in (place.root / "hosts").glob("trash-*"):
        await anyio.to_thread.run_sync(partial(shutil.rmtree, trash, ignore_errors=True))


async def _remove(place: Layout, net: network.Network, number: int) -> None:
    await machine.halt(place, net, number, gently=False)
    # In one step: the number is free, and nobody takes a half of it for a host.
    trash = Path(tempfile.mkdtemp(prefix="trash-", dir=place.root / "hosts"))
    with suppress(FileNotFoundError):  # `down` was faster
        settings.folder_of(place, number).rename(trash / "host")
    await anyio.to_thread.run_sync(partial(shutil.rmtree, trash, ignore_errors=True))


def _owned(place: Layout, number: int) -> bool:
    try:
        owner = msgspec.json.decode((settings.folder_of(place, number) / "owner.json").read_bytes(), type=Daemon)
    except (FileNotFoundError, msgspec.DecodeError):  # its owner was killed here
        return False
    return owner.alive()


def _numbers(place: Layout) -> tuple[int, ...]:
    return tuple(int(entry.name) for entry in (place.root / "hosts").iterdir() if entry.name.isdigit())


@asynccontextmanager
async def _locked(place: Layout) -> AsyncGenerator[None]:
    folder = place.root / "hosts"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # A thread beside the usual ones: who has the lock needs some of these.
        await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_EX, limiter=anyio.CapacityLimiter(1))
        yield
