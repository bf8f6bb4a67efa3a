"""Programs that are run: what is taken of them, and that no one of them holds anybody up."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from remote.ssh.requests import ask

Program = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Makes a program that stands in for `ssh`."""

    def make(script: str) -> str:
        file = tmp_path / "program"
        file.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
        file.chmod(0o700)
        return str(file)

    return make


def has_ended(tmp_path: Path) -> bool:
    return not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


async def test_what_it_says_is_told_with_its_problems_and_how_it_ended(program: Program, tmp_path: Path) -> None:
    given = os.urandom(300_000).hex().encode()

    reply = await ask(program("cat; echo no >&2; exit 3"), tmp_path, given=given, most=1_000_000)

    assert (reply.code, reply.output, reply.problems) == (3, given, "no\n")


async def test_of_one_that_never_stops_a_part_is_taken_and_it_is_ended(program: Program, tmp_path: Path) -> None:
    with anyio.fail_after(20):
        reply = await ask(program("exec yes"), tmp_path, most=1000)

    assert reply.output == b"y\n" * 500
    assert has_ended(tmp_path)


async def test_who_listens_to_one_that_never_stops_can_be_cancelled(program: Program, tmp_path: Path) -> None:
    with anyio.fail_after(20):
        with anyio.move_on_after(0.5) as patience:
            await ask(program("while :; do echo y; done"), tmp_path, most=10**9)

    assert patience.cancelled_caught
    assert has_ended(tmp_path)


async def test_whoever_else_holds_its_output_open_is_not_waited_for(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote.ssh.processes._END_SECONDS", 0.1)

    with anyio.fail_after(10):
        reply = await ask(program(f"sleep 15 & echo $! > {tmp_path}/other; echo said"), tmp_path)

    os.kill(int((tmp_path / "other").read_text()), signal.SIGKILL)
    assert (reply.code, reply.output) == (0, b"said\n")


async def test_nor_is_it_when_nobody_wants_more_of_either(program: Program, tmp_path: Path) -> None:
    with anyio.fail_after(10):
        with anyio.move_on_after(0.5) as patience:
            await ask(program("sleep 15 & sleep 15"), tmp_path)

    assert patience.cancelled_caught
    assert has_ended(tmp_path)


async def test_what_is_not_there_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ask(str(tmp_path / "none"), tmp_path)
