"""Packages of language registries, and the files of them that go into an image.

pip and go fetch what is theirs: they know the site's mirrors and settings. npm and Maven need not be on this machine,
and what they serve is one file at a known place, so that it is asked for at `$npm_config_registry`, else at the public
registry. A package lies in the state directory under its digest, once it was found to have it; whatever is fetched by
halves stays behind in the work directory. A builder unpacks tar files, not zip files, so that it is handed one.
"""

import hashlib
import shutil
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import msgspec

from langs.indexes import ORIGINS
from orchestrator.bases import archives as packing
from orchestrator.bases.recipes import Archive
from orchestrator.bases.sources import maven_url, npm_url
from orchestrator.errors import FleetpacksError
from tests.lab import tools
from tests.lab.errors import LabError
from tests.lab.state import Layout, caller_environment

_PLATFORM = "manylinux2014_x86_64"
_NPM = ORIGINS["npm"]
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
    try:
        packing.repack(source, archive, target)
    except FleetpacksError as error:
        raise LabError(error.message, hint=error.hint) from error


async def _fetch(archive: Archive, folder: Path) -> Path:
    if archive.pypi is not None:
        return await _wheel(archive.pypi, folder)
    if archive.go is not None:
        return await _module(archive.go, folder)
    if archive.npm is not None:
        variables = {name.lower(): value for name, value in caller_environment().items()}
        return await _file(npm_url(archive.npm, variables.get("npm_config_registry") or _NPM), archive, folder)
    assert archive.maven is not None, "an archive has exactly one name"
    return await _file(maven_url(archive.maven, ORIGINS["maven"]), archive, folder)


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
