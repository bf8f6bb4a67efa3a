"""What is built, made from a seed: archives, a lock file, sources, in one directory for each state of the app.

The same seed and sizes give the same files by name, number, size and content; how well an archive is compressed is the
machine's own zlib's. The states share their archives by hard links, so that a daemon is sent only what differs.
"""

import gzip
import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from orchestrator.bench.work.dockerfile import PROGRAM
from orchestrator.bench.work.sizes import Sizes

State = Literal["first", "second", "third", "locked"]
"""What the app is like: as at first, with one source changed, with it changed again, with another lock file."""
STATES: tuple[State, ...] = ("first", "second", "third", "locked")
_STAMP = (2024, 1, 1, 0, 0, 0)
_TIME = 1_704_067_200
_NATIVE = 120_000
"""Bytes of a wheel's compiled part."""
_BLOCK = 64 * 1024
_WORDS = ("value", "result", "entry", "cache", "index", "order", "state", "token", "field", "count")


def make(root: Path, sizes: Sizes, seed: int, *, check: Callable[[], None]) -> Mapping[State, Path]:
    """Write the contexts of all states below a directory.

    Args:
        root: an empty directory, not on what is measured.
        sizes: how much.
        seed: of all content.
        check: called between archives; what it raises ends it.

    Returns:
        Each state's directory.
    """
    dice = random.Random(seed)  # noqa: S311 -- no secret: the same every time
    packages = root / "packages"
    for kind in ("debs", "large", "wheels", "tarballs"):
        (packages / kind).mkdir(parents=True)
    for number in range(sizes.debs):
        check()
        files = {f"lib{number}/part{each}": mixed(dice, 24_000) for each in range(sizes.deb_files)}
        (packages / "debs" / f"lib{number}.tgz").write_bytes(tarball(files))
    with (packages / "large/large").open("wb") as file:
        for chunk in mixed_chunks(dice, sizes.large):
            check()
            file.write(chunk)
    # One more of each, which only the changed lock file names.
    for number in range(sizes.wheels + 1):
        check()
        (packages / "wheels" / f"wheel{number}.whl").write_bytes(_wheel(dice, f"wheel{number}", sizes.modules))
    for number in range(sizes.tarballs + 1):
        check()
        files = {f"lib/part{each}.js": _text(dice, 1_500).encode() for each in range(sizes.scripts)}
        (packages / "tarballs" / f"module{number}.tgz").write_bytes(tarball(files))
    sources = {f"part{number}.py": _module(dice, 12) for number in range(sizes.sources)}
    return {state: _state(root / state, state, sizes, packages, sources) for state in STATES}


def _state(root: Path, state: State, sizes: Sizes, packages: Path, sources: Mapping[str, str]) -> Path:
    for file in packages.glob("*/*"):
        place = root / "packages" / file.relative_to(packages)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, place)
    step = Path(__file__).with_name("step.py").read_bytes()
    (root / PROGRAM).write_bytes(step)
    app = root / "app/src"
    app.mkdir(parents=True)
    for name, text in sources.items():
        (app / name).write_text(text)
    (app / "state.py").write_text(f"STATE = {'third' if state == 'locked' else state!r}\n")
    # The new version of one package of each kind.
    last = (sizes.wheels, sizes.tarballs) if state == "locked" else (sizes.wheels - 1, sizes.tarballs - 1)
    lock = {
        "wheels": [*(f"wheel{number}.whl" for number in range(sizes.wheels - 1)), f"wheel{last[0]}.whl"],
        "tarballs": [*(f"module{number}.tgz" for number in range(sizes.tarballs - 1)), f"module{last[1]}.tgz"],
    }
    (root / "app/lock.json").write_text(json.dumps(lock))
    return root


def tarball(files: Mapping[str, bytes]) -> bytes:
    """A tar of these files, compressed, without a trace of when and by whom it was made."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), _TIME, 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _wheel(dice: random.Random, name: str, modules: int) -> bytes:
    packed = io.BytesIO()
    files = {f"{name}/part{number}.py": _module(dice, 12).encode() for number in range(modules)}
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in (*files.items(), (f"{name}/native.so", mixed(dice, _NATIVE))):
            archive.writestr(zipfile.ZipInfo(path, _STAMP), content, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


def _module(dice: random.Random, functions: int) -> str:
    """A module as large as they are on average, of which compiling takes as long."""
    found: list[str] = []
    for number in range(functions):
        first, second, third = dice.choices(_WORDS, k=3)
        found.append(
            f"def {first}_{number}({second}=None, *, {third}_limit={dice.randrange(1000)}):\n"
            f'    """{_text(dice, 80)}"""\n'
            f"    found = [each for each in ({second} or ()) if each != {third}_limit]\n"
            f"    return {{'{first}': found, '{third}': len(found) * {dice.randrange(99)}}}\n\n"
        )
    return "\n".join(found)


def _text(dice: random.Random, size: int) -> str:
    return " ".join(dice.choices(_WORDS, k=max(1, size // 6)))[:size]


def mixed(dice: random.Random, size: int) -> bytes:
    """Bytes of which about a half can be compressed away, as of programs."""
    half = size // 2
    return dice.randbytes(half) + (b"\0" * 3 + b"\x7f") * ((size - half) // 4 + 1)


def mixed_chunks(dice: random.Random, size: int) -> Iterator[bytes]:
    """The same in pieces, for what is large."""
    for at in range(0, size, _BLOCK):
        count = min(_BLOCK, size - at)
        yield mixed(dice, count)[:count]
