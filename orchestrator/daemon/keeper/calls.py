"""Calls of the system and of programs, and the one error of this room."""

from __future__ import annotations

import ctypes
import os


class KeeperError(Exception):
    """Something that has to be there is not.

    Attributes:
        what: which part, a word for `refusal.failed`.
        number: the system's error, or 0.
        said: more of it.
    """

    def __init__(self, what: str, number: int = 0, said: str = "") -> None:
        super().__init__(said)
        self.what, self.number, self.said = what, number, said


def run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a program to its end; returns what it ended with, and what it said."""
    reading, writing = os.pipe()
    outputs = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
    try:
        pid = os.posix_spawn(command[0], command, environment, file_actions=outputs)
    except OSError as error:
        os.close(reading)
        return 1, f"{command[0]}: {error.strerror}"
    finally:
        os.close(writing)
    said = read_all(reading)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace").strip()


def read_all(reading: int) -> bytes:
    """What comes out of a pipe to its end, which is closed then."""
    said = b""
    while part := os.read(reading, 65536):
        said += part
    os.close(reading)
    return said


def mount(source: str, target: str, kind: str, flags: int, data: bytes | None = None, *, what: str = "mounts") -> None:
    """Mount something; fails as `call` does."""
    call("mount", os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, data, what=what)


def call(name: str, *arguments: object, what: str) -> None:
    """Call a function of the C library that returns 0 when all went well.

    Raises:
        KeeperError: it did not; `what` is the part that failed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments)) != 0:
        number = ctypes.get_errno()
        raise KeeperError(what, number, f"{name}: {os.strerror(number)}")
