"""Bringing the cluster up, changing it while it runs, and taking it down, from whatever state it is in."""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import msgspec

from tests.lab.ceph import daemons, mount, network, settings
from tests.lab.ceph.programs import Programs
from tests.lab.ceph.programs import programs as get_programs
from tests.lab.ceph.record import (
    CLIENT,
    Ceph,
    Record,
    configuration,
    current,
    folder_of,
    is_mounted,
    known,
    of,
    read,
    write,
)
from tests.lab.ceph.shape import Shape
from tests.lab.errors import LabError
from tests.lab.mounts import delete, unmount
from tests.lab.process import end, strays
from tests.lab.state import Layout, layout

_LEAST_FREE = 6 << 30
"""Bytes: what a cluster on which a few images are built takes of the disk."""


async def start(
    place: Layout, *, rate: int | None = None, delay: int | None = None, say: Callable[[str], None]
) -> Ceph:
    """Bring the cluster up where it is not, mend what of it has ended, and give it its shape.

    Args:
        place: the state directory; the caller holds its lock.
        rate: bits per second of its link in each direction, 0 for no limit; None leaves it as it is.
        delay: microseconds that its OSD waits before each operation; None leaves it as it is.
        say: receives one line per thing done.

    Raises:
        LabError: something of it cannot be had or does not come up.
    """
    started = time.monotonic()
    programs = await get_programs(place, say=say)
    if read(place) is None:
        await _make(place, programs)
    found = current(place)
    if found is None or not network.is_whole(place):
        await _mend(place, programs, say=say)
        say(f"CephFS is mounted on {folder_of(place) / 'mnt'}, after {time.monotonic() - started:.1f} s")
    return await reshape(place, rate=rate, delay=delay)


async def reshape(place: Layout | None = None, *, rate: int | None = None, delay: int | None = None) -> Ceph:
    """Change how slow a running cluster is, at once, and for as long as it is not changed again.

    Args:
        place: the state directory; usually that of the environment.
        rate: bits per second of its link in each direction, 0 for no limit; None leaves it as it is.
        delay: microseconds that its OSD waits before each operation, 0 for none; None leaves it as it is.

    Raises:
        LabError: the cluster does not run, or does not take it.
    """
    place = place or layout()
    hint = "run `python -m tests.lab up --ceph`"
    if current(place) is None:
        raise LabError("Ceph does not run, or not all of it", hint=hint)
    record = of(place)
    shape = Shape(
        rate=record.shape.rate if rate is None else rate, delay=record.shape.delay if delay is None else delay
    )
    # First written down: what is killed in between is done by the next one.
    if shape != record.shape:
        write(folder_of(place), msgspec.structs.replace(record, shape=shape))
    await network.limit(place, shape.rate)
    if not await daemons.delay(place, shape.delay):
        raise LabError("Ceph's OSD does not take its delay", hint=f"its log is {place.log('ceph-osd.0')}; {hint}")
    found = known(place)
    assert found is not None
    return found


async def clean(place: Layout) -> bool:
    """End the cluster and delete it, with all that was written to it; whether there was one.

    Raises:
        LabError: something uses a file on it; it goes on then.
    """
    folder, trash = folder_of(place), place.root / "ceph-trash"
    await delete(trash)
    if not folder.exists():
        return False
    record = read(place)
    client = record.daemons.get(CLIENT) if record is not None else None
    await mount.leave(place, client, answering=current(place) is not None)
    await _end_all(place)
    await network.remove(place)
    await unmount(folder)
    # In one step: whoever is killed now leaves no half of a cluster that the next one takes for a whole.
    folder.rename(trash)
    await delete(trash)
    return True


async def _make(place: Layout, programs: Programs) -> None:
    await clean(place)  # of another version of the lab
    free = shutil.disk_usage(place.root).free
    if free < _LEAST_FREE:
        raise LabError(
            f"{place.root} has {free / 2**30:.1f} GiB free, and Ceph wants {_LEAST_FREE >> 30} at least",
            hint="make room, or name another directory with $FLEETPACKS_LAB",
        )
    record = Record(fsid=str(uuid.uuid4()), osd=str(uuid.uuid4()), prefix=await network.choose(place))
    place.work.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="ceph-", dir=place.work))
    settings.write(fresh, final=folder_of(place), record=record, programs=programs)
    write(fresh, record)
    await anyio.Path(fresh).rename(folder_of(place))


async def _mend(place: Layout, programs: Programs, *, say: Callable[[str], None]) -> None:
    """Bring up what does not run, in the order in which one needs the other."""
    if not network.is_whole(place):
        await mount.leave(place, of(place).daemons.get(CLIENT), answering=False)
        await _end_all(place)
        await network.make(place, of(place))
    alive = [daemon for daemon in of(place).daemons.values() if daemon.alive()]
    for stray in strays(place.root, known=alive, files=[_mark(place)]):
        await end(stray, grace=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(daemons.disk, place, programs)
        await daemons.monitor(place, programs, say=say)
        if not of(place).finished:
            await daemons.introduce(place)
    async with anyio.create_task_group() as tasks:
        daemons.manager(place, programs, say=say)
        tasks.start_soon(partial(daemons.osd, place, programs, say=say))
        tasks.start_soon(partial(daemons.metadata, place, programs, say=say))
    await _mount(place, programs)
    record = of(place)
    if not record.finished:
        write(folder_of(place), msgspec.structs.replace(record, finished=True))


async def _mount(place: Layout, programs: Programs) -> None:
    client = of(place).daemons.get(CLIENT)
    if client is not None and client.alive() and is_mounted(place):
        return
    await mount.leave(place, client, answering=True)  # unmounted a moment ago, it may still have something to write
    await mount.evict(place)
    client = mount.mount(place, programs)
    daemons.remember(place, CLIENT, client)
    await mount.is_there(place, client)


async def _end_all(place: Layout) -> None:
    """End every process of the cluster at once: what it has not written is deleted, or in its journals."""
    async with anyio.create_task_group() as tasks:
        for daemon in strays(place.root, files=[_mark(place)]):
            tasks.start_soon(partial(end, daemon, grace=0))


def _mark(place: Layout) -> str:
    return str(configuration(place).relative_to(place.root))
