"""When a machine and a daemon are at rest, so that nothing is charged to whoever comes next.

Three seconds after a build buildkitd records its trace (solver/llbsolver/solver.go, `recordBuildHistory`, v0.30.0). For
`bake`, whose targets share one trace, that costs it some six CPU seconds when there are 40.
"""

import os
import socket
import struct
from pathlib import Path

import anyio

from orchestrator.bench.result import load

MOST_LOAD = 1.0
"""Of the machine, when a pair begins that counts."""
_PATIENCE_SECONDS = 300
_UNTIL_TRACE_SECONDS = 3.5
_TRACE_SECONDS = 900
_AT_REST = 0.05
"""CPU seconds of a second."""


async def quiet() -> float:
    """Wait for a quiet machine, though not for ever, and return its load."""
    with anyio.move_on_after(_PATIENCE_SECONDS):
        while load() > MOST_LOAD:  # noqa: ASYNC110 -- the kernel tells no one when its load falls
            await anyio.sleep(1)
    return load()


async def at_rest(daemon: Path) -> None:
    """Wait until a daemon has done what the last build left it to do."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(daemon))
        pid, _, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    await anyio.sleep(_UNTIL_TRACE_SECONDS)
    with anyio.fail_after(_TRACE_SECONDS):
        before = _cpu_seconds(pid)
        while True:
            await anyio.sleep(1)
            after = _cpu_seconds(pid)
            if after - before < _AT_REST:
                return
            before = after


def spent(pid: int) -> float:
    """Processor seconds of a process and of what it started and has waited for, as a daemon does with its steps."""
    return sum(_ticks(pid)) / os.sysconf("SC_CLK_TCK")


def _cpu_seconds(pid: int) -> float:
    return sum(_ticks(pid)[:2]) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> tuple[int, ...]:
    """`utime`, `stime`, `cutime` and `cstime` of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return tuple(map(int, fields[11:15]))
