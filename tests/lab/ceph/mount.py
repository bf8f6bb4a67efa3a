"""CephFS on this machine: ceph-fuse, and the way back, also when nobody answers any more."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from tests.lab.ceph.asok import ask
from tests.lab.ceph.programs import Programs
from tests.lab.ceph.record import CLIENT, configuration, folder_of, is_mounted, mount_of
from tests.lab.daemons import answers
from tests.lab.errors import LabError
from tests.lab.mounts import mounted_from, unmount
from tests.lab.process import Daemon, end, spawn
from tests.lab.state import Layout

LOG = f"ceph-{CLIENT}"
_PATIENCE = 20.0
"""Seconds in which a client may write what it holds before it is killed."""
_PATIENCE_OF_LOOPS = 5.0
"""Seconds in which the kernel detaches a loop device that nobody uses."""


class _Session(msgspec.Struct, frozen=True):
    """One of the answers to `session ls`."""

    id: int


async def evict(place: Layout) -> None:
    """Make the metadata server forget clients that were killed: it would keep files for them for a minute."""
    socket = folder_of(place) / "run" / "mds.a.asok"
    try:
        sessions = msgspec.json.decode(await ask(socket, "session ls") or b"[]", type=tuple[_Session, ...])
    except msgspec.DecodeError:
        return
    for session in sessions:
        await ask(socket, "session evict", client_id=str(session.id))


def mount(place: Layout, programs: Programs) -> Daemon:
    """Start the client; `is_there` says when it has mounted CephFS."""
    words = [programs["ceph-fuse"], "-f", "--name", "client.admin", "--conf", str(configuration(place))]
    return spawn([*words, str(mount_of(place))], log=place.log(LOG), environment=programs.environment)


async def is_there(place: Layout, client: Daemon) -> None:
    """Wait until CephFS answers on this machine.

    Raises:
        LabError: it does not.
    """
    # Asked by a process of its own: it may wait for as long as the cluster wants.
    question = ["stat", "--file-system", str(mount_of(place))]

    async def answered() -> bool:
        return is_mounted(place) and (await anyio.run_process(question, check=False)).returncode == 0

    await answers(place, LOG, client, answered)


async def leave(place: Layout, client: Daemon | None, *, answering: bool) -> None:
    """Detach the loop devices on CephFS, with what is mounted from them, and unmount it.

    Args:
        place: the state directory.
        client: what carries the mount.
        answering: whether the cluster runs. When it does not, nothing that was not written yet can be: the client is
            killed first, and whoever waits for it gets an error instead of waiting on.

    Raises:
        LabError: something is in use; CephFS and its client are as they were.
    """
    problem: LabError | None = None
    if client is not None and not answering:
        await end(client, grace=0)
    async with anyio.create_task_group() as tasks:
        if client is not None:
            tasks.start_soon(_kill_later, client)
        try:
            await _detach(mount_of(place))
            await unmount(mount_of(place))
        except LabError as error:
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:  # the group would wrap it
        raise problem
    if client is not None:
        await end(client, grace=_PATIENCE)


async def _kill_later(client: Daemon) -> None:
    await anyio.sleep(_PATIENCE)
    await end(client, grace=0)


async def _detach(below: Path) -> None:
    for device in loop_devices(below):
        for point in mounted_from(device):
            await unmount(point)
        # One that `mount` made for itself goes with its mount.
        await anyio.run_process(["losetup", "--detach", device], check=False)
    with anyio.move_on_after(_PATIENCE_OF_LOOPS):
        while loop_devices(below):  # noqa: ASYNC110 -- no event of ours: the kernel detaches it
            await anyio.sleep(0.02)
    if left := loop_devices(below):
        raise LabError(
            f"{left[0]} is in use, and its file lies on the lab's CephFS",
            hint=f"end what uses it (`fuser -v {left[0]}`), then run this again; nothing was deleted",
        )


def loop_devices(below: Path, *, sysfs: Path = Path("/sys/block")) -> Sequence[str]:
    """The loop devices whose files are below a directory."""
    found: list[str] = []
    for file in sorted(sysfs.glob("loop*/loop/backing_file")):
        try:
            backing = file.read_text(encoding="utf-8").rstrip("\n").removesuffix(" (deleted)")
        except OSError:  # detached while we looked
            continue
        if Path(backing).is_relative_to(below):
            found.append(f"/dev/{file.parents[1].name}")
    return found
