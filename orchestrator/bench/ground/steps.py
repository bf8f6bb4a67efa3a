"""Raw figures without fio: what is written and read, in steps that are short, so that it can be ended between two.

Each of the four is a generator: it gets ready, yields 0, and then how much it has done in each step. Also run as a
program, `python3 steps.py DIRECTORY SECONDS`, in a build on a host of which nothing else can be asked: so it needs no
module but those that are in the interpreter, of any version from 3.7 on. It prints a line per figure, and leaves no
file: in a build its directory becomes a layer.

Python's own share of a step is some microseconds a write, which a storage that answers in memory shows: by fio such a
figure is larger. All figures of one report come from the same one of the two.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

FSYNC, WRITE, READ, MANY = "raw/fsync", "raw/sequential-write", "raw/sequential-read", "raw/small-files"
SMALL = 4096
BLOCK = 1024 * 1024
SYNC_EVERY = 16
"""Blocks: a fsync at the end alone would take as long as it takes, and none at all would measure memory."""
SPAN = 16 * BLOCK
"""Bytes over which the small writes with fsync are scattered."""
MOST = 1024 * BLOCK
"""Bytes of the large file, where there is room."""
MOST_FILES = 20000
"""Small ones: all are deleted afterwards."""
PART = 4
"""Of what is free, a quarter is written at most."""
_STEP = 0.1
"""Seconds that a step of many small ones takes, about."""
_STRIDE = 2654435761
"""A prime: places that follow each other are far from each other."""
_BYTES = os.urandom(SMALL)
"""A storage that compresses is to find nothing to compress."""
_PER_DIRECTORY = 1000
_PLACE = "/fleetpacks-bench-raw"


def fsyncs(directory: str) -> "Generator[int, None, None]":
    """Small writes all over one file, with an fsync each."""
    number = 0
    handle = _open(directory + "/fsync", os.O_RDWR | os.O_CREAT)
    try:
        yield 0
        while True:
            count, until = 0, time.perf_counter() + _STEP
            while not count or time.perf_counter() < until:
                os.pwrite(handle, _BYTES, number * _STRIDE % (SPAN // SMALL) * SMALL)
                os.fsync(handle)
                number, count = number + 1, count + 1
            yield count
    finally:
        os.close(handle)


def written(file: str, most: int) -> "Generator[int, None, None]":
    """Bytes that are written one after the other, with an fsync after some.

    Args:
        file: it stays, with all that was written, or with `most` bytes.
        most: of its bytes; then it is written from its beginning again.
    """
    # A storage that compresses is to find nothing to compress, and one that looks for duplicates none.
    content = os.urandom(BLOCK)
    handle = _open(file, os.O_WRONLY | os.O_CREAT)
    at = 0
    try:
        yield 0
        while True:
            for _ in range(SYNC_EVERY):
                at = 0 if at + BLOCK > most else at
                at += os.pwrite(handle, content, at)
            os.fsync(handle)
            yield SYNC_EVERY * BLOCK
    finally:
        os.close(handle)


def read(file: str) -> "Generator[int, None, None]":
    """Bytes of a file that are read one after the other, without what the kernel remembers of them."""
    handle = _open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        yield 0
        while True:
            count = sum(len(os.read(handle, BLOCK)) for _ in range(SYNC_EVERY))
            if not count:
                return
            yield count
    finally:
        os.close(handle)


def small_files(directory: str, most: int) -> "Generator[int, None, None]":
    """Small files that are made, written and closed; not synced, as package managers do not sync theirs."""
    yield 0
    made = 0
    while made < most:
        count, until = 0, time.perf_counter() + _STEP
        while made < most and (not count or time.perf_counter() < until):
            folder = "%s/d%d" % (directory, made // _PER_DIRECTORY)  # noqa: UP031 -- of old versions
            if made % _PER_DIRECTORY == 0:
                os.mkdir(folder)  # noqa: PTH102 -- quick to start
            handle = _open("%s/f%d" % (folder, made), os.O_WRONLY | os.O_CREAT | os.O_EXCL)  # noqa: UP031 -- as above
            os.write(handle, _BYTES)
            os.close(handle)
            made, count = made + 1, count + 1
        yield count


def room(directory: str) -> "tuple[int, int]":
    """Bytes of a large file, in whole parts between two fsyncs, and small files, that may be written."""
    told = os.statvfs(directory)
    free = told.f_bavail * told.f_frsize // PART
    unit = BLOCK * SYNC_EVERY
    # Storages without a number of files say 0.
    nodes = told.f_favail // PART if told.f_files else MOST_FILES
    return max(unit, min(MOST, free) // unit * unit), max(1, min(MOST_FILES, free // SMALL, nodes))


def timed(steps: "Generator[int, None, None]") -> "tuple[int, float]":
    """One step: how much it did, 0 when there is nothing more to do, and its seconds."""
    began = time.perf_counter()
    return next(steps, 0), time.perf_counter() - began


def rate(steps: "Generator[int, None, None]", seconds: float) -> float:
    """How much is done in a second."""
    next(steps)
    done, passed = 0, 0.0
    while passed < seconds:
        count, took = timed(steps)
        if not count:
            break
        done, passed = done + count, passed + took
    return done / passed if passed else 0.0


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def main(directory: str, seconds: float) -> None:
    """Measure all four in a directory of its own, print them, and delete it."""
    place = directory + _PLACE
    os.mkdir(place)  # noqa: PTH102 -- as above
    try:
        os.mkdir(place + "/many")  # noqa: PTH102 -- as above
        most, files = room(place)
        large = place + "/large"
        for name, steps in (
            (FSYNC, fsyncs(place)),
            (WRITE, written(large, most)),
            (READ, read(large)),
            (MANY, small_files(place + "/many", files)),
        ):
            sys.stdout.write("%s %.6f\n" % (name, rate(steps, seconds)))  # noqa: UP031 -- as above
    finally:
        _delete(place)


def _delete(place: str) -> None:
    """A directory with all that is in it: `shutil` is not in the interpreter."""
    for folder, _, files in os.walk(place, topdown=False):
        for file in files:
            os.remove(folder + "/" + file)  # noqa: PTH107 -- as above
        os.rmdir(folder)  # noqa: PTH106 -- as above


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
