"""Pictures of reports, with matplotlib, which is an extra: it is installed for these tests, beside everything else."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import anyio
import pytest

from orchestrator.bench.reading import encode
from orchestrator.bench.result import Report, Result, Side, timing
from orchestrator.config import environment
from tests.bench.made import drawn, rate, report

pytestmark = pytest.mark.full

_ROOT = Path(__file__).parents[2]
_SIDE = Side(command=("true",), median=1.0, solves=0, executed=0, cached=0)
_PEERS = Report(
    benchmark="peers",
    date="2026-11-22",
    commit="c",
    machine="2 cores",
    results=(
        Result(
            name="a $ b",
            unit="s",
            ours=_SIDE,
            theirs=_SIDE,
            ratio=1,
            interval=(0.9, 1.1),
            bar=1.15,
            rounds=15,
            void=0,
            load=(0, 1),
        ),
    ),
    timings=(timing("c", ["true"], [0.5, 0.7], bar=0.6, loads=[0]),),
)

Drawn = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with matplotlib, as the extra `plots` names it."""
    directory = tmp_path_factory.mktemp("matplotlib")

    async def install() -> None:
        constraints = _ROOT / ".ci/constraints.txt"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", directory, "-c", constraints, "matplotlib"]
        await anyio.run_process(list(map(str, pip)), cwd=_ROOT)

    anyio.run(install, backend="trio")
    return directory


@pytest.fixture
def show(installed: Path, tmp_path: Path) -> Drawn:
    """Run `bench show` where matplotlib is installed; returns the exit code and what was said."""

    async def call(made: Report, *names: str) -> tuple[int, str]:
        file = tmp_path / "report.json"
        file.write_bytes(encode(made))
        variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(installed)}
        words = [word for name in names for word in ("--plot", str(tmp_path / name))]
        code = "from orchestrator.cli import main; main()"
        command = [sys.executable, "-c", code, "bench", "show", *words, str(file)]
        done = await anyio.run_process(command, cwd=_ROOT, env=variables, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    return call


async def test_storages_are_drawn_as_png_and_as_svg(show: Drawn, tmp_path: Path) -> None:
    made = drawn({"local": 2, "ceph<&>fs": 6}, rounds=3, noise=0.1)
    made = report(*made.series, rate("local", 4300), rate("ceph<&>fs", 100))

    ended = await show(made, "a.png", "a.svg")

    assert ended == (0, "")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")
    words = set(ET.parse(tmp_path / "a.svg").getroot().itertext())  # noqa: S314 -- our own
    assert {"cache/source", "raw/fsync", "local", "ceph<&>fs"} <= words


async def test_the_same_report_gives_the_same_picture(show: Drawn, tmp_path: Path) -> None:
    ended = await show(_PEERS, "a.svg", "b.svg", "a.png", "b.png"), await show(_PEERS, "c.svg")

    assert ended == ((0, ""), (0, ""))
    assert len({(tmp_path / name).read_bytes() for name in ("a.svg", "b.svg", "c.svg")}) == 1
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


async def test_a_report_without_anything_to_draw_is_an_error(show: Drawn, tmp_path: Path) -> None:
    code, said = await show(report(), "a.svg")

    assert (code, [path async for path in anyio.Path(tmp_path).glob("*.svg")]) == (2, [])
    assert "nothing to draw\nhint: Read it as a table." in said
