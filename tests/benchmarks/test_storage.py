"""What the project's own cases of the storage benchmark compute."""

from pathlib import Path

import msgspec

from benchmarks.storage import repeats
from benchmarks.storage.reported import REPORTED, table
from orchestrator.bench.result import Report
from tests.bench.made import drawn


def _kept(seed: int, *, takes: float = 2.0) -> Report:
    made = drawn({"local": takes, "cephfs": 3 * takes}, rounds=5, noise=0.1, seed=seed)
    return msgspec.structs.replace(made, settings={**made.settings, "told.seconds": "170.5"})


def test_the_reported_table_stands_beside_what_was_measured() -> None:
    made = drawn({"local": 40, "cephfs": 100}, rounds=5, noise=0.02)

    rows = table(made).splitlines()[2:]

    assert len(rows) == 6
    assert rows[0].startswith(
        "| no cache, first build | 30 to 120 s | 60 to 300 s | 2.00 to 2.50 | `no-cache/first` | "
    )
    assert "out of the range" not in rows[0]
    assert rows[-1].startswith("| | | | | `cache/same` | ")


def test_a_ratio_that_the_reported_ranges_rule_out_is_marked() -> None:
    made = drawn({"local": 1, "cephfs": 11}, rounds=5, noise=0.02)

    rows = table(made).splitlines()[2:]

    assert [row.count("out of the range") for row in rows] == [1] * 6


def test_what_was_not_measured_has_a_row_that_says_so() -> None:
    assert table(drawn({"local": 1}, rounds=2, noise=0.1)).count("not measured") == sum(
        len(each.scenarios) for each in REPORTED
    )


def test_repeats_of_one_thing_agree_in_nine_of_ten_and_those_of_another_do_not() -> None:
    alike = repeats.figures([_kept(seed) for seed in range(11)])
    other = repeats.figures([_kept(seed, takes=1 + seed % 2) for seed in range(11)])

    assert (alike[0].met, other[0].met) == (True, False)
    # Eight scenarios on two targets, in ten repeats.
    assert alike[0].note.endswith("of 160 scenarios on targets in 10 repeats")
    assert [(each.value, each.met) for each in (alike[1], other[1])] == [(170.5, True)] * 2
    assert len(alike) == 3 + 16


def test_measurements_are_kept_without_their_facts_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    made = [_kept(1), _kept(2)]

    file.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in made))

    assert repeats.read(file) == made
    assert repeats.read(tmp_path / "none.jsonl") == []


def test_a_measurement_alone_agrees_with_nothing() -> None:
    assert repeats.figures([_kept(1)])[0].met is False
