"""Raw figures of a storage: by fio where it is installed, else by a small probe of our own.

They explain what builds take on it: unpacking layers makes many small files, databases of builders and dpkg wait for
fsync, and an export is one large write.
"""

import errno
import os
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator import temporary
from orchestrator.bench.ground import fio, steps, tools
from orchestrator.bench.ground.shapes import FSYNC, MANY, OWN, READ, UNITS, WRITE, Scenario
from orchestrator.bench.model import Raw
from orchestrator.errors import StorageError


async def probe(directory: Path, *, seconds: float = 2.0, image: Path | None = None) -> tuple[Raw, ...]:
    """Measure a storage without any build on it; what that writes is gone afterwards.

    Args:
        directory: one on it that is there, and has some free (`Ground.files`).
        seconds: for which each of the four figures is measured, about.
        image: the loop image in which the directory lies (`Ground.image`); None: it lies in none.

    Raises:
        StorageError: it cannot be written to, or read from.
    """
    try:
        async with _empty(directory) as place:
            program = tools.find("fio")
            by = fio.version(await tools.run([program, "--version"])) if program else ""
            if program and by:
                return await _by_fio(program, by, place, seconds, image)
            return await _by_ourselves(place, seconds, image)
    except tools.ToolError as error:
        raise StorageError(
            f"{directory}: fio has failed: {error}", hint="See whether the storage is full (df) or read-only."
        ) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise StorageError(
            f"{error.filename or directory}: {error.strerror}",
            hint="Make room there." if full else "See whether the storage is read-only, or gone.",
        ) from error


@asynccontextmanager
async def _empty(directory: Path) -> AsyncGenerator[Path]:
    place = temporary.inside(directory)
    place.mkdir()
    try:
        yield place
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(lambda: shutil.rmtree(place, ignore_errors=True))


async def _by_ourselves(place: Path, seconds: float, image: Path | None) -> tuple[Raw, ...]:
    large, many = str(place / "large"), place / "many"
    many.mkdir()
    most, files = steps.room(str(place))
    made: dict[Scenario, Generator[int]] = {
        FSYNC: steps.fsyncs(str(place)),
        WRITE: steps.written(large, most),
        READ: steps.read(large),
        MANY: steps.small_files(str(many), files),
    }
    found: list[Raw] = []
    for name, each in made.items():
        if name == READ:
            await _unremembered(image)
        found.append(Raw(scenario=name, value=await _rate(each, seconds), unit=UNITS[name], by=OWN))
    return tuple(found)


async def _rate(each: Generator[int], seconds: float) -> float:
    """As `steps.rate`; whoever is cancelled waits for one step."""
    done, passed = 0, 0.0
    with closing(each):
        await to_thread.run_sync(next, each)
        while passed < seconds:
            count, took = await to_thread.run_sync(steps.timed, each)
            if not count:
                break
            done, passed = done + count, passed + took
    return done / passed if passed else 0.0


async def _unremembered(image: Path | None) -> None:
    """Have the kernel forget what it remembers of a loop image.

    Who reads a file in it without what the kernel remembers of that file alone would read the image's pages in memory,
    which are those that were written a moment before.
    """
    if image is not None:
        await to_thread.run_sync(forget, image)


def forget(file: Path) -> None:
    """Have a file written, and the kernel forget its content: of what is not written yet, it forgets nothing."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


async def _by_fio(program: str, by: str, place: Path, seconds: float, image: Path | None) -> tuple[Raw, ...]:
    found: list[Raw] = []
    size, files = steps.room(str(place))
    for scenario in UNITS:
        there = place / scenario.removeprefix("raw/")
        if scenario == READ:
            # A job that is to read more than there is would write it first.
            there = next((place / WRITE.removeprefix("raw/")).iterdir())
            size = there.stat().st_size
            await _unremembered(image)
        else:
            there.mkdir()
        said = await tools.run(fio.command(program, scenario, there, seconds=seconds, size=size, files=files))
        figure = fio.figure(scenario, said, by=by)
        if figure is None:
            raise tools.ToolError(f"{scenario}: {said.decode(errors='replace')[-500:]}")
        found.append(figure)
    return tuple(found)
