"""Standard streams that fail, and an interrupt before there is anything to interrupt: no traceback, never 1."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment
from tests.lab import Lab

_PROGRAM = "from orchestrator.cli import main; main()"
_INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from orchestrator.cli import main
main()
"""
_CHECKOUT = Path(__file__).parents[2]
_EXAMPLE = _CHECKOUT / "examples/monorepo"
_ENVIRONMENT = {"PATH": environment.read()["PATH"], "HOME": "/nonexistent"}

Device = Callable[[str], Path]


async def _shell(script: str, *words: str | Path, code: str = _PROGRAM) -> tuple[int, str, str]:
    """The program as `"$@"` of a shell's script: its exit code and what it said."""
    command = ["/bin/sh", "-c", script, "sh", sys.executable, "-c", code, *map(str, words)]
    ran = await anyio.run_process(command, check=False, env=_ENVIRONMENT, cwd=_CHECKOUT)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["apps", _EXAMPLE],
        ["apps", "--json", _EXAMPLE],
        ["detect", _EXAMPLE / "services/ledger"],
        ["plan", "--json", "-C", _EXAMPLE],
    ],
)
async def test_output_on_a_full_disk_is_an_error(device: Device, words: list[str | Path]) -> None:
    code, _, said = await _shell(f'"$@" >{device("full")}', *words)

    assert code == 2
    assert said == (
        "error: standard output cannot be written: No space left on device\n"
        "hint: Make room there, or send it elsewhere.\n"
    )


async def test_a_command_that_failed_before_its_output_did_keeps_its_exit_code(device: Device) -> None:
    words: list[str | Path] = [
        "build",
        "-C",
        _EXAMPLE,
        "--json",
        "--host",
        "unix:///nonexistent/absent.sock",
        "services/ledger",
    ]

    code, _, said = await _shell(f'"$@" >{device("full")}', *words)

    assert code == 75
    assert "Traceback" not in said
    assert [line.partition(":")[0] for line in said.splitlines() if line[0] != " "] == ["error", "hint"] * 2


async def test_events_on_a_full_disk_are_missed_once_and_stop_nothing(device: Device) -> None:
    words: list[str | Path] = [
        "build",
        "-C",
        _EXAMPLE,
        "--progress",
        "json",
        "--host",
        "unix:///nonexistent/absent.sock",
    ]

    code, _, said = await _shell(f'"$@" >{device("full")}', *words)

    assert code == 75
    assert said.count("warning: what happens cannot be written any more: No space left on device") == 1
    assert "absent.sock" in said


@pytest.mark.real
@pytest.mark.parametrize("progress", ["plain", "json"])
async def test_builds_go_on_when_what_happens_cannot_be_written(
    lab: Lab, device: Device, tmp_path: Path, progress: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    words: list[str | Path] = ["build", "-C", source, "--progress", progress, "--host", f"unix://{lab.buildkitd}"]

    code, _, said = await _shell(f'"$@" >{device("full")}', *words, "--result-file", tmp_path / "result.json")

    assert code == 0
    assert said == (
        "warning: what happens cannot be written any more: No space left on device; builds go on without it\n"
    )
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "success"


@pytest.mark.parametrize("words", [["--version"], ["apps", _EXAMPLE], ["build", "-C", _EXAMPLE]])
@pytest.mark.parametrize(
    ("closing", "out", "err"),
    [
        (">&-", "", "error: standard output is closed\nhint: Leave it open, or send it to /dev/null.\n"),
        ("2>&-", "error: standard error is closed\nhint: Leave it open, or send it to /dev/null.\n", ""),
        (">&- 2>&-", "", ""),
    ],
)
async def test_a_closed_stream_is_an_error_on_the_other_one(
    words: list[str | Path], closing: str, out: str, err: str
) -> None:
    assert await _shell(f'"$@" {closing}', *words) == (2, out, err)


async def test_errors_that_cannot_be_told_are_told_nowhere(device: Device) -> None:
    assert await _shell(f'"$@" 2>{device("full")}', "apps", "absent") == (2, "", "")


@pytest.mark.parametrize("module", ["click", "orchestrator.cli.program", "orchestrator.cli.look", "msgspec", "anyio"])
async def test_an_interrupt_while_importing_ends_quietly(module: str) -> None:
    code = _INTERRUPTED.format(module=module)

    ended, out, said = await _shell('"$@"', "apps", _EXAMPLE, code=code)

    # click ends the line on which a terminal shows ^C.
    assert (ended, out, said.strip()) == (130, "", "")


async def test_what_a_terminal_shows_is_not_held_back() -> None:
    code = "import sys\nfrom orchestrator.cli import streams\nstreams.prepare()\nprint(sys.stdout.line_buffering)"
    master, terminal = os.openpty()
    try:
        await anyio.run_process([sys.executable, "-c", code], stdout=terminal, env=_ENVIRONMENT, cwd=_CHECKOUT)

        assert os.read(master, 100) == b"True\r\n"
    finally:
        os.close(master)
        os.close(terminal)
