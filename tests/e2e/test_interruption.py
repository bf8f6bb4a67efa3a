"""Ctrl-C, SIGTERM, a dead daemon: nothing is left behind, and the exit code says what happened."""

import os
import re
import secrets
import signal
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from orchestrator.buildkit import Client
from orchestrator.events import AppCancelled, Event, RunCompleted, StepLog
from tests.buildkit.real import client, private_daemon
from tests.e2e.conftest import Start, exit_code_of
from tests.lab import Lab

pytestmark = pytest.mark.real

_SOON = 30
_ROOT = re.compile(r"^overlay / overlay \S*upperdir=([^, ]+)", re.MULTILINE)


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


async def active_of(daemon: Client, image: str) -> list[str]:
    """The builds of an image that run: those of other tests may run beside them."""
    active = await daemon.history(active=True)
    return [each.ref for each in active if any(exporter.attrs.get("name") == image for exporter in each.exporters)]


def layers(mark: str) -> set[str]:
    """Where the steps' processes that hold a word write: the upper directories of their roots."""
    found: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found |= set(_ROOT.findall((path.parent / "mounts").read_text()))
    return found


def mounts() -> str:
    """Everything that is mounted on the machine."""
    return Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_cancels_the_solves_and_leaves_nothing_behind(
    lab: Lab, build: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    root, mark = sleeper(tmp_path / "source")
    document = tmp_path / "result.json"

    with anyio.fail_after(_SOON):
        image = f"{lab.registry}/interrupted/{mark}"
        async with build(root, "--result-file", str(document), image=image) as running:
            await running.until(asleep)
            async with client(lab.buildkitd) as daemon:
                active, mounted = await active_of(daemon, image), layers(mark)
                os.kill(running.process.pid, number)
                ran = await running.end()
                left = await active_of(daemon, image)

    assert len(active) == 1
    assert left == []
    assert (ran.code, ran.left, ran.err) == (code, (), "")
    assert [type(event) for event in ran.events[-2:]] == [AppCancelled, RunCompleted]
    assert exit_code_of(ran) == code
    assert processes(mark) == []
    assert len(mounted) == 1
    assert [each for each in mounted if f"upperdir={each}," in mounts()] == []
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
