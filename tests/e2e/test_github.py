"""`fleetpacks build` in a job of GitHub Actions, as its runner reads it."""

from pathlib import Path

import anyio
import pytest

from tests.conftest import RealCount
from tests.display.runner import Runner
from tests.e2e.test_terminal import command, variables
from tests.lab import Lab

pytestmark = pytest.mark.real

_DOCKERFILE = """\
FROM debian:bookworm-slim
RUN echo '::error::from the build'; echo '  ::stop-commands::mine'; echo 'x ##[add-path]/evil'; \\
    exit 3
"""


async def test_a_failure_is_annotated_at_its_line_and_the_build_commands_nothing(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    app = tmp_path / "source/apps/bad"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(_DOCKERFILE)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    env = variables(tmp_path, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary), CI="true")

    with anyio.fail_after(60):
        ran = await anyio.run_process(command(lab, tmp_path / "source")[2:], env=env, check=False)

    real_count.record("build")
    runner = Runner()
    runner.read(ran.stdout.decode())
    [group, end, error] = runner.commands
    assert ran.returncode == 1
    assert (group.name, group.data, end.name) == ("group", "the full log of bad", "endgroup")
    assert error.name == "error"
    assert error.properties == {"file": str(app / "Dockerfile"), "line": "2", "title": "bad: build"}
    assert not runner.stopped
    printed = "\n".join(runner.printed)
    assert "| ::error::from the build" in printed
    assert "| x ##[add-path]/evil" in printed
    assert summary.read_text().startswith("before\n### fleetpacks: 0 succeeded, 1 failed, 0 not built\n")
    assert "| bad | failed" in summary.read_text()


async def test_a_run_that_cannot_begin_is_annotated_and_summed_up_too(lab: Lab, tmp_path: Path) -> None:
    app = tmp_path / "source/apps/good"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\n")
    summary = tmp_path / "summary.md"
    env = variables(tmp_path, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    nowhere = f"unix://{tmp_path}/nowhere.sock"

    with anyio.fail_after(60):
        words = [nowhere if word == lab.buildkit_host else word for word in command(lab, tmp_path / "source")[2:]]
        ran = await anyio.run_process(words, env=env, check=False)

    runner = Runner()
    runner.read(ran.stdout.decode())
    [error] = runner.commands
    assert ran.returncode == 75
    assert error.properties == {"title": "fleetpacks: builder-unreachable"}
    assert nowhere in error.data
    assert "| good | not built" in summary.read_text().replace("\\", "")
