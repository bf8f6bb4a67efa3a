"""`fleetpacks.lock`: the digests of base images, which `fleetpacks lock` writes and every build obeys.

It lies in the repository and is as little trusted as the rest of it: a digest says which image of a name is meant, and
never another name, so that whoever changes the file can choose among what that repository of a registry has.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchestrator.config import decode

FILE = "fleetpacks.lock"
FORMAT = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_HINT = f"Run `fleetpacks lock`, which writes {FILE} anew."


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    images: dict[str, str] = {}


def read(root: Path) -> Mapping[str, str] | None:
    """The digests by the names that stand in Dockerfiles, or None without the file.

    Raises:
        ConfigError: with file, line and key.
    """
    document = decode.read(root / FILE, name=FILE, within=root)
    if document is None:
        return None
    table = decode.decode(document, _Table, foreign=lambda _key, _value: None)
    if table.format != FORMAT:
        raise document.error(("format",), f"expected {FORMAT}, got {table.format}", hint=_HINT)
    for name, digest in table.images.items():
        if not _DIGEST.fullmatch(digest):
            raise document.error(("images", name), "expected a digest, such as sha256: and 64 digits", hint=_HINT)
    return table.images


def text(images: Mapping[str, str]) -> str:
    """The file's content, the same for the same images."""
    lines = [f"{decode.quoted(name)} = {decode.quoted(digest)}\n" for name, digest in sorted(images.items())]
    head = f"# Digests of base images. `fleetpacks lock` writes this file.\nformat = {FORMAT}\n\n[images]\n"
    return head + "".join(lines)
