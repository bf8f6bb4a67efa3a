"""The program that tries overlay in a directory, in a mount namespace of its own: whoever ends it, the mount is gone.

It does what unpacking layers does: a file is deleted, one is renamed, a directory is replaced; and what is left in the
upper layer must be what overlay leaves there. Run by its path and without anything installed (see `overlay`), so that
it takes 20 ms; it knows nothing but Python's own modules.
"""

from __future__ import annotations

import os
import sys

_NEW_NAMESPACE = 0x00020000
_PRIVATE = 1 << 18 | 1 << 14
"""MS_PRIVATE and MS_REC of mount(2)."""
FORBIDDEN = "namespace"
"""What a process lacks that may not mount."""
_OPAQUE = "trusted.overlay.opaque"
_TYPE, _CHARACTERS = 0o170000, 0o020000
"""S_IFMT and S_IFCHR: inode(7)."""


class _LacksError(Exception):
    """Something did not go as it must.

    Attributes:
        what: which part.
        number: the system's error, or 0.
    """

    def __init__(self, what: str, number: int = 0) -> None:
        super().__init__(what)
        self.what, self.number = what, number


def try_overlay(directory: str) -> str:
    """Mount an overlay in an empty directory, and use it.

    Returns:
        "": all went well. Else what did not, and the number of the system's error: `mount 22`.
    """
    step = "directories"
    try:
        os.chdir(directory)
        for name in ("lower", "lower/replaced", "upper", "work", "merged"):
            os.mkdir(name)  # noqa: PTH102 -- the child does without pathlib
        for name in ("lower/deleted", "lower/renamed", "lower/replaced/inner"):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        _mount()
        step = "deleting"
        os.unlink("merged/deleted")  # noqa: PTH108 -- as above
        _check(_is_whiteout("upper/deleted"), step)
        step = "renaming"
        os.rename("merged/renamed", "merged/new")  # noqa: PTH104 -- as above
        _check(_is_whiteout("upper/renamed"), step)
        step = "replacing a directory"
        os.unlink("merged/replaced/inner")  # noqa: PTH108 -- as above
        os.rmdir("merged/replaced")  # noqa: PTH106 -- as above
        os.mkdir("merged/replaced")  # noqa: PTH102 -- as above
        _check(os.getxattr("upper/replaced", _OPAQUE) == b"y", step)
        step = "listing"
        _check(sorted(os.listdir("merged")) == ["new", "replaced"], step)  # noqa: PTH208 -- as above
        _check(os.listdir("merged/replaced") == [], step)  # noqa: PTH208 -- as above
    except _LacksError as error:
        return f"{error.what} {error.number}"
    except OSError as error:
        return f"{step} {error.errno or 0}"
    return ""


def _is_whiteout(path: str) -> bool:
    found = os.lstat(path)
    return found.st_mode & _TYPE == _CHARACTERS and found.st_rdev == 0


def _check(held: bool, step: str) -> None:  # noqa: FBT001 -- an assertion
    if not held:
        raise _LacksError(step)


def _mount() -> None:
    import ctypes  # noqa: PLC0415 -- in the child alone

    libc = ctypes.CDLL(None, use_errno=True)

    def call(what: str, status: int) -> None:
        if status != 0:
            raise _LacksError(what, ctypes.get_errno())

    call(FORBIDDEN, libc.unshare(_NEW_NAMESPACE))
    call(FORBIDDEN, libc.mount(b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None))
    # Relative names: commas and colons of the directory's own would divide options.
    options = b"lowerdir=lower,upperdir=upper,workdir=work"
    call("mount", libc.mount(b"overlay", b"merged", b"overlay", ctypes.c_ulong(0), options))


if __name__ == "__main__":
    sys.stdout.write(try_overlay(sys.argv[1]))
