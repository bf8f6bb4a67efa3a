"""What a build needed of memory, by the provenance that real daemons made on a host with cgroup v2.

Both records are of one Dockerfile, built under Debian's user-mode-linux (6.1, 1 GB, `/sys/fs/cgroup` of type cgroup2,
runc 1.1.5): of two stages, one runs `dd bs=100M count=5` into a file, the other `dd bs=200M` into nothing, for longer.
"""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit.protos import control_pb2
from orchestrator.buildkit.resources import MemoryUse, memory_use
from orchestrator.errors import ProtocolError
from tests.buildkit.daemon import Daemon, connected
from tests.buildkit.real import ROOT, client, request, shell_root
from tests.buildkit.test_client import Collected
from tests.conftest import RealCount
from tests.lab import Lab

RECORDED = Path(__file__).with_name("recorded") / "provenance"
MB = 1 << 20
Step = tuple[str, tuple[str, ...], list[dict[str, Any]]]
NOTHING = MemoryUse(needed=None, available=None)
_MOMENTS = st.integers(0, 20)
_BYTES = st.integers(0, 1 << 40)


def sample(second: float, **stat: int) -> dict[str, Any]:
    """One of a step's samples, `second` seconds after a moment."""
    return {"timestamp": f"2026-11-22T03:00:{second:012.9f}Z", "memoryStat": stat}


def document(*steps: Step, available: tuple[int, ...] = ()) -> bytes:
    """A provenance with steps: their name, what they need, and their samples."""
    listed = [
        {"id": name, "inputs": [f"{each}:0" for each in needs], "resourceUsage": {"samples": samples}}
        for name, needs, samples in steps
    ]
    moments = [{"memoryStat": {"available": each}} for each in available]
    return json.dumps(
        {
            "buildDefinition": {"internalParameters": {"buildConfig": {"llbDefinition": listed}}},
            "runDetails": {"metadata": {"buildkit_metadata": {"sysUsage": moments}}},
        }
    ).encode()


@pytest.mark.parametrize("version", ["v0.13.2", "v0.30.0"])
def test_steps_that_ran_at_the_same_time_need_what_they_held_together(version: str) -> None:
    # Of two stages, one holds 100 MiB and writes 500 MiB of files, the other holds 200 MiB.
    data = (RECORDED / f"{version}-cgroup2.json").read_bytes()

    use = memory_use([data])

    assert use.needed is not None
    assert use.available is not None
    assert 300 * MB < use.needed < 330 * MB
    # The host has 1 GiB.
    assert 900 * MB < use.available < 1024 * MB


_NEEDED: list[tuple[list[Step], int | None]] = [
    # The larger one of what samples saw, and of the peak without the page cache.
    ([("a", (), [sample(2, anon=5, kernelStack=1, pageTables=1), sample(9, anon=0)])], 7),
    ([("a", (), [sample(2, anon=5, peak=5), sample(9, peak=20, file=8)])], 12),
    ([("a", (), [sample(2, anon=15, peak=20), sample(9, peak=20, file=18)])], 15),
    # Files in memory are no page cache.
    ([("a", (), [sample(2, shmem=9, file=9, peak=12), sample(9, shmem=9, file=9, peak=12)])], 12),
    # A step that was over before its first sample has one.
    ([("a", (), [sample(1, peak=6)])], 6),
    # One after another, because one needs the other, or because they did.
    ([("a", (), [sample(9, peak=6)]), ("b", ("a",), [sample(9.5, peak=7)])], 7),
    ([("a", (), [sample(9, peak=6)]), ("f", ("a",), []), ("b", ("f",), [sample(9.5, peak=7)])], 7),
    ([("a", (), [sample(2, peak=6)]), ("b", (), [sample(4, peak=7), sample(8, peak=7)])], 7),
    # At the same time.
    ([("a", (), [sample(9, peak=6)]), ("b", (), [sample(9.5, peak=7)])], 13),
    # Nothing was measured: cgroup v1, a step that was found cached, a cgroup without its controller.
    ([], None),
    ([("a", (), [])], None),
    ([("a", (), [{"timestamp": "2026-11-22T03:00:00Z"}])], None),
]


@pytest.mark.parametrize(("steps", "needed"), _NEEDED)
def test_what_steps_needed(steps: list[Step], needed: int | None) -> None:
    assert memory_use([document(*steps)]).needed == needed


def test_platforms_of_one_build_are_built_at_once_on_one_host() -> None:
    one = document(("a", (), [sample(1, peak=6)]), available=(10, 30))
    two = document(("a", (), [sample(1, peak=7)]), available=(20,))

    use = memory_use([one, two])

    assert use == MemoryUse(needed=13, available=30 * 1024)


@given(
    st.lists(
        st.tuples(_MOMENTS, st.lists(st.tuples(_BYTES, _BYTES, _BYTES), min_size=1, max_size=4), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_a_build_needs_no_less_than_any_step_and_no_more_than_all(
    said: list[tuple[int, list[tuple[int, int, int]], bool]],
) -> None:
    steps: list[Step] = []
    for number, (start, figures, chained) in enumerate(said):
        samples = [
            sample(start + 2 * later, anon=anon, file=file, peak=anon + file + other)
            for later, (anon, file, other) in enumerate(figures)
        ]
        steps.append((f"step{number}", (f"step{number - 1}",) if chained and number else (), samples))
    each = [memory_use([document((name, (), samples))]).needed or 0 for name, _, samples in steps]

    needed = memory_use([document(*steps)]).needed

    assert needed is not None
    assert max(each) <= needed <= sum(each)
    if all(chained for _, _, chained in said[1:]):
        assert needed == max(each)


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())
)
def test_what_is_no_provenance_says_nothing(data: bytes) -> None:
    assert memory_use([data]) == NOTHING


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-11-22T03:00:00"])
def test_a_clock_that_is_wrong_hurts_nobody(moment: str) -> None:
    data = document(("a", (), [{"timestamp": moment, "memoryStat": {"peak": 6}}]))

    assert memory_use([data]).needed in {6, None}


async def test_only_provenance_is_read_and_only_as_much_as_can_be() -> None:
    def attestation(kind: str, size: int) -> control_pb2.Descriptor:
        return control_pb2.Descriptor(digest="sha256:0", size=size, annotations={"in-toto.io/predicate-type": kind})

    sbom, endless = (
        attestation("https://spdx.dev/Document", 9),
        attestation("https://slsa.dev/provenance/v1", 1 << 40),
    )
    info = control_pb2.BuildResultInfo(attestations=[sbom, endless])
    async with connected(Daemon(records=(control_pb2.BuildHistoryRecord(ref="r", result=info),))) as builder:
        use = await builder.memory_use("r")

    assert use == NOTHING


async def test_a_daemon_without_contents_is_one_of_our_errors() -> None:
    provenance = control_pb2.Descriptor(
        digest="sha256:0", size=9, annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
    )
    info = control_pb2.BuildResultInfo(attestations=[provenance])
    async with connected(Daemon(records=(control_pb2.BuildHistoryRecord(ref="r", result=info),))) as builder:
        with pytest.raises(ProtocolError):
            await builder.memory_use("r")


@pytest.mark.real
async def test_a_daemon_tells_of_its_host_and_where_cgroups_are_v2_of_the_steps(
    lab: Lab, real_count: RealCount
) -> None:
    build = request(
        f"{ROOT}RUN head -c 64000000 /dev/zero | tail -c 64000000 >/dev/null\n",
        context=await shell_root("/usr/bin/head", "/usr/bin/tail"),
    )
    total = int((await anyio.Path("/proc/meminfo").read_text()).split()[1]) * 1024
    measured = await anyio.Path("/sys/fs/cgroup/cgroup.controllers").exists()

    async with client(lab.buildkitd) as builder:
        await builder.solve(build, on_status=Collected())
        use = await builder.memory_use(build.ref)

    assert use.available is not None
    assert total / 100 < use.available <= total
    assert (use.needed is not None and use.needed > 64_000_000) if measured else use.needed is None
    real_count.record("build")
