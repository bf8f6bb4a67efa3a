"""What a signal does to a run, in a process of its own."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from orchestrator.config import environment

_PROGRAM = """
import signal, sys
import anyio
# Whoever runs these tests may have it ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from orchestrator import interrupts
from orchestrator.app.signals import Signals

interrupts.SAME_SECONDS = float(sys.argv[2])

async def main():
    signals = Signals()
    async with signals.watched():
        with signals.handled_by(lambda: print("interrupted", flush=True)):
            print("running", flush=True)
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(sys.stdin.read)
                await anyio.wait_all_tasks_blocked()
    sys.exit(signals.exit_code)

anyio.run(main, backend=sys.argv[1])
"""
_STRUCK = """
import asyncio, os, signal, sys, threading
from orchestrator import interrupts

interrupts.SAME_SECONDS = 600

def strike(moment):
    if moment in {moments!r}:
        for _ in range(3):
            os.kill(os.getpid(), {number})

class Importing:
    def find_spec(self, name, path, target=None):
        strike(name)

def struck(function):
    def call(*words):
        strike(function.__name__)
        return function(*words)
    return call

loop = asyncio.BaseEventLoop
loop.run_forever, loop.shutdown_asyncgens = struck(loop.run_forever), struck(loop.shutdown_asyncgens)
os._exit = struck(os._exit)
sys.meta_path.insert(0, Importing())
# Nobody ends it: it must not keep the process.
threading.Thread(target=threading.Event().wait).start()
from orchestrator.cli import main
main()
"""
_AT_THE_END = ("shutdown_asyncgens", "_exit")


@asynccontextmanager
async def running(backend: str, *, same_seconds: float) -> AsyncGenerator[tuple[Process, BufferedByteReceiveStream]]:
    """The program on a backend, in a session of its own, and what it prints; it has half a minute."""
    command = [sys.executable, "-c", _PROGRAM, backend, str(same_seconds)]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, env=environment.read(), start_new_session=True) as process:
            assert process.stdout is not None
            yield process, BufferedByteReceiveStream(process.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_second_signal_ends_a_process_that_still_waits(anyio_backend_name: str, number: signal.Signals) -> None:
    async with running(anyio_backend_name, same_seconds=0) as (process, lines):
        began = await lines.receive_until(b"\n", 100)
        os.kill(process.pid, number)
        interrupted = await lines.receive_until(b"\n", 100)
        alive = process.returncode is None
        os.kill(process.pid, number)
        code = await process.wait()

    assert (began, interrupted) == (b"running", b"interrupted")
    assert alive
    assert code == -number


async def test_signals_that_come_together_are_one(anyio_backend_name: str) -> None:
    async with running(anyio_backend_name, same_seconds=600) as (process, lines):
        assert process.stdin is not None
        await lines.receive_until(b"\n", 100)
        os.kill(process.pid, signal.SIGINT)
        await lines.receive_until(b"\n", 100)
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)
        await process.stdin.aclose()
        code = await process.wait()

    assert code == 130


async def test_a_terminal_that_is_gone_ends_what_runs_as_any_signal_does(anyio_backend_name: str) -> None:
    async with running(anyio_backend_name, same_seconds=600) as (process, lines):
        assert process.stdin is not None
        await lines.receive_until(b"\n", 100)
        os.kill(process.pid, signal.SIGHUP)
        said = await lines.receive_until(b"\n", 100)
        await process.stdin.aclose()
        code = await process.wait()

    assert (said, code) == (b"interrupted", 129)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_to_outlive_its_terminal_does() -> None:
    code = """
import os, signal
from orchestrator.interrupts import interrupts
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interrupts.install()
interrupts.listen(lambda: print("interrupted"))
os.kill(os.getpid(), signal.SIGHUP)
print(interrupts.exit_code)
"""

    with anyio.fail_after(30):
        ran = await anyio.run_process([sys.executable, "-c", code], env=environment.read())

    assert ran.stdout == b"0\n"


async def _struck(folder: Path, *words: str, moments: tuple[str, ...], number: int) -> tuple[int, str, str]:
    """The program in a folder with one app, with three signals at each of some moments: its code and its output."""
    (folder / "Dockerfile").write_text("FROM scratch\n")
    code = _STRUCK.format(moments=moments, number=int(number))
    variables = {"PATH": environment.read()["PATH"], "HOME": str(folder / "home")}
    with anyio.fail_after(30):
        command = [sys.executable, "-c", code, *words]
        ran = await anyio.run_process(command, check=False, env=variables, cwd=Path(__file__).parents[2])
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("orchestrator.cli.streams", signal.SIGINT),
        ("click", signal.SIGTERM),
        ("orchestrator.cli.build", signal.SIGINT),
        ("run_forever", signal.SIGTERM),
        ("orchestrator.app.build", signal.SIGINT),
    ],
)
async def test_signals_from_the_first_moment_to_the_last_are_one_and_told_in_the_result(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    file = tmp_path / "result.json"
    words = ["build", "-C", str(tmp_path), "--result-file", str(file), "--host", "unix:///nonexistent/absent.sock"]

    ran = await _struck(tmp_path, *words, moments=(moment, *_AT_THE_END), number=number)

    told = json.loads(file.read_text())
    assert ran == (128 + number, "", "")
    assert (told["status"], told["exit_code"], told["error"]) == ("failed", 128 + number, "the run was interrupted")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_signal_when_all_is_told_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    words = ["build", "-C", str(tmp_path), "--result-file", str(file), "nope"]

    code, _, said = await _struck(tmp_path, *words, moments=_AT_THE_END, number=signal.SIGINT)

    assert (code, json.loads(file.read_text())["exit_code"]) == (2, 2)
    assert said.startswith("error: 'nope': no such directory")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("moment", ["orchestrator.cli.look", "run_forever", "shutdown_asyncgens"])
async def test_a_command_for_which_nobody_waits_ends_quietly(tmp_path: Path, moment: str) -> None:
    code, _, said = await _struck(tmp_path, "apps", str(tmp_path), moments=(moment, "_exit"), number=signal.SIGTERM)

    # click ends the line on which a terminal shows ^C.
    assert (code, said.strip()) == (143, "")
