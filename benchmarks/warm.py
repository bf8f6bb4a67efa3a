"""`warm`: `fleetpacks cache warm` of ten images through slow connections, against the largest of them alone.

Every run is a whole process on a buildkitd that has nothing. The images are in the lab's registry, of random bytes; a
proxy gives each connection so many bytes a second, and counts what came of each blob. The apps are named so that those
on the largest images come last. Pairs are interleaved. How many connections a builder opens bounds what can be reached:
ten images of one size show it.
"""

import datetime as dt
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from benchmarks.blobs import Pushed, push
from benchmarks.commands import environment, fleetpacks, seconds
from benchmarks.rest import MOST_LOAD, quiet
from benchmarks.throttled import Throttled, throttled
from orchestrator.bench.result import Figure, Report, machine, median_interval
from tests.buildkit.real import private_daemon
from tests.lab import Lab, current

_BAR = 1.3
_RATE = 5_000_000
"""Bytes a second, of a connection."""
_MB = 1_000_000
OWN = tuple(number * _MB for number in (1, 2, 4, 6, 8, 10, 12, 16, 20, 30))
"""Of each image, the layer that is its own."""
SHARED = (9 * _MB, 13 * _MB)
"""One of these is below it."""
ALIKE = tuple(10 * _MB + number for number in range(10))
"""Ten images of one size, to the byte nearly: layers of one size would be one layer."""
_ALIKE_RUNS = 3


class Warm(msgspec.Struct, frozen=True, kw_only=True):
    """Images, and apps that stand on them."""

    lab: Lab
    root: Path
    through: Throttled
    images: tuple[Pushed, ...]
    source: Path

    @property
    def distinct(self) -> int:
        """Bytes of all blobs, each once."""
        return sum({blob.digest: blob.size for image in self.images for blob in image.blobs}.values())

    def command(self, socket: Path, apps: Sequence[str]) -> list[str]:
        """Warm what some apps stand on; without any, what all do."""
        return [fleetpacks(), "cache", "warm", "-C", str(self.source), "--host", f"unix://{socket}", *apps]

    async def run(self, *apps: str) -> float:
        """Seconds that it takes on a builder that has nothing."""
        self.through.reset()
        folder = Path(tempfile.mkdtemp(dir=self.root))
        plain = f'[registry."{self.through.address}"]\nhttp = true\n'
        try:
            async with private_daemon(self.lab, folder, snapshotter="overlayfs", config=plain) as (_, socket):
                return await seconds(self.command(socket, apps), cwd=self.root, env=environment(folder / "own"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


async def prepare(lab: Lab, root: Path, through: Throttled, images: Sequence[Sequence[int]], *, name: str) -> Warm:
    """Push images, and make an app on each: `app0` on the first."""
    repository = f"bench/warm-{name}"
    pushed = await push(lab.registry, repository, images)
    source = root / name
    for number, image in enumerate(pushed):
        (source / f"app{number}").mkdir(parents=True)
        text = f"FROM {through.address}/{repository}:{image.tag}\n"
        (source / f"app{number}" / "Dockerfile").write_text(text)
    return Warm(lab=lab, root=root, through=through, images=pushed, source=source)


async def run_warm(rounds: int) -> Report:
    """The benchmark `warm`. The lab must be up."""
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    root = Path(tempfile.mkdtemp(prefix="fp-warm-"))
    try:
        async with throttled(lab.registry, rate=_RATE) as through:
            layered = [(SHARED[number % 2], own) for number, own in enumerate(OWN)]
            mixed = await prepare(lab, root, through, layered, name="mixed")
            alike = await prepare(lab, root, through, [(own,) for own in ALIKE], name="alike")
            figures = (*await _mixed(mixed, rounds), await _alike(alike))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return Report(
        benchmark="warm",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        figures=figures,
    )


async def _mixed(case: Warm, rounds: int) -> tuple[Figure, ...]:
    pairs: list[tuple[float, float]] = []
    loads: list[float] = []
    came: list[float] = []
    void = 0
    largest = f"app{len(case.images) - 1}"
    while len(pairs) < rounds and void < rounds:
        began = await quiet()
        # Who goes first alternates.
        alone = 0.0 if len(pairs) % 2 else await case.run(largest)
        every = await case.run()
        came.append(case.through.blobs.total() / case.distinct)
        alone = alone or await case.run(largest)
        if began > MOST_LOAD:
            void += 1
            continue
        loads.append(began)
        pairs.append((every, alone))
    if not pairs:
        raise SystemExit("every pair was void\nhint: run it on a quiet machine")
    ratios = [every / alone for every, alone in pairs]
    low, high = median_interval(ratios)
    medians = [statistics.median(each) for each in zip(*pairs, strict=True)]
    blobs = len({blob.digest for image in case.images for blob in image.blobs})
    title = f"{len(case.images)} images of {_mb(case.images[0].size)} to {_mb(case.images[-1].size)} MB"
    return (
        Figure(
            name=f"{title} against the largest alone: times its time, upper end of the interval",
            unit="",
            value=high,
            bar=_BAR,
            runs=len(pairs),
            load=(min(loads), max(loads)),
            note=f"median {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}); {medians[0]:.2f} s against "
            f"{medians[1]:.2f} s",
        ),
        Figure(
            name="the same: bytes of blobs that were pulled, against those that there are",
            unit="",
            value=max(came),
            bar=1.0,
            runs=len(came),
            load=(min(loads), max(loads)),
            note=f"{case.distinct:,} bytes in {blobs} blobs",
        ),
    )


async def _alike(case: Warm) -> Figure:
    loads: list[float] = []
    ratios: list[float] = []
    for _ in range(_ALIKE_RUNS):
        loads.append(await quiet())
        alone = await case.run("app0")
        ratios.append(await case.run() / alone)
    return Figure(
        name=f"{len(case.images)} images of {_mb(case.images[0].size)} MB in one layer against one: times its time",
        unit="",
        value=statistics.median(ratios),
        runs=len(ratios),
        load=(min(loads), max(loads)),
        note="a buildkitd opens 4 connections to a registry: 2.5 times, by that alone",
    )


def _mb(size: int) -> int:
    return round(size / _MB)
