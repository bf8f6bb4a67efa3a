"""What a signal does to a run, in a process of its own."""

import os
import signal
import sys

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from orchestrator.config import environment

_PROGRAM = """
import sys
import anyio
from orchestrator.app import signals
from orchestrator.app.signals import Signals

signals._SAME_SECONDS = float(sys.argv[2])

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_a_process_that_still_waits(anyio_backend_name: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", _PROGRAM, anyio_backend_name, "0"]

    with anyio.fail_after(30):
        async with await anyio.open_process(command, env=environment.read(), start_new_session=True) as process:
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
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
    command = [sys.executable, "-c", _PROGRAM, anyio_backend_name, "600"]

    with anyio.fail_after(30):
        async with await anyio.open_process(command, env=environment.read(), start_new_session=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            lines = BufferedByteReceiveStream(process.stdout)
            await lines.receive_until(b"\n", 100)
            os.kill(process.pid, signal.SIGINT)
            await lines.receive_until(b"\n", 100)
            os.kill(process.pid, signal.SIGINT)
            os.kill(process.pid, signal.SIGTERM)
            await process.stdin.aclose()
            code = await process.wait()

    assert code == 130
