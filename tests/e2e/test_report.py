"""What `fleetpacks report` tells of real builds, against what the daemon says of them itself."""

import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.buildkit.history import BuildRecord
from orchestrator.events import AppWarning, StepCompleted, StepContinued, StepLog
from orchestrator.report import runs
from orchestrator.report.record import FILE, Record, read
from tests.buildkit.real import client, private_daemon
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab

pytestmark = pytest.mark.real

_APPS = ("api", "web")


def write_apps(root: Path) -> Path:
    """Apps whose first step writes what is never the same twice: an equal digest says that it was not run again."""
    mark = secrets.token_hex(8)
    for name in _APPS:
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text(
            f"FROM debian:bookworm-slim\nRUN echo {mark}; cp /proc/sys/kernel/random/uuid /id\nCOPY file /\n"
        )
        (root / name / "file").write_text(name)
    return root


async def report(tmp_path: Path, *words: str) -> dict[str, Any]:
    """What the command prints, where `build` has built."""
    command = [str(Path(sys.executable).with_name("fleetpacks")), "report", "--json", *words]
    done = await anyio.run_process(command, env={"HOME": str(tmp_path / "home")})
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def records(tmp_path: Path) -> list[Record]:
    """Of all runs, the newest first."""
    directory = tmp_path / "home/.local/state/fleetpacks/runs"
    return [read(each / FILE) for each in runs.newest_first(directory)]


async def remembered(lab: Lab, image: str) -> BuildRecord:
    """The newest build of an image, as the daemon remembers it."""
    async with client(lab.buildkitd) as daemon:
        builds = [
            each
            for each in await daemon.history()
            if image in {exporter.attrs.get("name") for exporter in each.exporters}
        ]
    return max(builds, key=lambda each: each.created or 0.0)


async def test_the_report_counts_what_the_daemon_counts(
    lab: Lab, real_count: RealCount, build: Start, tmp_path: Path
) -> None:
    root = write_apps(tmp_path / "source")
    image = f"{lab.registry}/report-{secrets.token_hex(4)}"

    async with build(root, image=image) as running:
        first = await running.end()
    (root / "api/file").write_text("changed")
    async with build(root, image=image) as running:
        second = await running.end()
    real_count.record("build", times=4)
    made = await report(tmp_path)

    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    apps = {app["name"]: app for app in made["apps"]}
    assert {name: (app["status"], app["cached"], app["steps"]) for name, app in apps.items()} == {
        "api": ("succeeded", 1, 2),
        "web": ("succeeded", 2, 2),
    }
    before, after = first.completed(), second.completed()
    assert before["web"].digest == after["web"].digest
    assert {app["digest"] for app in made["apps"]} == {each.digest for each in after.values()}
    newest, _ = records(tmp_path)
    for name, app in apps.items():
        build_record = await remembered(lab, app["image"])
        told = [
            event
            for event in newest.events
            # The daemon counts the push as a part of the export.
            if isinstance(event, StepCompleted | StepContinued)
            and event.app == name
            and not event.name.startswith("pushing ")
        ]
        assert (len({each.step for each in told}), len({each.step for each in told if each.cached})) == (
            build_record.steps.completed,
            build_record.steps.cached,
        )
    assert made["previous"]["run"] == records(tmp_path)[1].header.run
    assert made["status"] == "succeeded"
    assert sum(part["end"] - part["start"] for part in made["critical_path"]) == pytest.approx(made["seconds"])
    assert 0 <= made["client_idle"] <= made["seconds"]


async def test_a_run_that_is_killed_leaves_a_journal_that_tells_of_it(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    app = tmp_path / "source/slow"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(
        f"FROM debian:bookworm-slim\nRUN echo {secrets.token_hex(8)}; echo under way; sleep 600\n"
    )

    async with build(tmp_path / "source") as running:
        await running.until(lambda event: isinstance(event, StepLog) and event.text == "under way")
        while_running = await report(tmp_path)
        os.kill(running.process.pid, signal.SIGKILL)
        await running.process.wait()
    told = await report(tmp_path)

    real_count.record("build")
    assert (while_running["status"], told["status"], told["exit_code"]) == ("running", "unfinished", None)
    [slow] = told["apps"]
    assert slow["status"] == "unfinished"
    assert ["sleep 600" in name for name in slow["running"]] == [True]
    assert [app["running"] for app in while_running["apps"]] == [slow["running"]]


async def test_what_a_fresh_builder_pulls_is_counted_as_base_images(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    root = write_apps(tmp_path / "source")
    folder = tmp_path / "d"
    folder.mkdir()

    async with private_daemon(lab, folder) as (_, socket), build(root, "api", host=f"unix://{socket}") as running:
        ran = await running.end()
    told = await report(tmp_path)

    real_count.record("build")
    assert ran.code == 0
    [pull] = [each for each in told["slowest"] if " FROM " in each["name"] and each["moved_bytes"]]
    assert (pull["kind"], pull["moved_bytes"] > 1_000_000) == ("base", True)
    assert told["kinds"]["base"] >= pull["seconds"] / 2
    assert told["seconds"] >= pull["seconds"] > 0


async def test_no_secret_of_a_build_is_in_its_record(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    app = tmp_path / "source/leaky"
    app.mkdir(parents=True)
    (app / "fleetpacks.toml").write_text('secrets = ["NPM_TOKEN", "DEPLOY"]\ndockerfile = "Dockerfile"\n')
    (app / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\n"
        f"RUN --mount=type=secret,id=DEPLOY --mount=type=secret,id=NPM_TOKEN echo {secrets.token_hex(8)}; "
        "echo with $(cat /run/secrets/DEPLOY); echo and $(cat /run/secrets/NPM_TOKEN) >&2; exit 7\n"
    )
    key = tmp_path / "key"
    key.write_text("correct horse battery\n")
    operator = tmp_path / "operator.toml"
    operator.write_text(f'[secrets]\nNPM_TOKEN = {{ env = "NPM_TOKEN" }}\nDEPLOY = {{ file = "{key}" }}\n')
    said = {"NPM_TOKEN": "npm-password-1", "FLEETPACKS_CONFIG": str(operator)}

    async with build(tmp_path / "source", variables=said) as running:
        ran = await running.end()

    real_count.record("build")
    assert ran.failed()["leaky"].exit_code == 7
    [directory] = runs.newest_first(tmp_path / "home/.local/state/fleetpacks/runs")
    written = (directory / FILE).read_text()
    assert "with ***" in written
    assert "and ***" in written
    assert "horse" not in written
    assert "npm-password" not in written


async def test_a_run_that_never_began_leaves_a_record_that_says_why(build: Start, tmp_path: Path) -> None:
    root = write_apps(tmp_path / "source")

    async with build(root, host=f"unix://{tmp_path}/absent.sock") as running:
        ran = await running.end()
    told = await report(tmp_path)

    assert ran.code == 75
    assert (told["status"], told["exit_code"], told["builder"]) == ("failed", 75, None)
    assert "absent.sock" in told["error"]


async def test_a_directory_that_cannot_be_written_costs_the_record_and_not_the_run(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    root = write_apps(tmp_path / "source")
    (tmp_path / "file").touch()

    async with build(root, variables={"XDG_STATE_HOME": str(tmp_path / "file")}) as running:
        ran = await running.end()

    real_count.record("build", times=2)
    assert ran.code == 0
    warnings = [event.message for event in ran.events if isinstance(event, AppWarning)]
    assert warnings == [f"{tmp_path}/file/fleetpacks/runs: this run leaves no record: Not a directory"]
