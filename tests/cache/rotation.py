"""Many processes that read and replace one cache in a directory, some of them killed: `python -m tests.cache.rotation`.

A cycle is what a build does: hold the current generation, write another one that shares some of its blobs, read all
that is held and compare it with its digests. Each worker tells of each cycle in one word: what it told has happened.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

import anyio
import msgspec

from orchestrator.cache.blobs import Descriptor
from orchestrator.cache.generation import Generation
from orchestrator.cache.local import LostError, Pin, Store
from tests.cache.killing import Toll, killing

_KEY = "app"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_BLOBS = 6
_POOL = 40
_LARGEST = 60_000
_LIMIT = 10_000_000
_GENERATION = _BLOBS * _LARGEST + 10_000


class Rotation(Toll, frozen=True, kw_only=True):
    """What happened, and what of it the directory showed."""

    largest: int
    """Bytes that the directory held at most, as far as it was looked at."""
    generations: int
    """Directories of generations at most."""
    bound: int
    """Bytes that it may hold: a generation for each worker that writes, one for each that reads, and the current."""
    left: int
    """Directories of readers and generations after one more cycle."""
    seconds: float


def cycle(store: Store, chance: random.Random) -> str:
    """Do what a build does, and say how it was."""
    try:
        pin = store.pin()
    except LostError:
        pin, word = None, "lost"
    else:
        word = "ok" if pin else "empty"
    try:
        _write(store, chance)
        return word if pin is None or _is_whole(pin) else "corrupt"
    finally:
        if pin is not None:
            pin.release()


def _write(store: Store, chance: random.Random) -> None:
    # Of a pool that all processes share, so that blobs stay, go and come back; and one that nobody has had.
    numbers = [*chance.sample(range(_POOL), _BLOBS - 1), chance.getrandbits(64)]
    blobs = [_blob(random.Random(number)) for number in numbers]  # noqa: S311 -- content, not a secret
    layers = [{"digest": _digest(blob), "size": len(blob), "mediaType": "a/layer"} for blob in blobs]
    manifest = json.dumps({"config": layers[0], "layers": layers}).encode()
    generation = Generation(store, limit=_LIMIT)
    try:
        for blob in (*blobs, manifest):
            if generation.size(_digest(blob)) is None:
                part = generation.part()
                part.write(blob)
                part.commit(size=len(blob), digest=_digest(blob))
        generation.commit(Descriptor(digest=_digest(manifest), size=len(manifest), media_type=_MANIFEST))
    finally:
        generation.discard()


def _blob(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(1, _LARGEST))


def _is_whole(pin: Pin) -> bool:
    manifest = _content(pin, pin.root.digest)
    return manifest is not None and all(_content(pin, each["digest"]) for each in json.loads(manifest)["layers"])


def _content(pin: Pin, digest: str) -> bytes | None:
    file = pin.open(digest)
    if file is None:
        return None
    with file:
        content = file.read()
    return content if _digest(content) == digest else None


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def rotate(root: Path, *, cycles: int, processes: int, kill_every: int, seed: int) -> Rotation:
    """Have many processes use one cache.

    Args:
        root: an empty directory.
        cycles: how many in all.
        processes: how many at once.
        kill_every: cycles from one killing to the next, on average.
        seed: of the killings.
    """
    began, chance = time.monotonic(), random.Random(seed)  # noqa: S311 -- what happens when, not a secret
    largest, generations = 0, 0

    def command(number: int) -> list[str]:
        return [sys.executable, "-m", "tests.cache.rotation", "--worker", str(root), "--seed", str(seed + number)]

    async def watch(done: anyio.Event) -> None:
        nonlocal largest, generations
        while not done.is_set():
            size, count = await anyio.to_thread.run_sync(_measured, root / _KEY)
            largest, generations = max(largest, size), max(generations, count)
            await anyio.sleep(0.2)

    toll = await killing(
        command,
        chance=chance,
        cycles=cycles,
        processes=processes,
        kill_every=kill_every,
        longest=1 / 20,
        beside=watch,
    )
    store = Store(root, _KEY)
    cycle(store, chance)
    left = sum(1 for parent in ("generations", "readers") for _ in (root / _KEY / parent).iterdir())
    return Rotation(
        told=toll.told,
        killed=toll.killed,
        errors=toll.errors,
        largest=largest,
        generations=generations,
        bound=(2 * processes + 1) * _GENERATION,
        left=left,
        seconds=time.monotonic() - began,
    )


def _measured(path: Path) -> tuple[int, int]:
    """Bytes of all files, those with several names once; and how many generations there are."""
    sizes: dict[int, int] = {}
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                status = Path(directory, name).stat()
            except FileNotFoundError:
                continue
            sizes[status.st_ino] = status.st_size
    try:
        generations = len(list((path / "generations").iterdir()))
    except FileNotFoundError:
        generations = 0
    return sum(sizes.values()), generations


def _worker(root: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- see above
    while True:
        print(cycle(Store(root, _KEY), chance), flush=True)  # noqa: T201 -- that is how it tells


def main() -> None:
    """Run what the words say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help="an empty directory")
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--kill-every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    if said.worker is not None:
        _worker(said.worker, said.seed)
        return

    async def run() -> Rotation:
        return await rotate(
            said.root, cycles=said.cycles, processes=said.processes, kill_every=said.kill_every, seed=said.seed
        )

    print(msgspec.json.encode(anyio.run(run)).decode())  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
