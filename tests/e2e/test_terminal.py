"""The `fleetpacks` command on a terminal of its own, with a real builder."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.display.terminal import Terminal, terminal
from tests.e2e.test_interruption import processes, sleeper
from tests.lab import Lab

pytestmark = pytest.mark.real

_SOON = 60


def command(lab: Lab, source: Path, *words: str) -> list[str]:
    # Without -c the terminal would not be the one whose Ctrl-C means this program.
    program = str(Path(sys.executable).with_name("fleetpacks"))
    return ["setsid", "-c", program, "build", "-C", str(source), "--host", lab.buildkit_host, *words]


def variables(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home"), "TERM": "xterm-256color", **more}


async def run_on(screen: Terminal, words: list[str], env: dict[str, str]) -> int:
    """Run a program on a terminal to its end."""
    handle = screen.stream.fileno()
    async with await anyio.open_process(words, stdin=handle, stdout=handle, stderr=handle, env=env) as process:
        return await process.wait()


def apps(root: Path) -> Path:
    for name in ("good", "bad"):
        directory = root / name
        directory.mkdir(parents=True)
        (directory / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo '\\033[2J'hello; test $0 = x\n")
    (root / "good/Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo hello\n")
    return root


@pytest.mark.parametrize(
    ("words", "more", "table", "coloured"),
    [
        ((), {}, True, True),
        ((), {"NO_COLOR": "1"}, True, False),
        (("--no-color",), {}, True, False),
        ((), {"CI": "true"}, False, False),
        ((), {"TERM": "dumb"}, False, False),
        (("--progress", "tty"), {"CI": "true"}, True, True),
        (("--progress", "plain"), {}, False, False),
    ],
)
async def test_a_terminal_shows_the_table_where_it_can_and_may(
    lab: Lab,
    tmp_path: Path,
    real_count: RealCount,
    *,
    words: tuple[str, ...],
    more: dict[str, str],
    table: bool,
    coloured: bool,
) -> None:
    source = apps(tmp_path / "source")

    with anyio.fail_after(_SOON):
        async with terminal(100, 24) as screen:
            code = await run_on(screen, command(lab, source, *words), variables(tmp_path, **more))
            end = await screen.until(lambda text: "succeeded" in text)

    real_count.record("build", times=2)
    assert code == 1
    assert ("\x1b[?7l" in screen.written) is table
    assert screen.coloured is coloured
    assert "--- the full log of bad ---" in screen.everything
    assert "[2Jhello" in screen.everything
    assert "good | done in" in screen.everything
    assert "sha256:" in screen.everything
    assert end.splitlines()[-1].startswith("1 succeeded, 1 failed, 0 cancelled in ")
    assert screen.clean


async def test_ctrl_c_on_the_terminal_leaves_it_as_it_was_and_nothing_on_the_builder(lab: Lab, tmp_path: Path) -> None:
    root, mark = sleeper(tmp_path / "source")

    with anyio.fail_after(_SOON):
        async with terminal(80, 24) as screen:
            codes: list[int] = []

            async def run() -> None:
                codes.append(await run_on(screen, command(lab, root), variables(tmp_path)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await screen.until(lambda text: "RUN echo asleep" in text)
                while not processes(mark):  # noqa: ASYNC110 -- the machine is asked
                    await anyio.sleep(0.05)
                screen.press("\x03")
            end = await screen.until(lambda text: "succeeded" in text)
            async with client(lab.buildkitd) as daemon:
                active = [ref for ref in await daemon.active_builds() if ref.startswith("fleetpacks-")]

    assert codes == [130]
    assert "sleeper | cancelled (interrupted)" in end
    assert end.splitlines()[-1].startswith("0 succeeded, 0 failed, 1 cancelled in ")
    assert "running" not in screen.everything
    assert screen.clean
    assert processes(mark) == []
    assert active == []


async def test_the_first_signal_ends_a_run_whose_output_nobody_takes(lab: Lab, tmp_path: Path) -> None:
    root, mark = sleeper(tmp_path / "source")
    file = root / "sleeper/Dockerfile"
    file.write_text(file.read_text().replace("echo asleep", "seq 1 20000"))
    words = command(lab, root, "--progress", "plain")[2:]

    async with await anyio.open_process(words, env=variables(tmp_path), start_new_session=True) as process:
        try:
            with anyio.fail_after(_SOON):
                # Far more than a pipe holds, and what waits behind it: the build has said all when it sleeps.
                while not processes(mark):  # noqa: ASYNC110 -- the machine is asked
                    await anyio.sleep(0.05)
                os.kill(process.pid, signal.SIGINT)
            with anyio.fail_after(20):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()

    assert code == 130
    assert processes(mark) == []
