"""Who made a file or a directory: a name by which anybody can tell whether its maker may still be at work.

A lock would tell at once, but locks of files are not to be trusted on volumes that several machines mount. A name says
which kernel and which namespace of processes its maker lives in, its number there, and when it began: where all that
can be compared, a maker that was killed is known to be gone. Elsewhere only time tells, and without `/proc` everywhere.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path

_NAME = re.compile(r"([0-9a-f]{12})-([0-9]{1,10})-([0-9]{1,20})-[0-9a-f]{16}")
_PROC = Path("/proc")
_NOWHERE = "0" * 12
"""A home that nobody knows to be its own."""
_START = 19
"""The 22nd field of `/proc/PID/stat`, counted behind the name: proc_pid_stat(5)."""


def name() -> str:
    """A name that no other call has, in any process of any machine."""
    pid = os.getpid()
    return f"{_home()}-{pid}-{_began(pid) or 0}-{secrets.token_hex(8)}"


def is_name(text: str) -> bool:
    """Whether a text is such a name: then it is a safe name of a file, too."""
    return _NAME.fullmatch(text) is not None


def is_gone(text: str) -> bool:
    """Whether the maker of a name has surely ended. Not known of processes elsewhere: False."""
    found = _NAME.fullmatch(text)
    if found is None or not is_here(text):
        return False
    pid = int(found[2])
    began = _began(pid)
    # What /proc does not show may still be there: of other users, where it is mounted so.
    return not _exists(pid) if began is None else began != int(found[3])


def is_here(text: str) -> bool:
    """Whether the maker of a name lives, or lived, where it can be looked for."""
    found = _NAME.fullmatch(text)
    return found is not None and found[1] == _home() != _NOWHERE


def _home() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_bytes()
        space = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return _NOWHERE
    return hashlib.sha256(boot + str(space).encode()).hexdigest()[:12]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _began(pid: int) -> int | None:
    try:
        # The name in parentheses may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[_START])
