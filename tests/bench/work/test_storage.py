"""The storage benchmark, really run on directories of this machine's disk, and what is left of it."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.app import benching
from orchestrator.bench.model import Target
from orchestrator.bench.result import Report
from orchestrator.bench.work.running import Progress
from orchestrator.bench.work.sizes import TINY
from orchestrator.config import Config
from orchestrator.model import DaemonKind
from tests.conftest import RealCount
from tests.daemon.real import Traces, configured, engine_variables, traces, variables
from tests.lab import Lab

pytestmark = [
    pytest.mark.real,
    pytest.mark.apart,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces and mounts"),
]
SCENARIOS = {
    *("no-cache/first", "no-cache/again", "cache/first", "cache/source", "cache/lockfile", "cache/same"),
    *("export", "packages/keep", "import", "pull", "parallel"),
}
RAW = {"raw/fsync", "raw/sequential-write", "raw/sequential-read", "raw/small-files"}


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A socket's path must be short.
    home = tmp_path_factory.mktemp("b")
    for name in ("one", "two"):
        (home / name).mkdir()
    return home


def targets(home: Path, *names: str) -> tuple[Target, ...]:
    return tuple(Target(name=name, path=home / name) for name in names)


async def measured(
    config: Config, home: Path, *names: str, kind: DaemonKind = "buildkitd"
) -> tuple[Report, list[Progress]]:
    heard: list[Progress] = []
    report = await benching.storage(
        config,
        targets(home, *names),
        TINY,
        kind=kind,
        rounds=1,
        seed=1,
        base="",
        drop_caches=False,
        hear=heard.append,
    )
    return report, heard


async def left(home: Path, before: Traces) -> tuple[Traces, list[str]]:
    """What there is when everything had time to end, and the files on the targets and of the inputs."""
    with anyio.move_on_after(30):
        while traces(home) != before:  # noqa: ASYNC110 -- the kernel tells no one
            await anyio.sleep(0.02)
    places = (home / "one", home / "two", home / ".cache/fleetpacks/bench")
    files = [str(path) for place in places if place.exists() for path in place.iterdir()]
    return traces(home), files


# The program that gets a signal runs on asyncio, in every session.
@pytest.mark.parametrize("anyio_backend", ["trio", pytest.param("asyncio", marks=pytest.mark.full)])
async def test_every_scenario_is_measured_on_both_targets_and_nothing_is_left(
    lab: Lab, home: Path, real_count: RealCount
) -> None:
    names = ("one", "two")
    before = traces(home)

    report, heard = await measured(configured(variables(lab, home)), home, *names)
    after, files = await left(home, before)
    real_count.record("build", times=len(report.series))

    found = {(each.scenario, each.target): each for each in report.series}
    for name in names:
        assert {scenario for scenario, target in found if target == name} == SCENARIOS | RAW
    split = {"layers=one+packages=two", "layers=two+packages=one"}
    assert {target for _, target in found if "+" in target} == split
    assert all(len(each.samples) == 1 and each.samples[0].value > 0 for each in report.series)
    facts = found["no-cache/first", "one"].samples[0].facts
    assert facts.keys() >= {"step:debs", "step:wheels", "step:tarballs", "step:context", "step:export", "step:base"}
    assert facts.keys() >= {"settle", "overhead", "harness-cpu", "cpu", "iowait"}
    assert not any("does not count" in note for note in report.notes)
    assert report.settings.keys() >= {"seed", "size", "base", "daemon", *(f"target:{name}" for name in names)}
    assert heard[-1].done == heard[-1].total > 0
    assert any(each.left is not None for each in heard)
    assert after == before
    assert files == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # another daemon, the same of ours
@pytest.mark.parametrize(
    ("newer", "lacks"), [(False, {"cache/first", "export", "import", "packages/keep"}), (True, set[str]())]
)
@pytest.mark.full
async def test_a_docker_engine_is_measured_as_far_as_it_can(
    lab: Lab, home: Path, real_count: RealCount, *, newer: bool, lacks: set[str]
) -> None:
    said = await engine_variables(lab, home, newer=newer)
    before = traces(home)

    report, _ = await measured(configured(said), home, "one", kind="dockerd")
    after, files = await left(home, before)
    real_count.record("build", times=len(report.series))

    assert {each.scenario for each in report.series} == (SCENARIOS | RAW) - lacks
    assert not any("does not count" in note for note in report.notes)
    assert bool(report.notes) == bool(lacks)
    assert after == before
    assert files == []


_MEASURING = """
import signal, sys
from functools import partial
from orchestrator.app import benching
from orchestrator.bench.model import Target
from orchestrator.bench.work.sizes import TINY
from orchestrator.cli import loop
from orchestrator.config import environment, load
from orchestrator.interrupts import interrupts
from pathlib import Path

# Whoever runs these tests may have it ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
interrupts.install()
targets = [Target(name=Path(each).name, path=Path(each)) for each in sys.argv[1:]]
try:
    loop.run(partial(
        benching.storage, load(None, environment.read()), targets, TINY,
        kind="buildkitd", rounds=None, seed=1, base="", drop_caches=False,
        hear=lambda progress: print(progress.what, flush=True),
    ))
except KeyboardInterrupt:
    sys.exit(interrupts.exit_code)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # of the test; the program has its own
async def test_who_presses_ctrl_c_is_told_that_all_of_it_is_deleted(lab: Lab, home: Path) -> None:
    before = traces(home)
    words = [f"--target={name}={home / name}" for name in ("one", "two")]
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "bench", "storage", "--quick", *words]
    process = await anyio.open_process(command, env=variables(lab, home), start_new_session=True)
    assert process.stderr is not None

    heard = b""
    with anyio.fail_after(60):
        while b"getting one ready" not in heard:
            heard += await process.stderr.receive()
        process.send_signal(signal.SIGINT)
        async for said in process.stderr:
            heard += said
        code = await process.wait()
    await process.aclose()
    after, files = await left(home, before)

    assert code == 128 + signal.SIGINT
    told = "interrupted before anything was measured; what was made on one and two is deleted"
    assert heard.decode().rstrip().splitlines()[-1] == told
    assert after == before
    assert files == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.full) for each in (signal.SIGTERM, signal.SIGHUP))]
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # of the test; the program has its own
async def test_a_signal_halfway_leaves_nothing(lab: Lab, home: Path, number: signal.Signals) -> None:
    before = traces(home)
    words = [sys.executable, "-c", _MEASURING, str(home / "one"), str(home / "two")]
    process = await anyio.open_process(words, env=variables(lab, home), stderr=None, start_new_session=True)
    assert process.stdout is not None

    heard = b""
    with anyio.fail_after(60):
        while b"no-cache/again" not in heard:
            heard += await process.stdout.receive()
    there = traces(home)
    process.send_signal(number)
    with anyio.fail_after(30):
        code = await process.wait()
    await process.aclose()
    after, files = await left(home, before)

    assert any("buildkitd" in words for words in there.processes)
    assert code == 128 + number
    assert after == before
    assert files == []
