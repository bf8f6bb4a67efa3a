"""`fleetpacks.lock`: what was chosen, and which base images are meant: written once, and obeyed by every build.

It lies in the repository and is as little trusted as the rest of it. A digest says which image of a name is meant, and
never another name, so that whoever changes the file can choose among what that repository of a registry has. A version
counts only where the app's own files leave the choice, and inside of what they allow.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchestrator.config import decode

FILE = "fleetpacks.lock"
FORMAT = 2
_WITHOUT_VERSIONS = 1
"""The format before, which had images only."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", re.ASCII)
# To update it, it would have to be read.
_HINT = f"Take {FILE} back from version control; or delete it, and run `fleetpacks lock`."


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    images: Mapping[str, str] = {}
    """Digests by the names that stand in Dockerfiles."""
    versions: Mapping[str, Mapping[str, str]] | None = {}
    """Versions by tool, by the apps' paths; None: the file is of a format that has none."""

    def of(self, path: str) -> Mapping[str, str]:
        """The versions of the app at `path`."""
        return (self.versions or {}).get(path, {})


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    images: dict[str, str] = {}
    versions: dict[str, dict[str, str]] = {}


def read(root: Path) -> Lock | None:
    """What the file says, or None without it.

    Raises:
        ConfigError: with file, line and key.
    """
    document = decode.read(root / FILE, name=FILE, within=root)
    if document is None:
        return None
    table = decode.decode(document, _Table, foreign=lambda _key, _value: None)
    if table.format not in {_WITHOUT_VERSIONS, FORMAT}:
        newer = table.format > FORMAT
        raise document.error(
            ("format",),
            f"expected {_WITHOUT_VERSIONS} or {FORMAT}, got {table.format}",
            hint="A newer fleetpacks wrote it: use that one." if newer else _HINT,
        )
    for name, digest in table.images.items():
        if not _DIGEST.fullmatch(digest):
            raise document.error(("images", name), "expected a digest, such as sha256: and 64 digits", hint=_HINT)
    for path, tools in table.versions.items():
        for tool, version in tools.items():
            if not _VERSION.fullmatch(version):
                raise document.error(("versions", path, tool), "expected a version, such as 22.16.0", hint=_HINT)
    return Lock(images=table.images, versions=table.versions if table.format == FORMAT else None)


def text(lock: Lock) -> str:
    """The file's content, the same for the same choices: a line for each image, and one for each app."""
    parts = [
        "# What was chosen for builds. `fleetpacks lock` completes this file, `fleetpacks update` chooses anew.\n",
        f"format = {FORMAT}\n\n[images]\n",
        *(f"{decode.quoted(name)} = {decode.quoted(digest)}\n" for name, digest in sorted(lock.images.items())),
        "\n[versions]\n",
    ]
    for path, tools in sorted((lock.versions or {}).items()):
        said = ", ".join(f"{decode.dotted((tool,))} = {decode.quoted(value)}" for tool, value in sorted(tools.items()))
        parts.append(f"{decode.quoted(path)} = {{ {said} }}\n" if said else "")
    return "".join(parts)
