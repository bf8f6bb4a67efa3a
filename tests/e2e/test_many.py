"""Many builds at once on one daemon: none of their sessions is lost."""

from pathlib import Path

import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start, exit_code_of

pytestmark = pytest.mark.real

_APPS = 100


async def test_a_hundred_builds_at_once_all_end_well(build: Start, real_count: RealCount, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(_APPS):
        app = source / f"app{number}"
        app.mkdir(parents=True)
        (app / "message.txt").write_text(f"{number}\n")
        (app / "Dockerfile").write_text("FROM scratch\nCOPY message.txt /\n")

    async with build(source, "--jobs", str(_APPS)) as running:
        ran = await running.end()

    completed = ran.completed()
    assert (ran.code, exit_code_of(ran), ran.left, len(completed)) == (0, 0, (), _APPS)
    assert len({event.digest for event in completed.values()}) == _APPS
    real_count.record("build", times=_APPS)
