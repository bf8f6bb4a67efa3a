"""Packages of language registries, and the files of them that go into an image.

pip and go fetch what is theirs: they know the site's mirrors and settings. npm and Maven need not be on this machine,
and what they serve is one file at a known place, so that it is asked for at `$npm_config_registry`, else at the public
registry. A package lies in the state directory under its digest, once it was found to have it; whatever is fetched by
halves stays behind in the work directory. A builder unpacks tar files, not zip files, so that it is handed one.
"""

import hashlib
import io
import shutil
import ssl
import sys
import tarfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path, PurePosixPath
from typing import IO

import anyio
import httpx
import msgspec

from orchestrator.bases.recipes import Archive
from tests.lab import tools
from tests.lab.errors import LabError
from tests.lab.state import Layout, caller_environment

_PLATFORM = "manylinux2014_x86_64"
_NPM = "https://registry.npmjs.org"
_CENTRAL = "https://repo.maven.apache.org/maven2"
_AS_IT_IS = {"Accept-Encoding": "identity"}
_SILENCE = 60.0
"""Seconds in which a registry must send something."""


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
    zipped = archive.pypi is not None or archive.go is not None
    finished = place.root / "bases" / f"{archive.sha256}.{'zip' if zipped else 'package'}"
    if await anyio.Path(finished).exists():
        return finished
    say(f"fetching {archive.name}")
    folder = place.work / archive.sha256
    await anyio.Path(folder).mkdir(parents=True)
    fetched = await _fetch(archive, folder)
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
    """Write the archive's files as a tar file that depends on nothing but them.

    Args:
        source: the package as it was fetched.
        archive: which directory of it, or the name of the whole; and which files to make executable.
        target: the tar file.

    Raises:
        LabError: the package has no such directory.
    """
    found = False
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, executable, size, data in _members(source, archive):
            found = True
            member = tarfile.TarInfo(name)
            member.size = size
            member.mode = 0o755 if executable or _named(PurePosixPath(name), archive.executable) else 0o644
            tar.addfile(member, data)
    if not found:
        raise LabError(f"{archive.name} has no directory {archive.directory}", hint="correct the recipe's `directory`")


def npm_url(package: str, registry: str) -> str:
    """Where a registry of npm's kind serves a package's tarball.

    Args:
        package: `@scope/name@version` or `name@version`.
        registry: the registry's address.
    """
    name, _, version = package.rpartition("@")
    return f"{registry.rstrip('/')}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def maven_url(artifact: str, repository: str = _CENTRAL) -> str:
    """Where a repository of Maven's kind serves an artifact.

    Args:
        artifact: `group:artifact:version:packaging[:classifier]`.
        repository: the repository's address.
    """
    group, name, version, packaging, *classifier = artifact.split(":")
    file = "-".join([name, version, *classifier])
    return f"{repository}/{group.replace('.', '/')}/{name}/{version}/{file}.{packaging}"


def _members(source: Path, archive: Archive) -> Generator[tuple[str, bool, int, IO[bytes]]]:
    """The files that go into the image: name, whether it is executable, size, content."""
    if archive.file is not None:
        with source.open("rb") as file:
            yield archive.file, False, source.stat().st_size, file
        return
    prefix = f"{archive.directory}/"
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as package:
            for entry in package.infolist():
                if entry.filename.startswith(prefix) and not entry.is_dir():
                    with package.open(entry) as data:
                        # The upper half of the attributes is st_mode where the zip file was made on Unix, else 0.
                        mode = entry.external_attr >> 16
                        yield entry.filename.removeprefix(prefix), bool(mode & 0o111), entry.file_size, data
        return
    with tarfile.open(source, "r:*") as package:
        for member in package:
            if member.name.startswith(prefix) and member.isfile():
                content = package.extractfile(member) or io.BytesIO()
                yield member.name.removeprefix(prefix), bool(member.mode & 0o111), member.size, content


async def _fetch(archive: Archive, folder: Path) -> Path:
    if archive.pypi is not None:
        return await _wheel(archive.pypi, folder)
    if archive.go is not None:
        return await _module(archive.go, folder)
    if archive.npm is not None:
        variables = {name.lower(): value for name, value in caller_environment().items()}
        return await _file(npm_url(archive.npm, variables.get("npm_config_registry") or _NPM), archive, folder)
    assert archive.maven is not None, "an archive has exactly one name"
    return await _file(maven_url(archive.maven), archive, folder)


async def _file(url: str, archive: Archive, folder: Path) -> Path:
    path = folder / "package"
    # The machine's own certificate authorities, not those that httpx comes with.
    client = httpx.AsyncClient(verify=ssl.create_default_context(), timeout=_SILENCE, follow_redirects=True)
    try:
        async with (
            client,
            client.stream("GET", url, headers=_AS_IT_IS) as answer,
            await anyio.open_file(path, "wb") as target,
        ):
            answer.raise_for_status()
            async for data in answer.aiter_raw():
                await target.write(data)
    except httpx.HTTPError as error:
        raise LabError(
            f"fetching {archive.name}: {str(error) or type(error).__name__}", hint=f"look whether {url} can be reached"
        ) from error
    return path


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
