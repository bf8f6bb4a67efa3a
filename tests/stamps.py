"""Changes to files that their stamps must tell: for tests of whatever is remembered of a tree."""

import os
from pathlib import Path


def tick(root: Path) -> None:
    """Wait until the file system's clock says something else than when the tree was changed last."""
    last = max(path.lstat().st_ctime_ns for path in (root, *root.rglob("*")))
    clock = root.parent / "clock"
    while True:
        clock.write_text("")
        if clock.lstat().st_ctime_ns > last:
            return


def rewrite(path: Path, text: str) -> None:
    """Another content of the same size and modification time."""
    before = path.stat()
    path.write_text(text)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
