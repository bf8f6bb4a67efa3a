"""The storage benchmark on the hosts of a pool: what is computed, and all of it against real hosts."""

import signal
import subprocess  # noqa: TID251 -- a test without an event loop
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.benchfleet import about
from orchestrator.app.hostfacts import Daemon, Host
from orchestrator.bench.fleet.host import between, load_of
from orchestrator.bench.fleet.leavings import leavings
from orchestrator.bench.fleet.solves import parse
from orchestrator.bench.fleet.telling import POOL, notes
from orchestrator.bench.fleet.turns import counts
from orchestrator.bench.ground import steps
from orchestrator.bench.ground.shapes import UNITS
from orchestrator.bench.measured import measured
from orchestrator.bench.reading import read
from orchestrator.bench.result import Report, Sample, Series
from orchestrator.buildkit import UsageRecord
from orchestrator.config import environment
from remote.probe import Disk
from tests.bench.ground.test_counters import DISKS, STAT
from tests.buildkit.real import client
from tests.cli.conftest import start as start  # noqa: PLC0414 -- a fixture
from tests.cli.test_hosts import plant
from tests.conftest import RealCount
from tests.lab import Lab
from tests.lab.hosts import Host as LabHost
from tests.lab.hosts import started

Start = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize(
    ("hosts", "with_so_many"), [(1, ()), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (9, (1, 2, 3, 5, 9))]
)
def test_a_pool_is_measured_with_one_host_with_all_and_with_half_as_many_each_time(
    hosts: int, with_so_many: tuple[int, ...]
) -> None:
    assert counts(hosts) == with_so_many


def test_a_machine_of_which_nothing_is_told_has_no_facts() -> None:
    assert between("", "", "") == {}
    assert load_of("") is None


def test_what_a_machine_counts_is_told_of_the_disk_below_its_daemon() -> None:
    before = f"0.52 0.1 0.1 1/9 9\n{STAT}{DISKS}"
    after = before.replace("cpu  100 10 50 800 40", "cpu  150 10 50 900 90").replace(" 4096 ", " 4106 ")

    facts = between(before, after, "loop3")

    assert facts == {"cpu": 0.5, "iowait": pytest.approx(50 / 200), "device-written": 5120}
    assert load_of(before) == 0.52


@given(st.text(), st.text(), st.text())
def test_whatever_a_host_says_of_itself_is_no_error(before: str, after: str, device: str) -> None:
    facts = between(before, after, device)

    assert all(value >= 0 for value in facts.values())
    assert (load_of(before) or 0.0) >= 0


def test_the_step_that_measures_from_within_says_what_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.main(str(tmp_path), 0.05)

    found = parse(capsys.readouterr().out.encode())
    assert list(found) == list(UNITS)
    assert all(value > 0 for value in found.values())


def test_it_needs_nothing_but_the_interpreter(tmp_path: Path) -> None:
    lacking = "import os, sys; sys.path = []; sys.argv = ['', sys.argv[1], '0.01']; exec(open({!r}).read())"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", lacking.format(steps.__file__), str(tmp_path)],
        check=True,
        capture_output=True,
    )

    assert set(parse(done.stdout)) == set(UNITS)


@given(st.binary())
def test_whatever_a_step_says_is_no_error(said: bytes) -> None:
    assert set(parse(said)) <= set(UNITS)


@pytest.mark.parametrize(
    "said",
    [b"raw/fsync 0.000000\n", b"raw/else 1.000000\n", b"raw/fsync -1.000000\n", b"raw/fsync nan\n", b"raw/fsync 1"],
)
def test_what_is_no_figure_is_none(said: bytes) -> None:
    assert parse(said) == {}


def test_a_builder_is_told_with_what_its_directory_lies_on() -> None:
    daemon = Daemon(
        kind="buildkitd",
        version="v0.30.0",
        worker="w",
        snapshotter="overlayfs",
        platforms=(),
        latency_ms=1.0,
        running=0,
        cache=0,
    )
    disk = Disk(
        kind="loop",
        filesystem="ext",
        device="loop3",
        backing="ceph",
        size=10,
        free=2_000_000_000,
        inodes=0,
        inodes_free=0,
    )
    host = Host(
        address="ssh://a", state="well", slots=1, slots_said=False, daemon=daemon, machine=None, unknown=None, disk=disk
    )

    assert about(host) == "buildkitd, v0.30.0, overlayfs, ext on loop (ceph)"


def series(scenario: str, target: str, *values: float) -> Series:
    samples = tuple(Sample(round=number, value=value, load=0.0) for number, value in enumerate(values))
    return Series(scenario=scenario, target=target, unit="s", better="less", samples=samples)


def test_scaling_and_affinity_are_told_by_rounds() -> None:
    report = Report(
        benchmark="fleet",
        date="",
        commit="",
        machine="",
        results=(),
        series=(
            series("scaling/1", POOL, 8.0, 16.0),
            series("scaling/2", POOL, 4.0, 8.0),
            series("cache/source", "a", 1.0, 2.0),
            series("cache/source-elsewhere", "a", 3.0, 6.0),
            # It has never been measured at home.
            series("cache/source-elsewhere", "b", 1.0, 1.0),
        ),
    )

    three = "3.00 (3.00 to 3.00)"
    assert list(notes(report)) == [
        "2 hosts together: 2.00 (2.00 to 2.00) times as fast as one",
        f"a changed source on a host that has built the app before: {three} times as fast as on one that has never",
    ]


def test_one_host_alone_tells_of_neither() -> None:
    report = Report(
        benchmark="fleet", date="", commit="", machine="", results=(), series=(series("cache/source", "a", 1.0),)
    )

    assert list(notes(report)) == []


def record(name: str, description: str, *parents: str, kind: str = "regular") -> UsageRecord:
    return UsageRecord(
        id=name,
        parents=parents,
        type=kind,
        description=description,
        size=1,
        created=None,
        last_used=None,
        usage_count=1,
        in_use=False,
        mutable=False,
        shared=False,
    )


def test_what_was_built_is_found_with_all_that_stands_on_it_and_nothing_else() -> None:
    records = [
        record("base", "pulled from docker.io/library/fleetpacks-bench-base@sha256:1"),
        record("step", "mount / from exec python3 /step.py debs", "copy"),
        record("copy", "[app 1/8] COPY step.py /step.py", "base"),
        record("lock", "[app 4/8] COPY app/lock.json /app/lock.json", "step"),
        record("cache", 'cached mount /cache/debs from exec python3 /step.py debs with id "/bench-a"'),
        record("mark", "[stage-1 1/1] COPY --from=pulled /mark /"),
        record("context", "local source for context", kind="source.local"),
        record("earlier", "local source for context", kind="source.local"),
        record("theirs", "mount / from exec make"),
        record("step-of-theirs", "mount / from exec /laststep.pyc"),
        record("on-theirs", "[2/3] COPY app/lock.json /app/lock.json", "theirs"),
    ]

    found = leavings(records, known={"earlier"})

    assert set(found) == {"base", "step", "copy", "lock", "cache", "mark", "context"}
    assert [each for each in found if each in {"base", "copy", "step", "lock"}] == ["lock", "step", "copy", "base"]


@given(
    st.lists(
        st.builds(
            record,
            st.sampled_from("abcdef"),
            st.sampled_from(["/step.py", "make"]),
            st.sampled_from("abcdef"),
            st.sampled_from("abcdef"),
        ),
        max_size=6,
    )
)
def test_a_daemon_may_say_that_what_it_has_stands_on_itself(records: list[UsageRecord]) -> None:
    found = leavings(records, known=())

    assert len(found) == len(set(found))
    assert set(found) <= {each.id for each in records}


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_pool_is_measured_and_nothing_of_it_stays_in_caches(
    *, start: Start, tmp_path: Path, lab: Lab, real_count: RealCount
) -> None:
    async with started(disk="1g") as fast, started() as slow:
        plant(tmp_path / "home", [fast, slow], slow)
        words = [word for url in (fast.url, slow.url, f"unix://{tmp_path}/none") for word in ("--host", url)]

        ran = await start("bench", "fleet", "--quick", "--rounds", "1", "--json", str(tmp_path / "told"), *words)

        left = [await descriptions(host) for host in (fast, slow)]
    assert ran.code == 0, ran.err
    real_count.record("build", times=20)
    report = read(tmp_path / "told")
    told = measured(report)
    assert report.benchmark == "fleet"
    assert set(told.targets) == {fast.url, slow.url, POOL}
    assert {"transfer", "no-cache/again", "cache/source", "cache/source-elsewhere", "pull", *UNITS} <= set(
        told.scenarios
    )
    assert told.get("scaling/1", POOL) is not None
    assert told.get("scaling/2", POOL) is not None
    assert "tmpfs on memory" in report.settings[f"host:{fast.url}"]
    assert any("none is left out" in note for note in report.notes)
    sources = [told.get("cache/source", host.url) for host in (fast, slow)]
    assert all(each is not None and each.samples[0].facts["cpu"] > 0 for each in sources)
    assert left == [[], []]


async def descriptions(host: LabHost) -> list[str]:
    async with client(host.buildkitd) as builder:
        return [each.description for each in await builder.disk_usage()]


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_interrupts_it_leaves_nothing_in_caches(*, tmp_path: Path, lab: Lab, real_count: RealCount) -> None:
    async with started(disk="1g") as host:
        plant(tmp_path / "home", [host], host)
        words = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
        words += ["bench", "fleet", "--quick", "--host", host.url]
        variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
        async with await anyio.open_process(
            words, env=variables, cwd=Path(__file__).parents[2], stdout=None, stderr=None
        ) as process:
            with anyio.fail_after(300):
                while not any("/step.py" in each for each in await descriptions(host)):  # noqa: ASYNC110 -- of another process
                    await anyio.sleep(0.1)
                process.send_signal(signal.SIGINT)
                code = await process.wait()
        left = await descriptions(host)
    real_count.record("build")

    assert code == 130
    assert left == []
    assert list((tmp_path / "home/.cache/fleetpacks/bench").iterdir()) == []
