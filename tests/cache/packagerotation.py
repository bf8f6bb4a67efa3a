"""Processes that refresh and read one package cache, some of them killed: `python -m tests.cache.packagerotation ROOT`.

A cycle is what a run does: read all of the current generation, and write another one, of which some files are links to
the one before. All files of a generation name each other, so that one of another generation, or none, would be seen.
"""

import os
import random
import sys
from pathlib import Path

from orchestrator.cache.local import LostError
from orchestrator.cache.mounts import Store, Writing
from tests.cache.killing import Toll, killing

_TOOL = "npm"
_FILES = 12


def store_of(root: Path) -> Store:
    return Store(root, _TOOL, "main")


def cycle(store: Store, chance: random.Random) -> str:
    """Do what a run does, and say how it was."""
    try:
        source = store.source()
    except LostError:
        return "lost"
    _write(store, source.root / _TOOL if source else None, chance)
    if source is None:
        return "empty"
    return "ok" if _is_whole(source.root / _TOOL) else "corrupt"


def _write(store: Store, base: Path | None, chance: random.Random) -> None:
    writing = Writing(store)
    try:
        top = writing.content / _TOOL
        (top / "d").mkdir(parents=True)
        word = f"{chance.getrandbits(64):016x}"
        names: list[str] = []
        if base is not None:
            # What stays is told apart by its name; what goes is replaced.
            for path in sorted((base / "d").iterdir())[: _FILES // 2]:
                os.link(path, top / "d" / path.name)
                names.append(path.name)
        for number in range(_FILES - len(names)):
            names.append(f"{word}-{number}")
            (top / "d" / names[-1]).write_text(names[-1] * chance.randint(1, 500))
        (top / "index").write_text("\n".join(names))
        writing.commit(seen={word: 1}, cold=None)
    finally:
        writing.discard()


def _is_whole(top: Path) -> bool:
    names = (top / "index").read_text().splitlines()
    if len(names) != _FILES or sorted(names) != sorted(path.name for path in (top / "d").iterdir()):
        return False
    texts = {name: (top / "d" / name).read_text() for name in names}
    return all(text and text == name * (len(text) // len(name)) for name, text in texts.items())


async def rotate(root: Path, *, cycles: int, processes: int, kill_every: int, seed: int) -> Toll:
    """Have many processes use one cache.

    Args:
        root: an empty directory.
        cycles: how many in all.
        processes: how many at once.
        kill_every: cycles from one killing to the next, on average.
        seed: of the killings.
    """
    chance = random.Random(seed)  # noqa: S311 -- what happens when, not a secret

    def command(number: int) -> list[str]:
        return [sys.executable, "-m", "tests.cache.packagerotation", str(root), str(seed + number)]

    return await killing(
        command, chance=chance, cycles=cycles, processes=processes, kill_every=kill_every, longest=1 / 50
    )


def main() -> None:
    """Be a worker."""
    root, seed = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)  # noqa: S311 -- see above
    while True:
        print(cycle(store_of(root), chance), flush=True)  # noqa: T201 -- that is how it tells


if __name__ == "__main__":
    main()
