"""Which edition of this library makes a result: another one might make something else of the same files.

A version would do for what is installed from an index. Where the library is worked on, and where an installation is
replaced by another of the same version, only its files tell; the same goes for the libraries that it stands on.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("jinja2", "msgspec", "packaging", "yaml")
"""Those that parse and render; what is said by the standard library is said by Python's version."""

_HERE: Final = Path(__file__).parent


def edition() -> str:
    """A digest of what this library is, as hexadecimal digits.

    Raises:
        OSError: its files are not where they can be looked at.
    """
    said = hashlib.sha256(sys.version.encode())
    for path in sorted(_files()):
        found = os.stat(path)  # noqa: PTH116 -- a Path for each of a hundred files takes longer than the look
        said.update(repr((path, found.st_size, found.st_mtime_ns, found.st_ino)).encode())
    return said.hexdigest()


def _files() -> Iterator[str]:
    for directory in (_HERE, _HERE / "templates"):
        with os.scandir(directory) as entries:
            yield from (entry.path for entry in entries if entry.is_file())
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(name)
        yield spec.origin
