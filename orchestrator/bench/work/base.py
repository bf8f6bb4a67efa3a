"""A base image out of this machine: its Python, a shell and what copies files, with the libraries that these need.

So the benchmark needs no registry. Everything keeps its place, for interpreters look for their modules beside
themselves; where libraries lie, which differs from one distribution to the next, is said in the image's environment.
"""

import os
import stat
import struct
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from shutil import which

import anyio
import anyio.to_thread

from orchestrator.bench.work import image
from orchestrator.errors import UsageError

PROGRAMS = ("sh", "cat", "chmod", "cp", "du", "find", "grep", "head", "ls", "mkdir", "mv", "rm", "sync")
"""What carries package caches in and out (`orchestrator.app.mountsteps`)."""
_PATH = "/usr/local/bin:/usr/bin:/bin"
_LEFT_OUT = frozenset(
    {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages"}
)
"""Of Python's modules: what no step needs."""
_INSTEAD = "Name an image that has Python 3 and a shell: --base IMAGE."
_LISTED = """\
import encodings.ascii, encodings.cp437, encodings.latin_1, encodings.utf_8, gzip, site, zlib
import os, sys
with open(sys.argv[1], encoding="utf-8") as file:
    exec(file.read(), {"__name__": "imported"})
for module in list(sys.modules.values()):
    for path in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
        if path:
            print(os.path.realpath(path))
"""
"""What `step.py` imports, and where it is."""
_ELF = b"\x7fELF"
_INTERPRETER = 3
"""PT_INTERP: elf(5)."""
_LITTLE_64 = (2, 1)
"""Of 64 bits, the lowest byte first, as all machines are that builders run on."""


async def collect(*, whole: bool = True) -> Mapping[str, Path]:
    """What goes into the image: path there -> file here.

    Args:
        whole: whether all of Python's own modules do, as in images that people build on, or those that steps import.

    Raises:
        UsageError: this machine has no such programs.
    """
    found, needing = await anyio.to_thread.run_sync(_files)
    if not whole:
        words = [sys.executable, "-I", "-S", "-c", _LISTED, str(Path(__file__).with_name("step.py"))]
        listed_by = await anyio.run_process(words, check=False)
        if listed_by.returncode:
            said = listed_by.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise UsageError(f"{sys.executable} of this machine does not list its modules: {said}", hint=_INSTEAD)
        loaded = listed_by.stdout.decode(errors="surrogateescape").splitlines()
        found = {path: file for path, file in found.items() if path in loaded or not path.endswith((".py", ".pyc"))}
    for program in needing:
        found |= await _libraries(program)
    return found


def _files() -> tuple[dict[str, Path], Sequence[Path]]:
    """All but the libraries, and those of it that need some."""
    python = Path(sys.executable).resolve()
    usual = Path("/usr/bin/python3")
    found = {str(python): python, str(usual if usual.resolve() == python else "/usr/local/bin/python3"): python}
    needing = [python]
    for name in PROGRAMS:
        place = which(name, path=_PATH)
        if place is None:
            raise UsageError(f"there is no program {name} of which a base image could be made", hint=_INSTEAD)
        found[f"/bin/{name}"] = Path(place).resolve()
        needing.append(Path(place).resolve())
    modules = Path(os.__file__).resolve().parent
    found |= {str(path): path for path in _modules(modules)}
    # What the steps import, of what is not in the interpreter itself.
    needing += [path for name in ("zlib", "math", "_struct") for path in modules.glob(f"lib-dynload/{name}.*.so")]
    return found, needing


def write(layout: Path, files: Mapping[str, Path]) -> str:
    """Write the image into a layout; returns its manifest's digest.

    Args:
        layout: see `image.write`.
        files: of `collect`.
    """
    folders = sorted(
        {str(Path(path).parent) for path in files if ".so" in Path(path).name and "lib-dynload" not in path}
    )
    env = [f"PATH={_PATH}", f"LD_LIBRARY_PATH={':'.join(folders)}", "PYTHONNOUSERSITE=1"]
    return image.write(layout, [partial(_fill, files)], env=env)


def _fill(files: Mapping[str, Path], tar: tarfile.TarFile) -> None:
    made: set[str] = set()
    for name in ("/tmp", "/var/tmp"):  # noqa: S108 -- of the image
        _parents(tar, f"{name}/x", made, mode=0o1777)
    by_file: dict[Path, str] = {}
    for path, source in sorted(files.items()):
        _parents(tar, path, made)
        if source in by_file:
            image.link(tar, path, by_file[source])
            continue
        by_file[source] = path
        status = source.stat()
        image.file(tar, path, source.read_bytes(), mode=stat.S_IMODE(status.st_mode) | 0o444, time=int(status.st_mtime))


def _parents(tar: tarfile.TarFile, path: str, made: set[str], mode: int = 0o755) -> None:
    for parent in reversed(Path(path).parents):
        if str(parent) not in made | {"/"}:
            made.add(str(parent))
            last = str(parent) == str(Path(path).parent)
            image.directory(tar, str(parent), mode if last else 0o755)


def _modules(root: Path) -> Iterator[Path]:
    """Python's own modules, compiled ones too."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        for name in names:
            if name.endswith((".py", ".so")) or (name.endswith(".pyc") and ".opt-" not in name):
                yield Path(folder, name)


async def _libraries(program: Path) -> Mapping[str, Path]:
    """What a program or a module needs to begin, as its own loader lists it, and the loader."""
    loader = _loader(program) or _loader(Path(sys.executable))
    if loader is None:
        # Linked statically.
        return {}
    said = await anyio.run_process([loader, "--list", str(program)], check=False, env={})
    return {path: Path(os.path.realpath(path)) for path in (loader, *listed(said.stdout.decode(errors="replace")))}  # noqa: ASYNC240 -- of memory, all but


def listed(text: str) -> Sequence[str]:
    """The files that a loader lists: `libz.so.1 => /lib/libz.so.1 (0x7f...)`, or without an arrow."""
    words = [line.rpartition(" (0x")[0].rpartition(" => ")[2].strip() for line in text.splitlines()]
    return [word for word in words if word.startswith("/")]


def _loader(program: Path) -> str | None:
    """The loader that a program names; None: none, or it is no program for Linux."""
    with program.open("rb") as file:
        head = file.read(64)
        if head[:4] != _ELF or (head[4], head[5]) != _LITTLE_64:
            return None
        at, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(at + number * size)
            entry = file.read(size)
            if struct.unpack_from("<I", entry)[0] == _INTERPRETER:
                offset, length = struct.unpack_from("<Q", entry, 8)[0], struct.unpack_from("<Q", entry, 32)[0]
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    return None
