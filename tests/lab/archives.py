"""Packages of language registries, fetched by their own clients: pip and go know the site's mirrors and settings.

A package lies in the state directory under its digest, once it was found to have it; whatever is fetched by halves
stays behind in the work directory. A builder unpacks tar files, not zip files, so that it is handed one.
"""

import hashlib
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import anyio
import msgspec

from orchestrator.bases.recipes import Archive
from tests.lab import tools
from tests.lab.errors import LabError
from tests.lab.state import Layout, caller_environment

_PLATFORM = "manylinux2014_x86_64"


class _Module(msgspec.Struct, frozen=True, rename="pascal"):
    """What `go mod download -json` says."""

    zip: str


async def fetch(place: Layout, archive: Archive, say: Callable[[str], None]) -> Path:
    """A package as its registry serves it, fetched once.

    Args:
        place: the state directory.
        archive: the package, and the digest it must have.
        say: receives a line when it has to be fetched.

    Raises:
        LabError: it cannot be fetched, or is another file than the recipe says.
    """
    finished = place.root / "bases" / f"{archive.sha256}.zip"
    if await anyio.Path(finished).exists():
        return finished
    say(f"fetching {archive.name}")
    folder = place.work / archive.sha256
    await anyio.Path(folder).mkdir(parents=True)
    fetched = await (_wheel(archive.pypi, folder) if archive.pypi else _module(archive.name, folder))
    digest = await anyio.to_thread.run_sync(_sha256, fetched)
    if digest != archive.sha256:
        raise LabError(
            f"{archive.name} has the digest sha256:{digest}, and must have sha256:{archive.sha256}",
            hint="look whether the site's mirror serves the file of the public registry, unchanged",
        )
    await anyio.Path(finished.parent).mkdir(exist_ok=True)
    await anyio.Path(fetched).rename(finished)
    # What the client made beside it is big, and of no use.
    await anyio.to_thread.run_sync(shutil.rmtree, folder)
    return finished


def repack(source: Path, archive: Archive, target: Path) -> None:
    """Write the files of the archive's directory as a tar file that depends on nothing but them.

    Args:
        source: the zip file.
        archive: which directory of it, and which files to make executable.
        target: the tar file.

    Raises:
        LabError: the zip file has no such directory.
    """
    prefix = f"{archive.directory}/"
    with zipfile.ZipFile(source) as package, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        files = [entry for entry in package.infolist() if entry.filename.startswith(prefix) and not entry.is_dir()]
        for entry in files:
            member = tarfile.TarInfo(entry.filename.removeprefix(prefix))
            member.size = entry.file_size
            # The upper half of the attributes is st_mode where the zip file was made on Unix, else 0.
            executable = entry.external_attr >> 16 & 0o111 or _named(PurePosixPath(member.name), archive.executable)
            member.mode = 0o755 if executable else 0o644
            with package.open(entry) as data:
                tar.addfile(member, data)
    if not files:
        raise LabError(f"{archive.name} has no directory {archive.directory}", hint="correct the recipe's `directory`")


async def _wheel(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    options = ["--only-binary", ":all:", "--platform", _PLATFORM, "--dest", str(folder), requirement]
    await tools.run(
        [*command, *options],
        doing=f"fetching {requirement}",
        hint=f"look whether `pip download {requirement}` works; pip's settings name the index it asks",
    )
    (wheel,) = [path async for path in anyio.Path(folder).glob("*.whl")]
    return Path(wheel)


async def _module(module: str, folder: Path) -> Path:
    said = await tools.run(
        [tools.go(f"{module} has to be fetched once"), "mod", "download", "-json", module],
        doing=f"fetching {module}",
        hint="look whether the Go module proxy ($GOPROXY) can be reached",
        cwd=folder,
        env={
            **caller_environment(),
            "GOFLAGS": "-modcacherw",
            "GOMODCACHE": str(folder / "modules"),
            "GOPATH": str(folder),
            "GOWORK": "off",
        },
    )
    return Path(msgspec.json.decode(said, type=_Module).zip)


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _named(path: PurePosixPath, patterns: tuple[str, ...]) -> bool:
    # A relative pattern is matched from the right: `bin/*` would also be `src/bin/x`.
    return any(path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts) for pattern in patterns)
