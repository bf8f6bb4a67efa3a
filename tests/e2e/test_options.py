"""Every option on every kind of builder: it works, works in another way, is refused, or is told of; never dropped.

`FLEETPACKS_FULL=1` tries all, keeps what was seen for the document, and fails where that is another thing than before.
"""

import datetime as dt
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from orchestrator.events import RunCompleted
from tests.conftest import RealCount
from tests.daemon.real import traces
from tests.e2e.conftest import Start
from tests.e2e.languages import ROOT
from tests.e2e.options import table
from tests.e2e.options.bench import Bench, FailedError, RefusedError
from tests.e2e.options.model import Cell, Option
from tests.e2e.options.places import COLUMNS, Column, Place, of_engine, of_lab, of_newer_graph_driver, of_own
from tests.e2e.options.publishing import PLATFORMS
from tests.e2e.options.rows import ROWS
from tests.lab import Engine, Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_BEFORE = table.read()
_ALWAYS = {
    ("`--output type=oci`", "buildkitd"),
    ("`--output type=oci`", "engine, graph driver"),
    ("`CACHE_IMAGE`, `cache.image`", "buildkitd"),
    ("`CACHE_IMAGE`, `cache.image`", "engine, graph driver"),
    ("several `platforms`", "engine, graph driver"),
}
"""What is tried in every run of CI: one of each answer."""


def _each() -> list[object]:
    return [
        pytest.param(
            row,
            column,
            marks=() if (row.name, column) in _ALWAYS else pytest.mark.full,
            id=f"{row.name.replace('`', '')}-{column}",
        )
        for row in ROWS
        for column in COLUMNS
        if row.concerns(column)
    ]


@pytest.fixture(scope="session")
def homes() -> Generator[dict[Column, Path]]:
    """Where daemons of our own keep what they have; paths of sockets must be short, and a dockerd's are long.

    Those of other columns are for daemons that write what is read.
    """
    with ExitStack() as folders:
        found: dict[Column, Path] = {}
        for column in COLUMNS:
            found[column] = Path(folders.enter_context(TemporaryDirectory(prefix="o", dir="/tmp")))
        yield found


@pytest.fixture
async def place(
    lab: Lab, engine_graph: Engine, engine_containerd: Engine, homes: dict[Column, Path], column: Column
) -> AsyncGenerator[Place]:
    """A builder of a kind, and of one of our own nothing that is left of it."""
    if not column.startswith("--"):
        kinds = (of_lab(lab), of_engine(engine_containerd), of_engine(engine_graph))
        yield next(each for each in kinds if each.column == column)
        return
    if os.geteuid() != 0:
        pytest.skip("only root makes namespaces and mounts")
    home = homes[column]
    before = traces(home)
    yield await of_own(lab, column, home)
    assert traces(home) == before


@pytest.mark.parametrize(("option", "column"), _each())
async def test_an_option_is_never_dropped_in_silence(  # noqa: PLR0917 -- pytest gives them by name
    lab: Lab,
    build: Start,
    place: Place,
    homes: dict[Column, Path],
    engine_graph: Engine,
    engine_containerd: Engine,
    tmp_path: Path,
    real_count: RealCount,
    option: Option,
    column: Column,
) -> None:
    other = of_engine(engine_containerd) if column == "buildkitd" else of_lab(lab)

    async def inline() -> Place:
        # The keys of steps are not the same in all versions of BuildKit.
        match column:
            case "engine, graph driver":
                return await of_own(lab, "--isolated=dockerd", homes["--isolated=dockerd"])
            case "--isolated=dockerd":
                return of_engine(engine_graph)
            case _:
                return await of_newer_graph_driver(lab, homes[column])

    bench = Bench(
        lab, build, place=place, other=other, inline=inline, engine=engine_graph, folder=tmp_path, count=real_count
    )

    cell = await _cell(option, bench)

    if FULL:
        commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT)
        today = dt.datetime.now(dt.UTC).date().isoformat()
        said = {"version": place.version, "commit": commit.stdout.decode().strip(), "date": today}
        table.keep(option.name, column, cell, **said)
    assert cell == _BEFORE.cells.get(option.name, {}).get(column)


@pytest.mark.parametrize(
    ("platforms", "words", "said"),
    [
        (True, ("--output", "type=docker,dest={}"), "such an image by --output type=docker"),
        (False, ("--load", "--provenance", "min"), "takes no image with what is attested of it"),
    ],
)
async def test_what_an_archive_cannot_hold_or_an_engine_cannot_take_is_refused_before_anything_is_built(
    lab: Lab, build: Start, engine_graph: Engine, tmp_path: Path, *, platforms: bool, words: tuple[str, ...], said: str
) -> None:
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    if platforms:
        (app / "compose.yaml").write_text(PLATFORMS)
    variables = {"DOCKER_HOST": engine_graph.docker_host}

    async with build(app.parent, *(word.format(tmp_path / "out") for word in words), variables=variables) as running:
        ran = await running.end()

    assert (ran.code, [type(event) for event in ran.events]) == (2, [RunCompleted])
    assert said in ran.err
    assert "hint: " in ran.err
    assert not await anyio.Path(tmp_path / "out").exists()


async def _cell(option: Option, bench: Bench) -> Cell:
    """What an option comes to.

    Raises:
        AssertionError: it was dropped in silence.
        FailedError: the build failed in the middle, and nobody was warned of it.
    """
    try:
        effect = await option.observe(bench)
    except RefusedError as refused:
        return Cell(kind="refused", said=refused.said)
    except FailedError:
        if not bench.told:
            raise
        return Cell(kind="told", said="; ".join(bench.told))
    told = "; ".join(bench.told)
    if not effect.there:
        assert told, f"{option.name} was dropped in silence"
        return Cell(kind="told", said=told)
    way = told or effect.way
    return Cell(kind="other way", said=way) if way else Cell(kind="same")
