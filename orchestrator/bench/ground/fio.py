"""fio's part: which jobs are run, and what their answers mean. Pure.

Each job does what `steps` does, as far as fio can: 4 KiB written at random places with an fsync each; 1 MiB at a time
with an fsync after 16; the same file read, without what the kernel remembers of it; files of 4 KiB, opened, written,
closed.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchestrator.bench.ground.shapes import FSYNC, MANY, READ, UNITS, WRITE, Scenario
from orchestrator.bench.ground.steps import BLOCK, SMALL, SPAN, SYNC_EVERY
from orchestrator.bench.model import Raw

_VERSION = re.compile(r"fio-([0-9][0-9.]{0,19})")
_JOBS: Mapping[Scenario, tuple[str, ...]] = {
    FSYNC: ("--rw=randwrite", f"--bs={SMALL}", f"--size={SPAN}", "--fsync=1", "--time_based"),
    WRITE: ("--rw=write", f"--bs={BLOCK}", f"--fsync={SYNC_EVERY}", "--time_based"),
    READ: ("--rw=read", f"--bs={BLOCK}", "--invalidate=1"),
    MANY: (
        "--rw=write",
        f"--bs={SMALL}",
        f"--filesize={SMALL}",
        "--openfiles=1",
        "--create_on_open=1",
        "--file_service_type=sequential",
    ),
}
_WRITES = frozenset({FSYNC, WRITE, MANY})


class _Side(msgspec.Struct, frozen=True):
    iops: float
    bw_bytes: float


class _Job(msgspec.Struct, frozen=True):
    error: int
    read: _Side
    write: _Side


class _Answer(msgspec.Struct, frozen=True):
    jobs: tuple[_Job, ...]


def version(said: bytes) -> str:
    """What `fio --version` says: `fio-3.33`; "" for anything else."""
    found = _VERSION.match(said.decode(errors="replace").strip())
    return f"fio {found[1]}" if found else ""


def command(program: str, scenario: Scenario, place: Path, *, seconds: float, size: int, files: int) -> list[str]:
    """The words of a job.

    Args:
        program: fio.
        scenario: what is measured.
        place: an empty directory; for `READ` the file that is read.
        seconds: for how long at most.
        size: bytes of the file that is written or read.
        files: how many small ones are written at most.
    """
    # A job of its own process would go on when fio is killed.
    words = [program, "--output-format=json", f"--name={scenario.removeprefix('raw/')}", "--ioengine=psync", "--thread"]
    words += [f"--runtime={max(1, round(seconds * 1000))}ms", "--fallocate=none", *_JOBS[scenario]]
    name = str(place).replace(":", "\\:")  # one alone divides names
    match scenario:
        case "raw/sequential-read":
            return [*words, f"--filename={name}", f"--size={size}"]
        case "raw/sequential-write":
            return [*words, f"--directory={name}", f"--size={size}"]
        case "raw/small-files":
            return [*words, f"--directory={name}", f"--nrfiles={files}"]
        case "raw/fsync":
            return [*words, f"--directory={name}"]


def figure(scenario: Scenario, said: bytes, *, by: str) -> Raw | None:
    """What a job's answer says; None when it is none, or says that the job has failed."""
    try:
        # Warnings may stand before it.
        job = msgspec.json.decode(said[max(0, said.find(b"{")) :], type=_Answer).jobs[0]
    except (msgspec.DecodeError, IndexError):
        return None
    side = job.write if scenario in _WRITES else job.read
    value = side.iops if UNITS[scenario] == "1/s" else side.bw_bytes
    return Raw(scenario=scenario, value=value, unit=UNITS[scenario], by=by) if not job.error and value > 0 else None
