"""`--reproducible`: the same source is the same image, on another builder, in another place, on another day.

One builder is the lab's; the other is a daemon that this run alone has, with an empty root, whose package caches and
layers are nobody else's, and on another day (`otherday`). The source lies in two directories of different names, and no
file has the time that its copy has. Both builds execute every step. `FLEETPACKS_FULL=1` keeps what was seen of all
example apps, and writes the document: where the lab's base images are the same on a later day, so is the image.
"""

import datetime as dt
import os
import random
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from orchestrator.events import StepCompleted
from orchestrator.registry import reference
from tests.conftest import RealCount
from tests.daemon.real import variables
from tests.e2e import otherday, reproduced
from tests.e2e.conftest import Ran, Start, need_bases
from tests.e2e.languages import ROOT, Case, cases
from tests.e2e.reproduced import Reproduced, differences
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces and mounts"),
]

_ALWAYS = frozenset({"python-pip-slugs"})
"""What is built in every run of CI: Deno, which is smaller, once died of a segmentation fault under libfaketime."""
_YEARS = 30 * 365 * 86_400
_DATED = "FROM debian:trixie-slim\nARG SOURCE_DATE_EPOCH\nRUN {} > /date\n"


def _each() -> list[object]:
    real = [case for case in cases() if case.real is not None and case.generated]
    return [pytest.param(case, id=case.name, marks=() if case.name in _ALWAYS else pytest.mark.full) for case in real]


class Both:
    """Two builders of two days."""

    def __init__(self, lab: Lab, build: Start, home: Path, folder: Path, count: RealCount) -> None:
        self._lab, self._build, self._home, self._folder, self._count = lab, build, home, folder, count

    async def build(self, source: Path, paths: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Build apps on both, each from a copy of its own: what they became, by app, as `repository@digest`."""
        there = await otherday.variables(self._lab, self._home, variables(self._lab, self._home))
        word = f"reproduced-{secrets.token_hex(6)}"
        ran: list[Ran] = []
        for words, host, said in (((), "", {}), (("--isolated",), None, there)):
            place = self._folder / f"source of {len(ran)}"
            _copy(source, place)
            async with self._build(
                place, *paths, "--reproducible", "--no-cache", "--push", *words,
                image=f"{self._lab.registry}/{word}/{len(ran)}/{{app}}", host=host,
                variables={**said, "CACHE_KEY": word},
            ) as running:  # fmt: skip
                ran.append(await running.end())
            assert ran[-1].code == 0, [*ran[-1].failed().values(), ran[-1].err]
            self._count.record("build")
        steps = [each for each in ran[1].events if isinstance(each, StepCompleted) and "] RUN " in each.name]
        assert len(otherday.containers(self._home)) >= len(steps)
        one, other = map(_images, ran)
        return one, other


def _images(ran: Ran) -> Mapping[str, str]:
    return {app: f"{reference.parse(built.tags[0]).path}@{built.digest}" for app, built in ran.completed().items()}


def _same(one: str, other: str) -> bool:
    return one.partition("@")[2] == other.partition("@")[2]


def _copy(source: Path, place: Path) -> None:
    """A copy whose files have other times than any other."""
    shutil.copytree(source, place, symlinks=True)
    for path in (place, *place.rglob("*")):
        time = random.SystemRandom().randrange(10**9, 10**9 + _YEARS)
        os.utime(path, (time, time), follow_symlinks=False)


@pytest.fixture
def both(
    lab: Lab, build: Start, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, real_count: RealCount
) -> Both:
    # A socket's path must be short.
    return Both(lab, build, tmp_path_factory.mktemp("r"), tmp_path, real_count)


async def test_a_file_with_the_date_is_another_one_there_and_one_with_the_epoch_is_not(
    lab: Lab, both: Both, tmp_path: Path
) -> None:
    source = tmp_path / "dated"
    for app, command in (("today", "date +%Y"), ("epoch", 'date -d "@$SOURCE_DATE_EPOCH"')):
        (source / app).mkdir(parents=True)
        (source / app / "Dockerfile").write_text(_DATED.format(command))

    one, other = await both.build(source, ("today", "epoch"))

    assert _same(one["epoch"], other["epoch"])
    assert not _same(one["today"], other["today"])
    found = await differences(lab.registry, one["today"], other["today"])
    # That of the file is told, and that of the layer, and what the configuration says of both.
    assert [line for line in found if ": date: " in line]


@pytest.mark.parametrize("case", _each())
async def test_two_builders_on_two_days_make_the_same_image_of_the_same_source(
    lab: Lab, both: Both, tmp_path: Path, case: Case
) -> None:
    await need_bases(lab, case)
    assert case.real is not None
    # A directory's own name is the app's where it is no workspace.
    alone = case.real.app == "."
    shutil.copytree(case.source, tmp_path / "one" / (case.name if alone else "."), symlinks=True)

    one, other = await both.build(tmp_path / "one", (case.name if alone else case.real.app,))

    [first], [second] = one.values(), other.values()
    same = _same(first, second)
    found = () if same else await differences(lab.registry, first, second)
    # What nobody has built so before is kept with what differs: the test of the document then asks for the reason.
    known = not FULL or case.name in reproduced.read()
    if FULL:
        await _keep(case, first if same else "", found)
    assert not known or same != (case.name in reproduced.NOT_YET), found


async def _keep(case: Case, image: str, found: tuple[str, ...]) -> None:
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT)
    reproduced.keep(
        case.name,
        Reproduced(
            date=dt.datetime.now(dt.UTC).date().isoformat(),
            commit=commit.stdout.decode().strip(),
            digest=image.partition("@")[2],
            differs=tuple(dict.fromkeys(map(reproduced.place, found))),
        ),
    )
