"""A host's control groups v1: its share of the processors, for all of its processes together, build steps too.

buildkitd puts its steps below the group of its host in every hierarchy (`defaultCgroupParent`), so that the limit of
the group holds for them, and what a killed host leaves of groups is found by one name.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from tests.lab.errors import LabError

_PERIOD = 100_000
"""Microseconds in which a host may use its share of the processors."""
_CONTROLLERS = ("cpu", "cpuacct")
"""Those that a host's services are put in, too: for its limit, and for what it has used."""


def make(name: str) -> tuple[Path, ...]:
    """The groups of a name that services belong in, made where they are not there; none without control groups v1."""
    groups = tuple(hierarchy / name for hierarchy in _hierarchies(_CONTROLLERS))
    for group in groups:
        group.mkdir(exist_ok=True)
    return groups


def limit(name: str, cpus: float | None) -> None:
    """Say how much of the processors all processes of a group together may use; None is all.

    Raises:
        LabError: this machine has no cpu controller of control groups v1.
    """
    for hierarchy in _hierarchies(("cpu",)):
        quota = -1 if cpus is None else round(cpus * _PERIOD)
        (hierarchy / name / "cpu.cfs_period_us").write_text(str(_PERIOD), encoding="ascii")
        (hierarchy / name / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
        return
    raise LabError(
        "this machine has no cpu controller of control groups v1", hint="make hosts without a limit of processors"
    )


def used(name: str) -> float:
    """Seconds of processors that the processes of a group have used, those that ended, too."""
    (hierarchy,) = _hierarchies(("cpuacct",))
    return int((hierarchy / name / "cpuacct.usage").read_text(encoding="ascii")) / 1e9


async def remove(name: str) -> None:
    """Remove a name's groups with those in them; their processes have ended.

    Raises:
        LabError: one stays.
    """
    for hierarchy in _hierarchies():
        for folder in [anyio.Path(folder) for folder, _, _ in os.walk(hierarchy / name, topdown=False)]:
            with anyio.move_on_after(10) as patience:
                while await folder.exists():
                    with suppress(OSError):  # the kernel counts an ended process for a moment
                        await folder.rmdir()
                        break
                    await anyio.sleep(0.01)
            if patience.cancelled_caught:
                raise LabError(f"{folder} cannot be removed", hint=f"end what is in {folder}/cgroup.procs")


def _hierarchies(controllers: Sequence[str] = ()) -> tuple[Path, ...]:
    """Where control groups v1 with some controllers are mounted; without a name all, and that of v2 beside them."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"} and (not controllers or set(controllers) & set(options.split(","))):
            found.append(Path(before.split()[4]))
    return tuple(found)
