"""The kernel's counters around one run, and how long an fsync takes beside it.

The fsync is one of 4 KiB in a file on the storage itself, at most twice a second and never for more than a twentieth of
the time, so that it tells of what the run meets without being what it meets. What a run has left in memory is written
out when it is over (`settle`): the device's count is whole then, and the next run does not pay for this one.
"""

import ctypes
import os
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
from anyio import to_thread

from orchestrator.bench.ground import counters
from orchestrator.bench.model import Ground

_PAUSE = 0.5
_TIMES = 20
"""As long as an fsync took, there is none."""
_BLOCK = b"\xa5" * 4096
_TICKS = os.sysconf("SC_CLK_TCK")


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """The counters at one moment."""

    own: float
    """Our own processor seconds."""
    ticks: counters.Ticks | None
    written: int | None
    device: int | None


class Meter:
    """Reads what the kernel counts when a run begins, and when it has ended."""

    def __init__(self, ground: Ground, tree: Callable[[], int | None], tasks: anyio.abc.TaskGroup) -> None:
        self._ground = ground
        self._tree = tree
        self._tasks = tasks
        self._scope: anyio.CancelScope | None = None
        self._fsyncs: list[float] = []
        self._before: _Look | None = None

    def start(self) -> None:
        """A run begins now."""
        self._scope, self._fsyncs = anyio.CancelScope(), []
        self._tasks.start_soon(_beside, self._ground.files / "fsync", self._scope, self._fsyncs)
        written, device = _written(self._tree()), _device(self._ground)
        self._before = _Look(own=time.process_time(), ticks=_ticks(), written=written, device=device)

    async def stop(self) -> Mapping[str, float]:
        """It has ended, and all that it has written goes to the storage now.

        Returns:
            The facts of `result.Sample` that are known, and `settle`: for how many seconds of it was being written
            after its end.

        Raises:
            RuntimeError: none has begun.
        """
        if self._before is None or self._scope is None:
            raise RuntimeError("no run has begun")
        before, self._before = self._before, None
        self._scope.cancel()
        passed, own = _ticks(), time.process_time()
        written = _written(self._tree())
        settled = await _settled(self._ground)
        after = _Look(own=own, ticks=passed, written=written, device=_device(self._ground))
        facts = _between(before, after)
        if self._fsyncs:
            facts["fsync"] = statistics.median(self._fsyncs)
        return {**facts, "settle": settled}


@asynccontextmanager
async def metered(ground: Ground, *, tree: Callable[[], int | None] = lambda: None) -> AsyncGenerator[Meter]:
    """A meter for runs on a ground, one after the other, as long as the block lasts.

    Args:
        ground: where they run.
        tree: asked when a run begins and ends: the number of the process whose descendants do the run's writing (a
            daemon's keeper). None: who writes is not known, and `written` no fact.
    """
    failures: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        try:
            yield Meter(ground, tree, tasks)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is to come out as it is, and not in a group
            failures.append(error)
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


def _between(before: _Look, after: _Look) -> dict[str, float]:
    facts = {"harness-cpu": after.own - before.own}
    if before.ticks is not None and after.ticks is not None:
        facts["cpu"] = (after.ticks.busy - before.ticks.busy) / _TICKS
        waited = counters.waited(before.ticks, after.ticks)
        if waited is not None:
            facts["iowait"] = waited
    if before.written is not None and after.written is not None:
        facts["written"] = max(0, after.written - before.written)
    if before.device is not None and after.device is not None:
        facts["device-written"] = max(0, after.device - before.device)
    if facts.get("written") and "device-written" in facts:
        facts["amplification"] = facts["device-written"] / facts["written"]
    return facts


async def _beside(file: Path, scope: anyio.CancelScope, found: list[float]) -> None:
    # A full disk makes the measured run fail, and tells of it there.
    with scope, suppress(OSError):
        while True:
            found.append(await to_thread.run_sync(_fsync, file))
            await anyio.sleep(max(_PAUSE, _TIMES * found[-1]))


def _fsync(file: Path) -> float:
    """The seconds that one takes."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, _BLOCK, 0)
        began = time.perf_counter()
        os.fsync(handle)
        return time.perf_counter() - began
    finally:
        os.close(handle)


async def _settled(ground: Ground) -> float:
    """Have all of both file systems written, the inner one first; returns for how long it took."""
    began = time.perf_counter()
    for directory in dict.fromkeys((ground.path, ground.files)):
        await to_thread.run_sync(sync, directory)
    return time.perf_counter() - began


def sync(directory: Path) -> None:
    """Have all of a directory's file system written."""
    # Its own: a machine-wide sync() would wait for the other storages, too.
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            ctypes.CDLL(None).syncfs(handle)
        finally:
            os.close(handle)


def _ticks() -> counters.Ticks | None:
    return counters.ticks(_text("/proc/stat"))


def _device(ground: Ground) -> int | None:
    return counters.device_written(_text("/proc/diskstats"), ground.device) if ground.device else None


def _written(root: int | None) -> int | None:
    """What a process and all below it have written; those that end meanwhile have handed it over, or will."""
    if root is None:
        return None
    parents: dict[int, int] = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (above := counters.parent(_text(f"/proc/{entry.name}/stat"))) is not None:
                parents[int(entry.name)] = above
    return sum(counters.written(_text(f"/proc/{pid}/io")) for pid in counters.descendants(parents, root))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
