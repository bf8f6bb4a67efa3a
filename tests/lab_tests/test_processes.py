import os
import signal
import sys
from pathlib import Path

import msgspec

from tests.lab.process import Daemon, end, spawn, strays

SLEEP = ("/bin/sleep", "600")


def start(log: Path, *command: str) -> Daemon:
    return spawn(command or SLEEP, log=log, environment={})


def collect(daemon: Daemon) -> int:
    """Wait for our child's end: its exit status, or its signal as a negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(daemon.pid, 0)[1])


async def test_a_daemon_is_alive_until_it_is_ended(tmp_path: Path) -> None:
    daemon = start(tmp_path / "log")
    alive_before = daemon.alive()

    await end(daemon)

    assert alive_before
    assert not daemon.alive()
    assert collect(daemon) == -signal.SIGTERM


async def test_a_daemon_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    # An ignored signal stays ignored across exec, so the child never has a moment in which SIGTERM works.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    daemon = start(tmp_path / "log")
    signal.signal(signal.SIGTERM, before)

    await end(daemon, grace=0.05)

    assert collect(daemon) == -signal.SIGKILL


async def test_a_pid_that_somebody_else_has_by_now_is_left_alone(tmp_path: Path) -> None:
    bystander = start(tmp_path / "log")
    remembered = msgspec.structs.replace(bystander, started=bystander.started - 1)
    of_another_boot = msgspec.structs.replace(bystander, boot="00000000-0000-0000-0000-000000000000")

    await end(remembered)
    await end(of_another_boot)

    assert bystander.alive()
    assert not remembered.alive()
    assert not of_another_boot.alive()
    await end(bystander)
    collect(bystander)


async def test_ending_what_has_ended_does_nothing(tmp_path: Path) -> None:
    daemon = start(tmp_path / "log", "/bin/true")
    collect(daemon)

    await end(daemon)

    assert not daemon.alive()


async def test_a_daemon_has_a_session_of_its_own_and_writes_to_its_log(tmp_path: Path) -> None:
    daemon = start(tmp_path / "log", "/bin/sh", "-c", 'echo out; echo err >&2; cut -d " " -f 6 /proc/$$/stat')

    collect(daemon)

    assert (tmp_path / "log").read_text().splitlines() == ["out", "err", str(daemon.pid)]


async def test_a_daemon_that_nobody_wrote_down_is_found_by_its_configuration(tmp_path: Path) -> None:
    # A program that starts no other: between its fork and its exec, a child has its parent's command line.
    waits = (sys.executable, "-c", "import time; time.sleep(600)", "serve")
    ours = start(tmp_path / "log", *waits, str(tmp_path / "registry.yml"))
    other = start(tmp_path / "log", *waits, str(tmp_path / "other" / "registry.yml"))

    found = strays(tmp_path)
    found_beside_known = strays(tmp_path, known=[ours])

    assert found == (ours,)
    assert found_beside_known == ()
    for daemon in (ours, other):
        os.killpg(daemon.pid, signal.SIGKILL)
        collect(daemon)
