"""`fleetpacks bench show` and `bench compare`, as people and programs see them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.bench import markdown, text
from orchestrator.bench.reading import encode
from orchestrator.bench.result import Report
from orchestrator.bench.tables import figure, tables
from orchestrator.text import inline
from tests.bench.made import drawn, rate, report, series
from tests.cli.conftest import run as run  # noqa: PLC0414 -- a fixture

Run = Callable[..., Any]

_FACTS = {
    "iowait": 0.31,
    "cpu": 3.0,
    "settle": 0.5,
    "fsync": 0.0042,
    "written": 1e8,
    "device-written": 2e8,
    "amplification": 2.0,
    "step:npm": 1.5,
    "step:ls": 0.01,
}
_STORAGE = report(
    series("cache/source", "local", [1.0, 1.1, 1.2], **_FACTS),
    series("cache/source", "cephfs", [3.0, 3.2, 3.6], **{**_FACTS, "fsync": 0.18}),
    rate("local", 4300),
    rate("cephfs", 100),
)
_TEXT = """\
storage, 2026-11-22, fleetpacks 1.0
2 cores
seed 7

What it took: the median, and where that of a repeat will lie (95 %; a question mark: hardly known)
scenario      runs  local                  cephfs
cache/source  3     1.10 s (0.74 to 1.64)  3.20 s (2.13 to 4.81)
raw/fsync     1     4300/s                 100/s

How many times as long as on local (90 % interval; a question mark: nothing is concluded)
scenario      cephfs
cache/source  2.97 (2.88 to 3.06)
raw/fsync     43.0 (one round) ?

What lies behind it: medians of the runs
scenario      target  load        iowait  cpu     sync after  fsync    written   to the device  amplification
cache/source  local   0.5 to 0.5  31%     3.00 s  0.50 s      4.20 ms  100.0 MB  200.0 MB       2.00
cache/source  cephfs  0.5 to 0.5  31%     3.00 s  0.50 s      180 ms   100.0 MB  200.0 MB       2.00

Where the time went: seconds of build steps
scenario      step  local  cephfs
cache/source  npm   1.50   1.50

layers (the daemon's directory): on local
  cephfs takes 2.97 (2.88 to 3.06) times as long, in 3 rounds
  cache/source: 3.20 s instead of 1.10 s
on cephfs, beside local:
  an fsync took 42.9 times as long beside the builds
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, made: Report) -> Path:
        path = tmp_path / name
        path.write_bytes(encode(made))
        return path

    return write


def test_a_report_is_shown_as_tables_with_its_verdict(run: Run, file: Callable[..., Path]) -> None:
    ran = run("bench", "show", file("a.json", _STORAGE))

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == _TEXT


def test_a_report_is_shown_as_json_that_is_the_report(run: Run, file: Callable[..., Path]) -> None:
    ran = run("bench", "show", "--format", "json", file("a.json", _STORAGE))

    assert msgspec.json.decode(ran.out, type=Report) == _STORAGE


def test_a_report_is_shown_as_markdown(run: Run, file: Callable[..., Path]) -> None:
    ran = run("bench", "show", "--format", "markdown", file("a.json", _STORAGE))

    assert "| cache/source | 3 | 1.10 s (0.74 to 1.64) | 3.20 s (2.13 to 4.81) |\n" in ran.out
    assert "\n- layers (the daemon's directory): on local\n  - cephfs takes" in ran.out


def test_an_interval_that_says_nothing_is_not_shown_as_if_it_did() -> None:
    made = report(series("pull", "a", [1, 30]), series("pull", "b", [1, 1.1]))

    shown = "\n".join(text.lines(made))

    assert "pull      2     15.5 s (?)  1.05 s (" in shown
    assert "\npull      0.19 (?)\n" in shown


@settings(max_examples=40)
@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.lists(st.floats(0.001, 1e5), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(sorted(_FACTS)), st.floats(0, 1e12)),
)
@example("\xa0", [1.0], {})
def test_a_table_keeps_its_columns_whatever_a_name_is(name: str, values: list[float], facts: dict[str, float]) -> None:
    made = report(series("pull", name, values, **facts), series("pull", "b", values))

    for line in markdown.table(made).splitlines():
        assert not line.startswith("|") or line.endswith("|")
    # Not `isprintable`: to that, no blank is printable but one.
    assert all(inline(line, len(line)) == line for line in text.lines(made))
    for each in tables(made):
        assert {len(row) for row in each.rows} == {len(each.head)}


@given(st.floats(1e-6, 1e9))
def test_a_number_is_never_written_with_an_exponent_that_people_would_have_to_read(value: float) -> None:
    assert float(figure(value)) == pytest.approx(value, rel=0.06)
    assert value < 1e-4 or "e" not in figure(value)


@pytest.mark.parametrize(("takes", "code", "said"), [(2.0, 0, "0 worse"), (6.0, 1, "WORSE"), (0.5, 0, "better")])
def test_what_became_worse_ends_with_1(run: Run, file: Callable[..., Path], takes: float, code: int, said: str) -> None:
    before, after = (drawn({"local": each}, rounds=5, noise=0.02, seed=3) for each in (2.0, takes))

    ran = run("bench", "compare", file("a.json", before), file("b.json", after))

    assert (ran.code, ran.err) == (code, "")
    assert said in ran.out


def test_a_comparison_is_data_too(run: Run, file: Callable[..., Path]) -> None:
    before, after = (drawn({"local": each}, rounds=5, noise=0.02, scenarios=["pull"]) for each in (2.0, 4.0))

    ran = run("bench", "compare", "--json", file("a.json", before), file("b.json", after))

    document = json.loads(ran.out)
    assert (ran.code, document["format"], document["regressions"]) == (1, 1, 1)
    assert document["changed"][0]["name"] == "pull on local"


def test_what_is_not_comparable_is_refused_until_it_is_forced(run: Run, file: Callable[..., Path]) -> None:
    one = file("a.json", report(series("pull", "local", [1, 1])))
    other = file("b.json", report(series("pull", "local", [1, 1]), settings={"seed": "8"}))

    ran, forced = run("bench", "compare", one, other), run("bench", "compare", "--force", one, other)

    assert (ran.code, ran.out) == (2, "")
    assert "are not comparable: seed is '7' in one, '8' in the other\nhint: Measure both alike" in ran.err
    assert forced.code == 0
    assert forced.out.startswith("not comparable, and compared all the same: seed is ")


@pytest.mark.parametrize("words", [["show", "BROKEN"], ["compare", "BROKEN", "WHOLE"], ["compare", "WHOLE", "BROKEN"]])
def test_a_damaged_report_is_an_error_with_its_name(run: Run, file: Callable[..., Path], words: list[str]) -> None:
    paths = {"WHOLE": file("whole.json", _STORAGE), "BROKEN": file("broken.json", _STORAGE)}
    paths["BROKEN"].write_bytes(paths["BROKEN"].read_bytes()[:-100])

    ran = run("bench", *(paths.get(word, word) for word in words))

    assert (ran.code, ran.out) == (2, "")
    assert f"error: {paths['BROKEN']}: no report of a benchmark: " in ran.err
    assert "\nhint: Measure anew" in ran.err


@pytest.mark.parametrize("name", ["a.pdf", "a"])
def test_a_picture_has_a_name_that_says_its_kind(run: Run, file: Callable[..., Path], name: str) -> None:
    ran = run("bench", "show", "--plot", name, file("a.json", _STORAGE))

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: --plot {name}: not the name of a picture\nhint: Let it end in .png or .svg.\n"


def test_without_matplotlib_a_picture_is_an_error_that_names_the_extra(
    run: Run, file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python does for a module that is not there.
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    ran = run("bench", "show", "--plot", tmp_path / "a.svg", file("a.json", _STORAGE))

    assert (ran.code, ran.out) == (2, "")
    assert "a picture needs matplotlib" in ran.err
    assert "hint: pip install 'fleetpacks[plots]'" in ran.err
    assert not (tmp_path / "a.svg").exists()
