"""What is said of a disk with little room, before anything is written to it."""

import shlex
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.app.disk import low
from orchestrator.config import environment
from tests.conftest import RealCount
from tests.lab import Lab


def test_of_a_place_that_cannot_be_looked_at_nothing_is_said(tmp_path: Path) -> None:
    assert low([tmp_path / ("x" * 1000), Path("/dev/null"), Path("/proc/none")]) == ()


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_small_disk_is_told_of_once_and_the_run_goes_on(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for app in ("one", "two"):
        (tmp_path / "repo" / app).mkdir(parents=True)
        (tmp_path / "repo" / app / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    words = [sys.executable, "-c", "from orchestrator.cli import main; main()", "build", "-C", str(tmp_path / "repo")]
    words += ["--host", f"unix://{lab.buildkitd}", "--progress", "plain"]

    async def run(dest: Path) -> str:
        mount = f"mount -t tmpfs -o size=50m tmpfs {shlex.quote(str(small))}"
        typed = shlex.join([*words, "--output", f"type=oci,dest={dest}/"])
        env = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
        # The mount goes with its namespace.
        command = ["unshare", "--mount", "/bin/sh", "-c", f"{mount} && exec {typed}"]
        done = await anyio.run_process(command, check=False, env=env, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return (done.stdout + done.stderr).decode()

    told = await run(small / "not/yet")
    roomy = await run(tmp_path / "large")
    real_count.record("build")

    assert told.count("are free there, less than 1.0 GB") == 1
    assert f"{small}/not/yet/" in told
    # This machine's own disk is not as small, or no build would be tested on it.
    assert "are free there" not in roomy
