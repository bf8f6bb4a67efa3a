"""Ctrl-C, SIGTERM, a dead daemon: nothing is left behind, and the exit code says what happened."""

import os
import secrets
import signal
from pathlib import Path

import anyio
import pytest

from orchestrator.events import AppCancelled, Event, RunCompleted, StepLog
from tests.buildkit.real import client, private_daemon
from tests.e2e.conftest import Start, exit_code_of
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


def mounts(lab: Lab) -> list[str]:
    """Everything that is mounted in the lab: other tests may have labs of their own."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(lab.state) in line]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_cancels_the_solves_and_leaves_nothing_behind(
    lab: Lab, build: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    root, mark = sleeper(tmp_path / "source")
    mounted = mounts(lab)
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
    assert exit_code_of(ran) == code
    assert processes(mark) == []
    assert mounts(lab) == mounted
    assert '"status": "failed"' in document.read_text()


async def test_a_daemon_killed_in_the_middle_of_a_step_is_a_transient_failure_within_seconds(
    lab: Lab, build: Start, tmp_path: Path
) -> None:
    root, mark = sleeper(tmp_path / "source")
    folder = tmp_path / "d"
    folder.mkdir()

    # In a process namespace, too: killing the first process of one ends the step that the daemon has started.
    shut_in = ("--pid", "--fork", "--kill-child", "--mount-proc")
    async with private_daemon(lab, folder, shut_in=shut_in) as (process, socket):
        with anyio.fail_after(2 * _SOON):
            async with build(root, image=f"{lab.registry}/lost/x", host=f"unix://{socket}") as running:
                await running.until(asleep)
                process.kill()
                ran = await running.end()

    failure = ran.failed()["sleeper"]
    assert (ran.code, failure.kind, failure.transient) == (75, "daemon-lost", True)
    assert failure.hint
    assert ran.left == ()
    with anyio.fail_after(_SOON):
        while processes(mark):  # noqa: ASYNC110 -- the kernel ends what is left of a process namespace in its own time
            await anyio.sleep(0.05)
