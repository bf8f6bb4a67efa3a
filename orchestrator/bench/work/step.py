"""What the steps of the measured builds run: it writes as dpkg, pip and npm do, without a network.

`python3 /fleetpacks-bench.py VERB`, with archives in /packages/VERB and a package cache in /cache/VERB. Runs in the
base image, so it knows nothing but Python's own modules, and those of any version from 3.7 on.

dpkg: as it is set in images of Debian and Ubuntu (`force-unsafe-io` in /etc/dpkg/dpkg.cfg.d/docker-apt-speedup): files
are written beside their places and renamed, and only its database is synced, which is 26 syncs for a package (132 for
five, by strace of dpkg 1.21.22: a file and its directory for each change of a package's state). pip: an archive that
the cache lacks is put into it under another name, and renamed ("downloaded"); its files are written and compiled. npm:
the same cache, then many small files.
"""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = Path("/packages")
_CACHE = Path("/cache")
_SYSTEM = Path("/opt/system")
_APP = Path("/app")
_STATES = 9
"""How often a package's state is written while it is unpacked and configured."""


def debs() -> None:
    """Unpack and configure packages of a distribution."""
    database = _SYSTEM / "dpkg"
    installed: list[str] = []
    for archive in sorted((_PACKAGES / "debs").iterdir()):
        listed: list[str] = []
        for control in ("control", "md5sums", "postinst"):
            _synced(database / "tmp.ci" / control, archive.name.encode())
        for path, content in _content(_downloaded("debs", archive.name)):
            _renamed(_SYSTEM / path, content)
            listed.append(path)
        _synced(database / "info" / archive.name, "\n".join(listed).encode())
        for number in range(_STATES):
            _synced(database / "updates" / f"{number:04}", archive.name.encode())
        installed.append(archive.name)
    _synced(database / "status", "\n".join(installed).encode())


def large() -> None:
    """Put a toolchain in its place."""
    place = Path("/opt/toolchain")
    place.mkdir(parents=True)
    shutil.copyfile(str(_PACKAGES / "large/large"), str(place / "large"))


def wheels() -> None:
    """Unpack and compile packages of Python."""
    place = _APP / "site-packages"
    for name in _locked("wheels"):
        with zipfile.ZipFile(str(_downloaded("wheels", name))) as archive:
            archive.extractall(str(place))  # noqa: S202 -- made by us
            for member in archive.namelist():
                if member.endswith(".py"):
                    py_compile.compile(str(place / member), doraise=True)


def tarballs() -> None:
    """Unpack packages of Node.js."""
    for name in _locked("tarballs"):
        place = _APP / "node_modules" / name.partition(".")[0]
        for path, content in _content(_downloaded("tarballs", name)):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)


def sources() -> None:
    """Compile the app."""
    out, digest = _APP / "out", hashlib.sha256()
    out.mkdir()
    with (out / "bundle").open("wb") as bundle:
        for file in sorted((_APP / "src").iterdir()):
            digest.update(file.read_bytes())
            bundle.write(file.read_bytes())
            py_compile.compile(str(file), cfile=str(out / (file.name + "c")), doraise=True)
    (out / "digest").write_text(digest.hexdigest(), encoding="ascii")


def _renamed(place: Path, content: bytes, *, sync: bool = False) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    grown = place.with_name(place.name + ".new")
    with grown.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    grown.replace(place)


def _synced(place: Path, content: bytes) -> None:
    _renamed(place, content, sync=True)
    directory = os.open(str(place.parent), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _content(file: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(str(file)) as archive:
        for member in archive:
            opened = archive.extractfile(member)
            if opened is not None:
                yield member.name, opened.read()


def _locked(kind: str) -> list[str]:
    found: list[str] = json.loads((_APP / "lock.json").read_text(encoding="ascii"))[kind]
    return found


def _downloaded(kind: str, name: str) -> Path:
    """The archive in the package cache, which it is put into when it is not there."""
    place = _CACHE / kind / name
    if not place.exists():
        shutil.copyfile(str(_PACKAGES / kind / name), str(place) + ".part")
        Path(str(place) + ".part").replace(place)
    return place


if __name__ == "__main__":
    {"debs": debs, "large": large, "wheels": wheels, "tarballs": tarballs, "sources": sources}[sys.argv[1]]()
