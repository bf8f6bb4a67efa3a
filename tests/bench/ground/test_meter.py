"""The kernel's counters, held against work that is known."""

import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio import to_thread

from orchestrator.bench.ground import metered, prepared
from orchestrator.bench.model import Ground, Target
from tests.bench.ground.real import ROOT, memory, stacked

MIB = 1024 * 1024


@asynccontextmanager
async def looped(path: Path) -> AsyncGenerator[Ground]:
    with stacked(path / "s", size="512m") as disk:
        async with prepared(Target(name="t", path=disk), size=128 * MIB, need="layers") as ground:
            yield ground


@asynccontextmanager
async def worker() -> AsyncGenerator[anyio.abc.Process]:
    """A shell that runs what it is told, in children of its own."""
    process = await anyio.open_process(["/bin/sh"])
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            process.kill()
            await process.aclose()


async def told(process: anyio.abc.Process, command: str) -> None:
    """Have it run something, and wait for the end."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.send(f"{command} >/dev/null 2>&1; echo done\n".encode())
    with anyio.fail_after(60):
        assert await process.stdout.receive() == b"done\n"


@ROOT
async def test_what_is_written_and_synced_is_counted_once_also_of_processes_that_have_ended(tmp_path: Path) -> None:
    async with looped(tmp_path) as ground, worker() as process, metered(ground, tree=lambda: process.pid) as meter:
        meter.start()
        await told(process, f"(dd if=/dev/zero of={ground.path}/x bs=1M count=64 conv=fsync)")
        facts = await meter.stop()

    assert 64 * MIB <= facts["device-written"] <= 72 * MIB
    assert 64 * MIB <= facts["written"] <= 66 * MIB
    assert facts["amplification"] == pytest.approx(facts["device-written"] / facts["written"])
    assert facts["fsync"] > 0
    assert 0 <= facts["iowait"] <= 1


@ROOT
async def test_what_a_run_leaves_in_memory_is_its_own_and_not_the_next_ones(tmp_path: Path) -> None:
    async with looped(tmp_path) as ground, worker() as process, metered(ground, tree=lambda: process.pid) as meter:
        meter.start()
        await told(process, f"dd if=/dev/zero of={ground.path}/x bs=1M count=16")
        first = await meter.stop()
        meter.start()
        await told(process, "true")
        second = await meter.stop()

    assert first["device-written"] >= 16 * MIB
    assert first["settle"] > 0
    assert second["device-written"] < 2 * MIB
    assert second["written"] < MIB


@ROOT
async def test_processor_time_is_counted_for_all_and_for_ourselves(tmp_path: Path) -> None:
    with memory(tmp_path / "m") as disk:
        async with prepared(Target(name="t", path=disk), size=MIB, need="files") as ground, metered(ground) as meter:
            began = time.perf_counter()
            meter.start()
            await to_thread.run_sync(_busy, 0.25)
            facts = await meter.stop()
            passed = time.perf_counter() - began

    # The kernel counts in ticks of 10 ms.
    assert 0.2 <= facts["cpu"] <= passed * (os.cpu_count() or 1) + 0.1
    assert 0.2 <= facts["harness-cpu"] <= passed + 0.1
    assert "written" not in facts


def _busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_an_error_of_what_is_measured_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the build's"):
        await _failing(tmp_path)


async def _failing(path: Path) -> None:
    async with prepared(Target(name="t", path=path), size=MIB, need="files") as ground, metered(ground) as meter:
        meter.start()
        raise ValueError("the build's")


async def test_no_end_without_a_beginning(tmp_path: Path) -> None:
    async with prepared(Target(name="t", path=tmp_path), size=MIB, need="files") as ground, metered(ground) as meter:
        with pytest.raises(RuntimeError, match="no run has begun"):
            await meter.stop()


@ROOT
async def test_a_process_that_has_gone_has_written_nothing_that_is_known(tmp_path: Path) -> None:
    async with worker() as process:
        gone = process.pid
    with memory(tmp_path / "m") as disk:
        ready = prepared(Target(name="t", path=disk), size=MIB, need="files")
        async with ready as ground, metered(ground, tree=lambda: gone) as meter:
            meter.start()
            facts = await meter.stop()

    assert facts["written"] == 0
