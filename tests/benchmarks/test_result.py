"""What the benchmarks claim: the statistics, the counting, and that documents show what was committed."""

import math
import re
import statistics
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import documents
from benchmarks.commands import our_steps, raw_steps
from benchmarks.tap import tapped
from orchestrator.bench.markdown import table
from orchestrator.bench.result import Report, Result, Side, median_interval, timing
from orchestrator.events import AppCompleted, Event, StepCompleted
from tests.buildkit.real import client
from tests.lab import Lab

_CHECKOUT = Path(__file__).parents[2]
_NAMES = "|".join(documents.PLACES)
_TABLE = re.compile(rf"(<!-- (?:{_NAMES}): begin -->\n).*?(?=<!-- (?:{_NAMES}): end -->)", re.DOTALL)
_SIDE = Side(command=("true",), median=1.0, solves=40, executed=0, cached=80)
_RESULT = Result(
    name="a",
    unit="s",
    ours=_SIDE,
    theirs=_SIDE,
    ratio=1.0,
    interval=(0.9, 1.1),
    bar=1.15,
    rounds=15,
    void=0,
    load=(0, 1),
)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=40))
def test_the_interval_holds_the_median_and_is_made_of_measurements(values: list[float]) -> None:
    low, high = median_interval(values)

    assert low <= statistics.median(values) <= high
    assert {low, high} <= set(values)


def test_fifteen_pairs_give_the_fourth_and_the_twelfth() -> None:
    # Five values or more on one side of the median at both ends: 88 %, too little; four: 96 %.
    assert 1 - 2 * sum(math.comb(15, k) for k in range(5)) / 2**15 < 0.90
    assert median_interval(list(range(1, 16))) == (4, 12)


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({}, True),
        ({"interval": (1.0, 1.2)}, False),
        ({"bar_on": "ours", "bar": 0.5}, False),
        ({"bar_on": "ours"}, True),
    ],
)
def test_a_bar_is_met_by_the_intervals_upper_end_or_by_our_own_median(change: dict[str, object], *, met: bool) -> None:
    assert msgspec.convert({**msgspec.to_builtins(_RESULT), **change}, Result).met is met


def test_both_sides_count_the_same_steps() -> None:
    raw = (
        b'{"vertexes":[{"digest":"a","name":"[1/2] FROM x","completed":"t"}]}\n'
        b'{"vertexes":[{"digest":"b","name":"[2/2] COPY . .","completed":"t"}]}\n'
        b'{"vertexes":[{"digest":"b","name":"[2/2] COPY . .","completed":"t","cached":true}]}\nnoise\n'
    )
    ours: tuple[Event, ...] = (
        StepCompleted(time=1, app="a", step="a", name="[1/2] FROM x", cached=False, seconds=0),
        StepCompleted(time=1, app="a", step="b", name="[2/2] COPY . .", cached=True, seconds=0),
        StepCompleted(time=1, app="b", step="b", name="[2/2] COPY . .", cached=True, seconds=0),
        AppCompleted(
            time=1, app="a", image="i", tags=(), digest="sha256:1", seconds=1, steps=1, cached=1, sent_bytes=1
        ),
    )

    steps, digests = our_steps(b"\n".join(msgspec.json.encode(event) for event in ours))

    assert raw_steps([raw]) == steps
    assert digests == {"a": "sha256:1"}


def test_a_documents_table_is_made_of_the_committed_result() -> None:
    for name, places in documents.PLACES.items():
        report = documents.read(name)
        for place in places:
            text = (documents.ROOT / place).read_text(encoding="utf-8")
            assert documents.filled(text, name, report) == text


def test_all_tables_are_made_anew_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in {place for places in documents.PLACES.values() for place in places}:
        text = (documents.ROOT / place).read_text(encoding="utf-8")
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(_TABLE.sub(r"\1Forged.\n", text), encoding="utf-8")
    monkeypatch.setattr(documents, "ROOT", tmp_path)

    ended = documents.main()

    assert ended == 0
    for place in {place for places in documents.PLACES.values() for place in places}:
        made, committed = ((root / place).read_text(encoding="utf-8") for root in (tmp_path, _CHECKOUT))
        assert made == committed


def test_a_table_has_a_row_for_every_result() -> None:
    report = Report(benchmark="peers", date="2026-01-01", commit="c", machine="m", results=(_RESULT, _RESULT))

    rows = table(report).splitlines()

    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    with pytest.raises(ValueError, match="peers: begin"):
        documents.filled("no marks", "peers", report)


def test_seconds_without_a_peer_are_held_to_their_worst_run() -> None:
    slow, quick = (timing("a", ["true"], [0.5, worst, 0.4], bar=0.6, loads=[0.2, 0.1]) for worst in (0.7, 0.6))
    report = Report(benchmark="plan", date="2026-01-01", commit="c", machine="m", results=(), timings=(slow, quick))

    rows = table(report).splitlines()

    assert (slow.met, quick.met, report.met) == (False, True, False)
    assert rows[2:] == [
        "| a | 0.6 s: MISSED | 0.70 s | 0.50 s | 3 |",
        "| a | 0.6 s: met | 0.60 s | 0.50 s | 3 |",
    ]


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_tap_counts_bytes_and_no_solve_where_none_is(lab: Lab, tmp_path: Path) -> None:
    socket = tmp_path / "tap.sock"

    async with tapped(lab.buildkitd, socket) as tap:
        async with client(socket) as daemon:
            await daemon.workers()
        counted = (tap.sent > 100, tap.received > 100, tap.solves)

    assert counted == (True, True, 0)
    assert not await anyio.Path(socket).exists()
