"""Ctrl-C, SIGTERM, a dead daemon: nothing is left behind, and the exit code says what happened."""

import os
import secrets
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from orchestrator.config import environment
from orchestrator.events import AppCancelled, Event, RunCompleted, StepLog
from tests.buildkit.real import client
from tests.e2e.conftest import Start
from tests.lab import Lab

pytestmark = pytest.mark.real

_SOON = 30


def sleeper(root: Path) -> tuple[Path, str]:
    """An app whose build waits for ever, in a process that can be found by its argument."""
    mark = f"9{secrets.randbelow(10**7):07}"
    directory = root / "sleeper"
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(f"FROM debian:bookworm-slim\nRUN echo asleep; sleep {mark}\n")
    return root, mark


def asleep(event: Event) -> bool:
    return isinstance(event, StepLog) and event.text == "asleep"


def processes(mark: str) -> list[str]:
    """Command lines of the machine's processes that hold a word."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(b" ".join(words).decode(errors="replace"))
    return found


def mounts() -> str:
    """Everything that is mounted."""
    return Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_cancels_the_solves_and_leaves_nothing_behind(
    lab: Lab, build: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    root, mark = sleeper(tmp_path / "source")
    mounted = mounts()
    document = tmp_path / "result.json"

    with anyio.fail_after(_SOON):
        async with build(root, "--result-file", str(document), image=f"{lab.registry}/interrupted/x") as running:
            await running.until(asleep)
            async with client(lab.buildkitd) as daemon:
                active = [ref for ref in await daemon.active_builds() if ref.startswith("fleetpacks-")]
                os.kill(running.process.pid, number)
                ran = await running.end()
                left = set(active) & set(await daemon.active_builds())

    assert active
    assert left == set()
    assert (ran.code, ran.left, ran.err) == (code, (), "")
    assert [type(event) for event in ran.events[-2:]] == [AppCancelled, RunCompleted]
    assert processes(mark) == []
    assert mounts() == mounted
    assert '"status": "failed"' in document.read_text()


@asynccontextmanager
async def private_daemon(lab: Lab, folder: Path) -> AsyncGenerator[tuple[anyio.abc.Process, Path]]:
    """A buildkitd of the test's own, which it may kill; its steps' mounts go with its mount namespace."""
    socket = folder / "s"
    config = folder / "buildkitd.toml"
    config.write_text(
        f'root = "{folder}/root"\n[grpc]\naddress = ["unix://{socket}"]\n[otel]\nsocketPath = "{folder}/otel"\n'
        f"[cdi]\ndisabled = true\n[worker.containerd]\nenabled = false\n[worker.oci]\nenabled = true\n"
        f'binary = "{lab.runc}"\nnetworkMode = "host"\nsnapshotter = "native"\n'
        f'[registry."docker.io"]\nmirrors = ["{lab.registry}"]\n[registry."{lab.registry}"]\nhttp = true\n'
    )
    program = str(lab.buildctl.with_name("buildkitd"))
    # Own process and mount namespaces: killing the first process of one ends whatever the daemon has started.
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        program,
        "--config",
        str(config),
    ]
    with (folder / "log").open("wb") as log:
        # A killed daemon leaves its temporary directories, which are the test's to delete.
        env = {**environment.read(), "TMPDIR": str(folder)}
        async with await anyio.open_process(command, stdin=None, stdout=log, stderr=log, env=env) as process:
            try:
                with anyio.fail_after(_SOON):
                    while not socket.exists():  # noqa: ASYNC110 -- another process makes it
                        await anyio.sleep(0.05)
                yield process, socket
            finally:
                if process.returncode is None:
                    process.kill()


async def test_a_daemon_killed_in_the_middle_of_a_step_is_a_transient_failure_within_seconds(
    lab: Lab, build: Start, tmp_path: Path
) -> None:
    root, mark = sleeper(tmp_path / "source")
    folder = tmp_path / "d"
    folder.mkdir()

    async with private_daemon(lab, folder) as (process, socket):
        with anyio.fail_after(2 * _SOON):
            async with build(root, image=f"{lab.registry}/lost/x", host=f"unix://{socket}") as running:
                await running.until(asleep)
                process.kill()
                ran = await running.end()

    failure = ran.failed()["sleeper"]
    assert (ran.code, failure.kind, failure.transient) == (75, "daemon-lost", True)
    assert failure.hint
    assert ran.left == ()
    assert processes(mark) == []
