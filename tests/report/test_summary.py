"""The job summary: a table that nothing in it can break."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.events import AppCancelled, AppCompleted, AppFailed
from orchestrator.report.summary import Outcome, append, markdown
from tests.engine.test_run import plan_of


def failed(app: str, message: str) -> AppFailed:
    return AppFailed(time=1, app=app, kind="build", message=message, hint="h", transient=False, seconds=2.5)


def plain(cell: str) -> str:
    """A cell's text without its escapes."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip())


def cells(line: str) -> list[str]:
    return [plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table(text: str) -> list[list[str]]:
    return [cells(line) for line in text.splitlines() if line.startswith("| ")][1:]


def test_each_app_has_a_row_with_its_result_digest_and_time() -> None:
    done = AppCompleted(
        time=1, app="a", image="r/a", tags=("r/a:1",), digest="sha256:1f", seconds=4, steps=5, cached=4, sent_bytes=1
    )
    cancelled = AppCancelled(time=1, app="c", reason="interrupted")
    outcomes: dict[str, Outcome] = {"a": done, "b": failed("b", "make: 2"), "c": cancelled}

    text = markdown(plan_of("a", "b", "c", "d"), outcomes, error=None)

    assert text.startswith("### fleetpacks: 1 succeeded, 1 failed, 2 not built\n")
    rows = table(text)
    assert [row[:2] for row in rows] == [
        ["a", "done"], ["b", "failed: make: 2"], ["c", "cancelled (interrupted)"], ["d", "not built"],
    ]  # fmt: skip
    assert rows[0][2:] == ["r/a:1", "sha256:1f", "4/5", "4.0 s"]
    assert rows[1][5] == "2.5 s"


@pytest.mark.parametrize(
    ("revision", "shown"),
    [
        (None, "skipped, unchanged"),
        ("6e193e554ca6" + "0" * 28, "skipped, unchanged since 6e193e554ca6"),
        ("6e193e554ca6" + "0" * 28 + "-dirty", "skipped, unchanged since 6e193e554ca6-dirty"),
        ("6e193e5", "skipped, unchanged since 6e193e5"),
        ("6e193e5-dirty", "skipped, unchanged since 6e193e5-dirty"),
    ],
)
def test_a_skipped_app_has_the_revision_and_whether_its_files_were_others(revision: str | None, shown: str) -> None:
    done = AppCompleted(
        time=1, app="a", image="r/a", tags=(), digest=None, seconds=4, steps=0, cached=0, sent_bytes=0, skipped=True,
        revision=revision,
    )  # fmt: skip

    assert table(markdown(plan_of("a"), {"a": done}, error=None))[0][1] == shown


def test_a_run_that_never_began_says_why() -> None:
    text = markdown(plan_of("a"), {}, error="unix:///b: nothing answers\n| there")

    assert plain(text.splitlines()[2]) == "unix:///b: nothing answers | there"
    assert table(text)[0][1] == "not built"


@given(st.text())
def test_no_text_is_markup_or_another_row(text: str) -> None:
    rendered = markdown(plan_of("a"), {"a": failed("a", text)}, error=None)

    [row] = [line for line in rendered.splitlines() if line.startswith("| a ")]
    assert len(cells(row)) == 6
    assert re.search(r"(?<!\\)[<>`*\[]", re.sub(r"\\\\", "", row)) is None


@pytest.mark.parametrize("character", ["<", "\u6f22", "\U0001f3d7"])
def test_a_thousand_rows_stay_within_what_github_takes(character: str) -> None:
    names = [f"a{number}" for number in range(1000)]

    text = markdown(plan_of(*names), {name: failed(name, character * 5000) for name in names}, error=None)

    assert len(text.encode()) < 1024 * 1024
    assert "more" in text.splitlines()[-2]


def test_what_stands_in_the_summary_already_stays(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")

    append(file, "after\n")

    assert file.read_text() == "before\nafter\n"
