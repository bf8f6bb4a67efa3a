"""Whether a directory carries overlay as builders need it: tried, since a file system's name says little.

CephFS mounted by the kernel and by FUSE differ, and so do kernels.
"""

import errno
import os
import sys
from pathlib import Path

from orchestrator.bench.ground import carrying, tools
from orchestrator.errors import StorageError


async def refusal(directory: Path) -> str:
    """Try overlay in an empty directory, which is not empty afterwards.

    Returns:
        "": it carries overlay. Else what did not go: `overlay cannot be mounted on it (Invalid argument)`.

    Raises:
        StorageError: this process may not mount, or this kernel has no overlay at all.
    """
    try:
        said = await tools.run([sys.executable, "-I", "-S", carrying.__file__, str(directory)])
    except tools.ToolError as error:
        raise StorageError(
            f"{directory}: overlay cannot be tried: {error}", hint="Run this with a Python that starts: python3 -I -S."
        ) from error
    return meaning(said.decode(errors="replace"))


def meaning(said: str) -> str:
    """What the program's answer means; as `refusal`."""
    what, _, number = said.strip().rpartition(" ")
    code = int(number) if number.isascii() and number.isdigit() else 0
    if what == carrying.FORBIDDEN:
        raise StorageError(
            f"builds cannot be measured here: this process may not mount ({os.strerror(code)})",
            hint="Run it as root; in a container, in one with --privileged.",
        )
    if what == "mount" and code == errno.ENODEV:
        raise StorageError(
            "builds cannot be measured here: the kernel has no overlay file system",
            hint="Load it (modprobe overlay), or use a kernel that has it.",
        )
    if not what:
        return ""
    problem = "overlay cannot be mounted on it" if what == "mount" else f"overlay does not work on it: {what}"
    return f"{problem} ({os.strerror(code)})" if code else problem
