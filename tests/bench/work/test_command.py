"""`fleetpacks bench storage`, as far as no daemon is needed."""

from pathlib import Path

import pytest

from orchestrator.bench.work.running import Progress
from orchestrator.cli import measuring
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414 -- a fixture


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "--target"),
        (("--target", "here"), "expected a name and a directory"),
        (("--target", "=/tmp"), "expected a name and a directory"),
        (("--target", "a="), "expected a name and a directory"),
        (("--target", "a+b=/tmp"), "expected a name and a directory"),
        (("--target", "a=.", "--target", "a=."), "a is named twice"),
        (("--target", "a=.", "--rounds", "0"), "--rounds"),
        (("--target", "a=.", "--json", "/no/such/directory/file"), "/no/such/directory"),
        (("--target", "a=.", "--output", "/dev/null/x"), "--output"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    run: Run, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = run("bench", "storage", *words, variables={"HOME": str(tmp_path)})

    assert done.code == 2
    assert complaint in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(what="making what is built", seconds=0.2), "making what is built  (0s)"),
        (
            Progress(what="round 1: pull on a", done=3, total=40, seconds=12, left=130),
            "3/40  round 1: pull on a  (12s, about 2m10s left)",
        ),
        (
            Progress(what="round 1: pull on a", done=4, total=40, seconds=13, left=129, value=1.234),
            "4/40  round 1: pull on a: 1.23 s  (13s, about 2m09s left)",
        ),
    ],
)
def test_progress_is_told_with_an_estimate(progress: Progress, line: str) -> None:
    assert measuring.told(progress) == line
