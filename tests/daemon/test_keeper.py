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
from tests.lab import firewall, tools
from tests.lab.state import layout

if TYPE_CHECKING:
    from orchestrator.daemon.keeper.task import Bridge, Task

_LOCKING = """\
#!/bin/sh
for libraries in {root}/usr/lib/*/xtables; do :; done
XTABLES_LIBDIR=$libraries LD_LIBRARY_PATH=${{libraries%/*}} exec {root}/usr/sbin/xtables-legacy-multi iptables "$@"
"""
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
@pytest.mark.real
@pytest.mark.apart
@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what is ours is no program of an event loop
async def test_rules_that_cannot_be_deleted_now_keep_their_bridge_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"fpd-t{os.getpid() % 1_000_000}"
    root = await tools.debian_closure(layout(), "iptables")
    free = await firewall.iptables(layout())
    busy = tmp_path / "iptables"
    # The one that takes a lock.
    busy.write_text(_LOCKING.format(root=root))
    busy.chmod(0o700)
    task = task_in(tmp_path, bridge=bridge(name, free))
    monkeypatch.setattr(leftovers, "_WAIT", ("--wait", "1"))
    place = anyio.Path(f"/sys/class/net/{name}")
    try:
        leftovers.make_bridge(task)
        made = await rules_of(name, free)

        with (tmp_path / "lock-of-tables").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            environment = {**task["environment"], "XTABLES_LOCKFILE": lock.name}
            leftovers.clean(task_in(tmp_path, bridge=bridge(name, busy), environment=environment))
        kept = await place.exists()
    finally:
        leftovers.clean(task)

    assert len(made) == 3
    assert kept
    assert await rules_of(name, free) == []
    assert not await place.exists()


def bridge(name: str, iptables: Path) -> "Bridge":
    # Documentation's addresses (RFC 5737): no way leads there.
    return {"name": name, "address": "203.0.113.1", "network": "203.0.113.0/24", "mtu": None, "iptables": str(iptables)}


async def rules_of(name: str, iptables: Path) -> list[str]:
    """The rules of this machine that name a bridge."""
    said = [await anyio.run_process([str(iptables), "-t", table, "-S"]) for table in ("nat", "filter")]
    return [line for each in said for line in each.stdout.decode().splitlines() if name in line.split()]


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
