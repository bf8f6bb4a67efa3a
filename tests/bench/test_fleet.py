"""The storage benchmark on the hosts of a pool: what is computed, and all of it against real hosts."""

import secrets
import signal
import subprocess  # noqa: TID251 -- a test without an event loop
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app import benchfleet
from orchestrator.app.benchfleet import about, chosen, forget
from orchestrator.app.hostfacts import Daemon, Host, Problem
from orchestrator.bench.fleet.host import between, load_of
from orchestrator.bench.fleet.leavings import copies, leavings
from orchestrator.bench.fleet.lost import Lost
from orchestrator.bench.fleet.running import Asked, measure
from orchestrator.bench.fleet.solves import parse
from orchestrator.bench.fleet.telling import POOL, notes
from orchestrator.bench.fleet.turns import counts
from orchestrator.bench.ground import steps
from orchestrator.bench.ground.shapes import UNITS
from orchestrator.bench.measured import measured
from orchestrator.bench.reading import read
from orchestrator.bench.result import Report, Sample, Series
from orchestrator.bench.work import dockerfile
from orchestrator.bench.work.builder import PackageCache, Ready
from orchestrator.bench.work.sizes import QUICK, TINY
from orchestrator.buildkit import Client, SolveRequest, SolveResult, UsageRecord
from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.capabilities import TABLE, Capabilities, Kind
from orchestrator.config import environment
from orchestrator.errors import BuilderUnreachableError, DaemonLostError, FleetpacksError, StorageError, UsageError
from remote.address import UnixAddress
from remote.address import parse as address
from remote.connect import connect
from remote.probe import Disk
from tests.bench.ground.test_counters import DISKS, STAT
from tests.buildkit.real import ROOT, Watched, client, private_daemon, request, shell_root
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
    # Its directory becomes a layer.
    assert list(tmp_path.iterdir()) == []


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
    ours = "exec python3 /fleetpacks-bench.py debs"
    records = [
        record("base", "pulled from docker.io/library/fleetpacks-bench-base@sha256:1"),
        record("step", f"mount / from {ours}", "copy"),
        record("copy", "[app 1/8] COPY fleetpacks-bench.py /fleetpacks-bench.py", "base"),
        record("lock", "[app 4/8] COPY app/lock.json /app/lock.json", "step"),
        record("cache", f'cached mount /cache/debs from {ours} with id "/fleetpacks-bench-a"'),
        record("mark", "[stage-1 1/1] COPY --from=pulled /fleetpacks-bench-mark /"),
        record("context", "local source for context", kind="source.local"),
        record("earlier", "local source for context", kind="source.local"),
        record("theirs", "mount / from exec make"),
        record("on-theirs", "[2/3] COPY app/lock.json /app/lock.json", "theirs"),
    ]

    sent = copies(records, known={"earlier"})
    found = leavings(records, known={"earlier"}, sent=sent)

    assert sent == {"context"}
    assert set(found) == {"base", "step", "copy", "lock", "cache", "mark", "context"}
    assert [each for each in found if each in {"base", "copy", "step", "lock"}] == ["lock", "step", "copy", "base"]


@pytest.mark.parametrize(
    "description",
    [
        "mount / from exec python3 step.py",
        "[3/5] COPY step.py /step.py",
        'cached mount /cache from exec python3 /step.py with id "/theirs"',
        "[2/4] COPY raw.py /raw.py",
        "[stage-1 1/1] COPY --from=pulled /mark /",
    ],
)
def test_what_others_build_by_programs_of_usual_names_is_theirs(description: str) -> None:
    assert leavings([record("theirs", description)], known=(), sent=()) == ()


def test_all_that_steps_of_ours_run_and_keep_has_our_word() -> None:
    text = dockerfile.app(dockerfile.Base(image="some"), word="a") + dockerfile.pull(dockerfile.Base(image="some"))

    steps_of_ours = [line for line in text.splitlines() if line.startswith("RUN --mount")]
    assert len(steps_of_ours) == len(dockerfile.VERBS) - 1
    assert all('"/fleetpacks-bench.py"' in line for line in steps_of_ours)
    assert "COPY --from=pulled /fleetpacks-bench-mark /" in text
    assert "fleetpacks-bench" in dockerfile.mount_id("debs", "a")


def test_a_copy_that_was_sent_while_it_is_deleted_is_not_ours() -> None:
    first = [record("ours", "local source for context", kind="source.local")]
    later = [*first, record("theirs", "local source for context", kind="source.local")]

    assert leavings(later, known=(), sent=copies(first, known=())) == ("ours",)


@given(
    st.lists(
        st.builds(
            record,
            st.sampled_from("abcdef"),
            st.sampled_from(["/fleetpacks-bench.py", "make"]),
            st.sampled_from("abcdef"),
            st.sampled_from("abcdef"),
        ),
        max_size=6,
    )
)
def test_a_daemon_may_say_that_what_it_has_stands_on_itself(records: list[UsageRecord]) -> None:
    found = leavings(records, known=(), sent=copies(records, known=()))

    assert len(found) == len(set(found))
    assert set(found) <= {each.id for each in records}


def test_a_host_that_fails_is_left_out_and_the_last_one_is_the_error() -> None:
    lost = Lost(["a", "b", "c"])
    why = DaemonLostError("the line is cut", hint="")

    assert not lost
    assert lost.add("a", why, number=None) == "a is left out: the line is cut"
    assert lost.add("b", why, number=2) == "b is left out from round 3 on: the line is cut"
    assert ("a" in lost, "b" in lost, "c" in lost) == (True, True, False)
    assert lost
    with pytest.raises(DaemonLostError):
        lost.add("c", why, number=2)


class Failing:
    """A host whose daemon is gone when it is to build: see `Host` and `Builder`."""

    version = ""
    pid = 0
    about = ""
    device = ""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.can: Capabilities = TABLE[kind]
        self.asked = 0

    @property
    def builder(self) -> "Failing":
        return self

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        self.asked += 1
        raise DaemonLostError(f"{self.name} is gone", hint=f"{request.ref} {on_status}")

    async def keep(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        raise NotImplementedError

    async def fill(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        raise NotImplementedError

    async def counters(self) -> str:
        return ""

    async def forget(self) -> str:
        return "nobody answers"


async def failed(
    hosts: list[Failing], work: Path, *, base: str, error: type[DaemonLostError | UsageError]
) -> tuple[FleetpacksError, list[str]]:
    told: list[str] = []
    asked = Asked(sizes=TINY, rounds=1, base=base)
    with pytest.raises(error) as caught:
        await measure(
            asked, hosts, left_out=["c is full"], work=work, commit="", date="", hear=lambda _: None, warn=told.append
        )
    return caught.value, told


async def test_who_is_lost_one_after_the_other_is_told_though_there_is_no_report(tmp_path: Path) -> None:
    hosts = [Failing("a", "buildkitd"), Failing("b", "buildkitd")]

    error, told = await failed(hosts, tmp_path, base="some", error=DaemonLostError)

    assert error.message == "b is gone"
    assert told[:2] == ["c is full", "a is left out: a is gone"]
    assert sorted(told[2:]) == [f"{name}: what was built stays in its cache: nobody answers" for name in "ab"]


async def test_engines_that_take_no_image_of_ours_are_not_asked_to_build_on_it(tmp_path: Path) -> None:
    host, with_base = Failing("a", "engine, graph driver"), Failing("b", "engine, graph driver")
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()

    error, _ = await failed([host], tmp_path / "1", base="", error=UsageError)
    await failed([with_base], tmp_path / "2", base="some", error=DaemonLostError)

    assert error.message == "a: its daemon takes no image of ours"
    assert "--base IMAGE" in error.hint
    assert (host.asked, with_base.asked) == (0, 1)


def host_at(at: str, *, free: int | None = None, problem: str = "") -> Host:
    disk = Disk(
        kind="ssd", filesystem="ext", device="sda", backing=None, size=10, free=free, inodes=None, inodes_free=None
    )
    return Host(
        address=at,
        state="unreachable" if problem == "gone" else "well",
        slots=1,
        slots_said=False,
        daemon=None,
        machine=None,
        unknown=None,
        disk=disk,
        problems=(Problem(kind=problem, message=f"{problem}!", hint="do"),) if problem else (),
    )


def test_builders_are_left_out_that_are_not_well_or_have_no_room_or_have_moved() -> None:
    full, known = QUICK.room - 1, QUICK.room
    hosts = [
        host_at("tcp://10.0.0.1:1", free=known),
        host_at("tcp://10.0.0.2:1", free=full),
        host_at("tcp://10.0.0.3:1"),
        host_at("tcp://10.0.0.4:1", problem="gone"),
        host_at("tcp://10.0.0.5:1", problem="same-daemon"),
        host_at("tcp://10.0.0.6:1"),
    ]
    # In another order, one that was not there before, and one that is no longer.
    addresses = [address(f"tcp://10.0.0.{number}:1") for number in (7, 5, 4, 3, 2, 1)]

    used, left_out = chosen(hosts, addresses, QUICK)

    assert [(host.address, str(at)) for host, at in used] == [(f"tcp://10.0.0.{each}:1",) * 2 for each in (1, 3)]
    assert left_out == [
        "tcp://10.0.0.2:1 is left out: 2.0 GB are free there, of 2.0 GB needed",
        "tcp://10.0.0.4:1 is left out: gone!",
        "tcp://10.0.0.5:1 is left out: same-daemon!",
        "tcp://10.0.0.6:1 is left out: its name leads elsewhere by now",
    ]


def test_where_no_builder_can_be_measured_it_is_said_why() -> None:
    full, gone = host_at("tcp://10.0.0.1:1", free=0), host_at("tcp://10.0.0.2:1", problem="gone")
    addresses = [address(each.address) for each in (full, gone)]

    with pytest.raises(StorageError, match="are free there"):
        chosen([full], addresses, QUICK)
    with pytest.raises(BuilderUnreachableError, match="gone!"):
        chosen([full, gone], addresses, QUICK)


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_pool_is_measured_and_nothing_of_it_stays_in_caches(
    *, start: Start, tmp_path: Path, lab: Lab, real_count: RealCount
) -> None:
    async with started(disk="3g") as fast, started() as slow:
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
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # of the test; the program has its own
async def test_who_presses_ctrl_c_is_told_that_all_of_it_is_deleted(tmp_path: Path, lab: Lab) -> None:
    words = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
    words += ["bench", "fleet", "--quick", "--host", f"unix://{lab.buildkitd}"]
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
    async with await anyio.open_process(words, env=variables, start_new_session=True) as process:
        assert process.stderr is not None

        heard = b""
        with anyio.fail_after(60):
            while b"\n" not in heard:
                heard += await process.stderr.receive()
            process.send_signal(signal.SIGINT)
            async for said in process.stderr:
                heard += said
            code = await process.wait()

    told = "interrupted before anything was measured; what was made on the builders is deleted"
    assert heard.decode().rstrip().splitlines()[-1] == told
    assert code == 128 + signal.SIGINT
    assert list((tmp_path / "home/.cache/fleetpacks/bench").iterdir()) == []


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_interrupts_it_leaves_nothing_in_caches(*, tmp_path: Path, lab: Lab, real_count: RealCount) -> None:
    async with started(disk="3g") as host:
        plant(tmp_path / "home", [host], host)
        words = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
        words += ["bench", "fleet", "--quick", "--host", host.url]
        variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
        async with await anyio.open_process(
            words, env=variables, cwd=Path(__file__).parents[2], stdout=None, stderr=None
        ) as process:
            with anyio.fail_after(300):
                # In the second round, and that all of the first one is gone by then.
                while not (caches := [each for each in await descriptions(host) if "r1h0" in each]):  # noqa: ASYNC110 -- of another process
                    await anyio.sleep(0.1)
                both = [each for each in await descriptions(host) if "r0h0" in each]
                process.send_signal(signal.SIGINT)
                code = await process.wait()
        left = await descriptions(host)
    real_count.record("build")

    assert code == 130
    assert caches
    assert both == []
    assert left == []
    assert list((tmp_path / "home/.cache/fleetpacks/bench").iterdir()) == []


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_host_that_is_lost_costs_neither_the_others_figures_nor_those_that_it_has(
    *, tmp_path: Path, lab: Lab, real_count: RealCount
) -> None:
    async with started(disk="3g") as stays, started(disk="3g") as goes:
        plant(tmp_path / "home", [stays, goes], stays)
        words = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
        words += ["bench", "fleet", "--quick", "--rounds", "2", "--json", str(tmp_path / "told")]
        words += ["--host", stays.url, "--host", goes.url]
        variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
        async with await anyio.open_process(
            words, env=variables, cwd=Path(__file__).parents[2], stdout=None, stderr=None
        ) as process:
            with anyio.fail_after(300):
                # In the second round.
                while not any("r1h1" in each for each in await descriptions(goes)):  # noqa: ASYNC110 -- of another process
                    await anyio.sleep(0.1)
                await goes.kill("buildkitd")
                code = await process.wait()
        left = await descriptions(stays)
    real_count.record("build")

    assert code == 0
    report = read(tmp_path / "told")
    told = measured(report)
    assert any(note.startswith(f"{goes.url} is left out from round 2 on: ") for note in report.notes)
    assert any(note.startswith(f"{goes.url}: what was built stays") for note in report.notes)
    rounds = {host.url: told.get("cache/lockfile", host.url) for host in (stays, goes)}
    assert {url: len(each.samples) if each else 0 for url, each in rounds.items()} == {stays.url: 2, goes.url: 1}
    together = told.get("scaling/2", POOL)
    assert together is not None
    assert len(together.samples) == 1
    assert left == []


class Stalled(ByteStream):
    """A connection over which a context is sent that never ends."""

    def __init__(self, below: ByteStream, at: anyio.Event) -> None:
        self._below, self._at, self._sent = below, at, 0

    async def send(self, item: bytes) -> None:
        self._sent += len(item)
        if self._sent > LARGE // 2:
            self._at.set()
            await anyio.sleep_forever()
        await self._below.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._below.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()


LARGE = 8_000_000


@pytest.mark.real
@pytest.mark.apart
async def test_what_others_build_meanwhile_stays_and_nobody_waits_for_what_they_send(
    *, lab: Lab, tmp_path: Path, real_count: RealCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchfleet, "_COPIES_SECONDS", 0.5)
    root = await shell_root()
    ours = request(ROOT + 'RUN ["/bin/sh", "-c", ": fleetpacks-bench"]\n', context=root)
    theirs = request(ROOT + 'RUN ["/bin/sh", "-c", ": /step.py"]\n', context={**root, "step.py": b"word"})
    sending = request("FROM scratch\nCOPY . /\n", context={"large": secrets.token_bytes(LARGE)})
    stalled = anyio.Event()
    left: Sequence[UsageRecord] = ()
    async with private_daemon(lab, tmp_path) as (_, socket), client(socket) as builder:

        async def slowly() -> ByteStream:
            return Stalled(await connect(UnixAddress(path=str(socket))), stalled)

        for each in (ours, theirs):
            await builder.solve(each, on_status=Watched())
        async with Client(slowly, address="") as other, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(other.solve, sending, on_status=Watched()))
            with anyio.fail_after(60):
                await stalled.wait()

            with anyio.fail_after(20):
                await forget(builder, frozenset())

            left = await builder.disk_usage()
            tasks.cancel_scope.cancel()
    real_count.record("build", times=2)
    assert not any("fleetpacks-bench" in each.description for each in left)
    assert any("/step.py" in each.description for each in left)
    assert [each.in_use for each in left if each.type == "source.local"] == [True]
