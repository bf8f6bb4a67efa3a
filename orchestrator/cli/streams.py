"""Standard output and standard error where they fail: closed, on a full disk, with a reader that has left.

What a command printed must arrive, or the command has failed. What cannot be told on standard error is told nowhere.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_EXIT_LOST = 2
_EXIT_BROKEN_PIPE = 141


class OutputLostError(OSError):
    """Standard output cannot be written. When its reader has left it is a `BrokenPipeError` as ever."""


class _Output(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputLostError(error.errno, error.strerror) from error


class _Errors(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare() -> int:
    """Get both streams ready; returns 0, or the exit code when one is closed.

    A file or a socket that is opened later would take a closed one's number, and receive what is printed.
    """
    streams = cast("tuple[TextIO | None, TextIO | None]", (sys.stdout, sys.stderr))
    if streams[0] is not None and streams[1] is not None:
        sys.stdout, sys.stderr = _text(streams[0], _Output), _text(streams[1], _Errors)
        return 0
    closed = "output" if streams[0] is None else "error"
    sys.stdout = sys.stderr = _text(streams[1] or streams[0] or open(os.devnull, "w"), _Errors)  # noqa: SIM115, PTH123
    _say(f"standard {closed} is closed", hint="Leave it open, or send it to /dev/null.")
    return _EXIT_LOST


def finish(code: int) -> int:
    """Write what is still held; returns the exit code after a command that ended with `code`."""
    try:
        sys.stdout.flush()
    except OutputLostError as error:
        return lost(error, code)
    except BrokenPipeError:
        return left(code)
    return code


def lost(error: OutputLostError, code: int = 0) -> int:
    """Say that the output is lost; returns the exit code, which is `code` when the command has failed already."""
    _discard()
    _say(f"standard output cannot be written: {error.strerror}", hint="Make room there, or send it elsewhere.")
    return code or _EXIT_LOST


def left(code: int = 0) -> int:
    """Whoever read the output has seen enough; returns the exit code, as above."""
    _discard()
    return code or _EXIT_BROKEN_PIPE


def _discard() -> None:
    # Python would complain once more when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str, *, hint: str) -> None:
    sys.stderr.write(f"error: {message}\nhint: {hint}\n")
    sys.stderr.flush()


def _text(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        # Names of files may hold bytes that are no text in any encoding.
        errors="backslashreplace",
        line_buffering=stream.isatty() or kind is _Errors,
    )
