"""The cluster's daemons: what each is made of, its start, and the moment at which it works.

A daemon's data are made beside their place and renamed into it, so that a start that was killed is begun again and
never continued with a half. What the daemons say of themselves, through their admin sockets, is what is waited for.
"""

from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from tests.lab import tools
from tests.lab.ceph import network
from tests.lab.ceph.asok import ask
from tests.lab.ceph.programs import Programs
from tests.lab.ceph.record import configuration, folder_of, of, write
from tests.lab.ceph.settings import FIRST_KEYS
from tests.lab.daemons import answers
from tests.lab.mounts import delete
from tests.lab.process import Daemon, spawn
from tests.lab.state import Layout

_POOLS = (("cephfs_metadata", 8), ("cephfs_data", 16))
"""With their numbers of placement groups."""
_INJECTED = 2
"""Places at which Ceph's OSD lets an operation wait for the same time: when it arrives, and when its turn comes."""


class _State(msgspec.Struct, frozen=True):
    """What a daemon says of itself."""

    state: str = ""


async def monitor(place: Layout, programs: Programs, *, say: Callable[[str], None]) -> None:
    """Make the monitor's data where there are none, start it where it does not run, wait until it leads.

    Raises:
        LabError: it does not.
    """
    data = folder_of(place) / "mon"
    if not data.exists():
        record, fresh = of(place), await _fresh(data)
        addresses = f"[v2:{record.address}:3300,v1:{record.address}:6789]"
        words = ["--create", "--clobber", "--fsid", record.fsid, "--addv", "a", addresses]
        chart = folder_of(place) / "monmap"
        await _do(place, programs, "monmaptool", *words, str(chart))
        keys = folder_of(place) / "keys" / FIRST_KEYS
        words = ["--mkfs", "--id", "a", "--mon-data", str(fresh), "--monmap", str(chart), "--keyring", str(keys)]
        await _do(place, programs, "ceph-mon", *words, "--conf", str(configuration(place)))
        fresh.rename(data)
    daemon = _start(place, programs, "mon.a", say=say)
    await _reaches(place, "mon.a", daemon, "mon_status", "leader")


def manager(place: Layout, programs: Programs, *, say: Callable[[str], None]) -> None:
    """Start the manager where it does not run. Nobody waits for it: it collects statistics."""
    _start(place, programs, "mgr.a", say=say)


async def disk(place: Layout, programs: Programs) -> None:
    """Make the OSD's data where there are none.

    Raises:
        LabError: they cannot be made.
    """
    data = folder_of(place) / "osd"
    if data.exists():
        return
    record, fresh = of(place), await _fresh(data)
    words = ["--mkfs", "--no-mon-config", "--id", "0", "--osd-uuid", record.osd, "--osd-data", str(fresh)]
    await _do(place, programs, "ceph-osd", *words, "--conf", str(configuration(place)))
    fresh.rename(data)


async def introduce(place: Layout) -> None:
    """Tell the monitor of the OSD and of the file system. What it knows already it says so.

    Raises:
        LabError: it refuses.
    """
    await _tell(place, "osd", "new", of(place).osd, "0")
    for name, groups in _POOLS:
        await _tell(place, "osd", "pool", "create", name, str(groups), str(groups))
    await _tell(place, "fs", "new", "cephfs", *(name for name, _ in _POOLS))


async def osd(place: Layout, programs: Programs, *, say: Callable[[str], None]) -> None:
    """Start the OSD where it does not run, and wait until it takes part.

    Raises:
        LabError: it does not.
    """
    daemon = _start(place, programs, "osd.0", say=say)
    await _reaches(place, "osd.0", daemon, "status", "active")


async def metadata(place: Layout, programs: Programs, *, say: Callable[[str], None]) -> None:
    """Start the metadata server where it does not run, and wait until it serves.

    Raises:
        LabError: it does not.
    """
    daemon = _start(place, programs, "mds.a", say=say)
    await _reaches(place, "mds.a", daemon, "status", "up:active")


async def delay(place: Layout, microseconds: int) -> bool:
    """Let the OSD wait before it works on an operation; whether it does so."""
    socket = _socket(place, "osd.0")
    wanted = {
        "probability": "1" if microseconds else "0",
        "duration": f"{microseconds / 1_000_000 / _INJECTED:.9f}",
    }
    said = [
        await ask(socket, "config set", var=f"osd_debug_inject_dispatch_delay_{name}", val=[value])
        for name, value in wanted.items()
    ]
    return all(answer is not None and b'"success"' in answer for answer in said)


def remember(place: Layout, name: str, daemon: Daemon) -> None:
    """Write down who has been started."""
    record = of(place)
    daemons = {**record.daemons, name: daemon}
    write(folder_of(place), msgspec.structs.replace(record, daemons=daemons))


def _start(place: Layout, programs: Programs, name: str, *, say: Callable[[str], None]) -> Daemon:
    before = of(place).daemons.get(name)
    if before is not None and before.alive():
        return before
    kind, _, number = name.partition(".")
    say(f"starting ceph-{kind}, log in {place.log(f'ceph-{name}')}")
    _socket(place, name).unlink(missing_ok=True)
    words = [programs[f"ceph-{kind}"], "-f", "--id", number, "--conf", str(configuration(place))]
    program, *arguments = network.enter(place, *words)
    command = [str(tools.installed_program(program) or program), *arguments]
    daemon = spawn(command, log=place.log(f"ceph-{name}"), environment=programs.environment)
    remember(place, name, daemon)
    return daemon


async def _reaches(place: Layout, name: str, daemon: Daemon, question: str, state: str) -> None:
    async def reached() -> bool:
        answer = await ask(_socket(place, name), question)
        try:
            return answer is not None and msgspec.json.decode(answer, type=_State).state == state
        except msgspec.DecodeError:  # not yet: what it says before is no JSON
            return False

    await answers(place, f"ceph-{name}", daemon, reached)


def _socket(place: Layout, name: str) -> Path:
    return folder_of(place) / "run" / f"{name}.asok"


async def _fresh(data: Path) -> Path:
    fresh = data.with_name(f"{data.name}.new")
    await delete(fresh)
    await anyio.Path(fresh).mkdir()
    return fresh


async def _do(place: Layout, programs: Programs, name: str, *words: str) -> None:
    await tools.run(
        network.enter(place, programs[name], *words),
        doing=f"making Ceph's data with {name}",
        hint="look whether the disk is full; `python -m tests.lab down` deletes what was made",
        env=programs.environment,
    )


async def _tell(place: Layout, *words: str) -> None:
    await tools.run(
        [folder_of(place) / "ceph", *words],
        doing=f"telling Ceph's monitor: {' '.join(words)}",
        hint=f"the monitor's log is {place.log('ceph-mon.a')}",
    )
