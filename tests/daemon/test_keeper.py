"""The process in between by itself: interrupted while it starts something, failing, and clearing up after another."""

import fcntl
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import pytest

from orchestrator.daemon import running
from orchestrator.daemon.keeper import leftovers

if TYPE_CHECKING:
    from orchestrator.daemon.keeper.task import Task

_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces and mounts")


def task_in(root: Path, **changes: Any) -> "Task":  # noqa: ANN401 -- of every type that a task has
    """One whose first program never makes the socket that is waited for."""
    begin = f"echo > {root}/begun; exec sleep 1000"
    task: Task = {
        "commands": [["/bin/sh", "-c", begin], ["/bin/sh", "-c", ":"]],
        "sockets": [f"{root}/never", ""],
        "environment": {"PATH": "/usr/bin:/bin"},
        "files": {f"{root}/run/file": "x"},
        "root": str(root),
        "run": str(root / "run"),
        "overlay": False,
        "group": f"fpt-{root.name}",
        "bridge": None,
        "patience": 20.0,
        "grace": 10.0,
    }
    task.update(changes)  # type: ignore[typeddict-item]  # whatever a test says
    return task


@asynccontextmanager
async def keeper(task: "Task", log: Path) -> AsyncGenerator[anyio.abc.Process]:
    """Have it begun, and told what to do."""
    with log.open("ab") as file:
        process = await running.begun(file)
    try:
        assert process.stdin is not None
        await process.stdin.send(json.dumps(task).encode() + b"\n")
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


def test_nothing_else_is_cleared_away_while_another_one_has_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_in(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/socket").write_text("")
    monkeypatch.setattr(leftovers, "_END_SECONDS", 0.02)

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leftovers.clean_unless_used(task)
        used = (tmp_path / "run/socket").exists()
    leftovers.clean_unless_used(task)

    assert used
    assert not (tmp_path / "run").exists()


@_ROOT
@pytest.mark.parametrize("how", ["a signal", "nobody is there"])
async def test_a_start_that_lasts_is_interrupted_at_once_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    async with keeper(task_in(tmp_path), tmp_path / "log") as process:
        assert process.stdin is not None
        with anyio.fail_after(10):
            while not await anyio.Path(tmp_path / "begun").exists():  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.01)
        if how == "a signal":
            process.terminate()
        else:
            await process.stdin.aclose()
        # It waits for a socket three times as long.
        with anyio.fail_after(10):
            code = await process.wait()

    assert code == 0
    assert not (tmp_path / "run").exists()


@_ROOT
async def test_whatever_fails_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    # No file can have such a name, which is no error of the system.
    task = task_in(tmp_path, files={f"{tmp_path}/run/one": "x", f"{tmp_path}/run/\0": "x"})

    async with keeper(task, tmp_path / "log") as process:
        assert process.stdout is not None
        with anyio.fail_after(10):
            told = json.loads(await process.stdout.receive())
            code = await process.wait()

    assert told["failed"] == "keeper"
    assert "null byte" in told["said"]
    assert code in leftovers.DONE
    assert not (tmp_path / "run").exists()


def test_a_switch_that_is_on_is_not_touched(tmp_path: Path) -> None:
    off = tmp_path / "off"
    off.write_text("0\n")

    leftovers.turn_on(str(off))
    # Nobody may write to this one, root neither, as where /proc/sys is read-only.
    leftovers.turn_on("/proc/sys/kernel/ngroups_max")

    assert off.read_text() == "1"
