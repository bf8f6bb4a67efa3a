"""Bringing the lab up and down: one at a time, each step skipped when its result is there."""

import fcntl
import os
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio

from tests.lab import bases, ceph, daemons, engines, hosts, roots, tools
from tests.lab.errors import LabError
from tests.lab.mounts import delete, unmount
from tests.lab.state import NEWER, Lab, Layout, lab_of

_LONGEST_SOCKET = 107
"""Bytes of a unix socket's path: sun_path of unix(7) without its final zero."""


@contextmanager
def locked(place: Layout, say: Callable[[str], None]) -> Generator[None]:
    """Hold the lab's lock. Waits for another `up` or `down` in the calling thread, so that Ctrl-C ends the wait."""
    place.root.mkdir(parents=True, exist_ok=True)
    with (place.root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another command that holds the lab's lock")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def up(
    place: Layout,
    *,
    builder: bool,
    images: bool,
    peers: bool,
    installed: bool,
    say: Callable[[str], None],
    docker: bool = False,
    builder_hosts: int = 0,
    more_images: Collection[str] = (),
) -> Lab:
    """Bring up registry and buildkitd with the tools they need, and fill the registry with base images.

    Args:
        place: the state directory; the caller holds its lock.
        builder: whether buildkitd is wanted; the registry always is.
        images: whether base images are wanted; those of `bases.COMMON`.
        peers: also get the programs that benchmarks compare with.
        installed: whether Debian's programs may be those of the machine.
        say: receives one line per thing done.
        docker: whether both Docker Engines, and the program of the oldest buildkitd, are wanted, too.
        builder_hosts: how many hosts with sshd and buildkitd are wanted, too.
        more_images: repositories of more base images.

    Raises:
        LabError: a part cannot be had or does not come up.
    """
    _check(place)
    await delete(place.work)
    wanted = {*bases.COMMON, *more_images}
    for folder in ("work", "run", "log", "tmp", "bin", "registry", "buildkit"):
        (place.root / folder).mkdir(mode=0o700, exist_ok=True)
    registry, runc = await _programs(place, installed=installed)
    async with anyio.create_task_group() as tasks:
        if builder or builder_hosts:
            tasks.start_soon(tools.buildkit, place, say)
        if images and not place.read():  # a compiler's wait is well spent on downloads
            tasks.start_soon(partial(bases.download, place, installed=installed, say=say, wanted=wanted))
    lab = lab_of(place, await daemons.start(place, registry=registry, runc=runc, builder=builder, say=say))
    async with anyio.create_task_group() as tasks:  # images wait for downloads, programs for a compiler
        tasks.start_soon(partial(_more_daemons, place, peers=peers, docker=docker, say=say))
        if images:
            tasks.start_soon(partial(bases.ensure, lab, place, installed=installed, say=say, wanted=wanted))
    if builder_hosts:
        await hosts.start(place, builder_hosts, say=say)
    await roots.sweep(lab.roots)
    await delete(place.work)
    return lab


async def _more_daemons(place: Layout, *, peers: bool, docker: bool, say: Callable[[str], None]) -> None:
    if peers:
        await tools.debian_package(place, "docker-buildx", suite=NEWER)
    if docker:
        await tools.buildkit_oldest(place, say)
        await engines.start(place, say=say)


async def _programs(place: Layout, *, installed: bool) -> tuple[Path, Path]:
    registry = await tools.debian_program(place, "docker-registry", "usr/bin/docker-registry", installed=installed)
    return registry, await tools.debian_program(place, "runc", "usr/sbin/runc", installed=installed)


async def down(place: Layout, *, everything: bool, say: Callable[[str], None]) -> None:
    """End the daemons and unmount what they mounted.

    Args:
        place: the state directory; the caller holds its lock.
        everything: also delete the state directory: images, compiled programs, caches.
        say: receives one line per thing done.

    Raises:
        LabError: something stays mounted; nothing is deleted then.
    """
    record = place.read()
    if record is not None:
        await daemons.end_containers(record.runc, place.root / "runc" / "apps")
        await delete(place.root / "containers")
    if ended := await hosts.clean(place, delete=everything):
        say(f"ended {ended} hosts")
    if await ceph.clean(place):
        say("ended Ceph, and deleted what was in it")
    for name in await daemons.stop(place):
        say(f"ended {name}")
    if record is not None:
        await engines.clean(place, record.runc)
    await unmount(place.root)
    if everything:
        await delete(place.root)
        say(f"deleted {place.root}")


def _check(place: Layout) -> None:
    if os.geteuid() != 0:
        raise LabError(
            "the lab runs buildkitd and runc with root's rights, and this is not root",
            hint="run it as root, or name a running buildkitd with $BUILDKIT_HOST",
        )
    longest = place.engine_socket("containerd")
    if len(os.fsencode(longest)) > _LONGEST_SOCKET:
        raise LabError(
            f"{longest} is longer than a unix socket's path may be ({_LONGEST_SOCKET} bytes)",
            hint="name a shorter directory with $FLEETPACKS_LAB",
        )
