"""A session answers the daemon's health checks while it moves files: nothing holds the event loop.

What is measured is the processor time that the loop's own thread takes between two turns of a task that does nothing.
It does not depend on what else the machine does, and a file that is read or hashed on the loop shows in it at once.
Python's collector is not to look at what thousands of other tests have left.
"""

import gc
import secrets
import sys
import time
from pathlib import Path

import anyio
import pytest

from orchestrator.buildkit import (
    DirectoryDestination,
    DirectorySource,
    Exporter,
    FileDestination,
    MemorySource,
    SolveRequest,
    SolveResult,
    StatusUpdate,
)
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real

LONGEST = 0.1 if sys.gettrace() is None else 0.3
"""Seconds. About 0.04 were measured for 200,000 files. With coverage, each line costs several times as much."""


class Watchdog:
    """Attributes:
    longest: seconds of the loop's thread between two turns.
    turns: how many there were.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.turns = 0

    async def watch(self) -> None:
        before = time.thread_time()
        while True:
            await anyio.sleep(0.005)  # how often it looks, not what it waits for
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            self.turns += 1
            before = now


def write_app(root: Path) -> Path:
    for number in range(4000):
        directory = root / f"package-{number // 100:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"module-{number:04}.js").write_bytes(b"%d\n" % number * 50)
    for number in range(4):
        (root / f"model-{number}").write_bytes(secrets.token_bytes(1 << 16) * 256)
    return root


async def test_a_large_context_and_its_outputs_never_hold_the_loop(
    lab: Lab, real_count: RealCount, tmp_path: Path
) -> None:
    async def ignore(_: StatusUpdate) -> None: ...

    watchdog = Watchdog()
    ref = secrets.token_hex(12)
    outputs = (
        Exporter(type="local", attrs={}, destination=DirectoryDestination(path=tmp_path / "tree")),
        Exporter(type="tar", attrs={}, destination=FileDestination(path=tmp_path / "tree.tar")),
    )
    sources = (
        DirectorySource(name="context", root=write_app(tmp_path / "app")),
        MemorySource(name="dockerfile", files={"Dockerfile": b"FROM scratch\nCOPY . /\n"}),
    )
    request = SolveRequest(ref=ref, attrs={}, outputs=outputs, sources=sources, shared_key=ref)

    result: SolveResult | None = None

    gc.freeze()
    try:
        async with client(lab.buildkitd) as daemon, anyio.create_task_group() as tasks:
            tasks.start_soon(watchdog.watch)
            result = await daemon.solve(request, on_status=ignore)
            tasks.cancel_scope.cancel()
    finally:
        gc.unfreeze()

    assert result is not None
    assert result.entries >= 4000
    assert (tmp_path / "tree.tar").stat().st_size > 4 << 24
    assert watchdog.turns > 10
    assert watchdog.longest < LONGEST
    real_count.record("build")
