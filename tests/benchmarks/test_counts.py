"""The counts behind the figures of docs/figures.md: no clock is involved, so CI holds them, `.ci/full` all of them."""

from pathlib import Path

import pytest

from benchmarks.cached import bake, count_cached
from benchmarks.cold import count_cold, prepare
from benchmarks.commands import fleetpacks
from benchmarks.contexts import contexts
from benchmarks.offline import offline
from benchmarks.throttled import throttled
from benchmarks.warm import prepare as prepare_warm
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real


@pytest.fixture
def anyio_backend() -> str:
    # Of the measuring program, not of what is measured.
    return "trio"


@pytest.fixture
def peers(lab: Lab) -> Lab:
    assert lab.buildx.exists(), "python -m tests.lab up --peers"
    return lab


@pytest.mark.full
async def test_unchanged_contexts_cost_at_most_200_bytes_an_entry_and_as_many_solves_as_buildctl(
    peers: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    result = await contexts(peers, tmp_path)

    assert result.met, f"{result.ours.median:.0f} bytes an entry"
    assert result.ours.solves == result.theirs.solves == 20
    assert result.ours.executed == result.theirs.executed
    real_count.record("build", times=20)


async def test_40_cached_builds_take_no_more_solves_than_bake_and_execute_nothing(
    peers: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    ours, theirs = await count_cached(bake(peers, tmp_path, program=fleetpacks()))

    # bake sends one more of its own. WORKDIR is one step for all 40, as its digest says; COPY and RUN are not.
    assert (ours.solves, theirs.solves) == (40, 41)
    assert (ours.executed, ours.cached) == (theirs.executed, theirs.cached) == (0, 81)
    real_count.record("build", times=40)


async def test_ten_images_are_pulled_once_and_the_largest_are_begun_first(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    # A socket's path must be short.
    root = tmp_path_factory.mktemp("w")
    async with throttled(lab.registry, rate=100_000) as through:
        images = [(1_000 + number % 2, 10_000 * (number + 1)) for number in range(10)]
        case = await prepare_warm(lab, root, through, images, name="few")

        await case.run()
        asked = [digest for digest in through.begun if digest in {image.blobs[-1].digest for image in case.images}]
        came = through.blobs.total()

    assert came == case.distinct
    own = [image.blobs[-1].digest for image in case.images]
    assert set(asked[:4]) == set(own[-4:])
    assert set(asked) == set(own)
    real_count.record("build", times=10)


@pytest.mark.full
async def test_a_build_from_nothing_takes_no_more_solves_than_bake_and_its_packages_come_from_this_machine(
    peers: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    async with offline() as served:
        case = prepare(peers, tmp_path, program=fleetpacks(), served=served, apps=("nodejs-npm-express",))

        ours, theirs = await count_cold(case)
        asked = served.asked
        again, _ = await count_cold(case)

    assert asked > 0
    assert served.asked == asked
    # bake sends one more of its own.
    assert (ours.solves, theirs.solves) == (1, 2)
    assert ours.executed == theirs.executed == again.executed > 0
    real_count.record("build", times=2)
