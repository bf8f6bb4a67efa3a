"""An image in a directory of ours, in OCI's layout: what a named context `oci-layout://NAME@DIGEST` reads.

No registry is needed to build on such an image. The daemon asks for the manifest by its digest, then for what that
names, by the content service. It hashes what it is given; here a name is only held to be that of a blob.
"""

import re
from pathlib import Path
from typing import BinaryIO

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Layout:
    """The blobs of an image layout. A `ReadableStore`.

    Args:
        root: the directory that has `oci-layout`.
    """

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs/sha256"

    def size(self, digest: str) -> int | None:
        """The bytes of a blob; None: it is not here."""
        try:
            return path.stat().st_size if (path := self._path(digest)) else None
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO | None:
        """A blob to read; None: it is not here."""
        try:
            return path.open("rb") if (path := self._path(digest)) else None
        except FileNotFoundError:
            return None

    def _path(self, digest: str) -> Path | None:
        found = _DIGEST.fullmatch(digest)
        return self._blobs / found[1] if found else None
