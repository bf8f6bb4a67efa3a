"""The files of a package, as a tar file that depends on nothing but them: builders unpack no zip files."""

import io
import tarfile
import zipfile
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import IO

from orchestrator.bases.recipes import Archive
from orchestrator.errors import ConfigError


def repack(source: Path, archive: Archive, target: Path) -> None:
    """Write the archive's files as a tar file.

    Args:
        source: the package as it was fetched.
        archive: which directory of it, or the name of the whole; and which files to make executable.
        target: the tar file.

    Raises:
        ConfigError: the package has no such directory.
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
        raise ConfigError(
            f"{archive.name} has no directory {archive.directory}", hint="correct the recipe's `directory`"
        )


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


def _named(path: PurePosixPath, patterns: tuple[str, ...]) -> bool:
    # A relative pattern is matched from the right: `bin/*` would also be `src/bin/x`.
    return any(path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts) for pattern in patterns)
