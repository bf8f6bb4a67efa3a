"""What a daemon attaches to a failed build: the step, the place in the Dockerfile, the exit code.

They are JSON of BuildKit's protobuf messages, each in an Any of `grpc-status-details-bin` (util/grpcerrors and
solver/errdefs, v0.30.0). None of them need be there, and what cannot be read is as if it were not: a build's own error
must not hide behind ours.
"""

import re
import shlex

import msgspec
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from orchestrator.buildkit.protos import status_pb2
from orchestrator.errors import FailedStep

STEP_FAILED = " did not complete successfully: "
"""Between a step's command, which is its author's, and BuildKit's own words."""

_OLD_BEGIN = "executor failed running ["
_EXIT_CODE = r"exit code: (\d{1,10})"
_MOST_LINES = 10
_LONGEST_LINE = 500
"""Characters; of the lines of a Dockerfile that are shown, and of a command."""


class Position(msgspec.Struct, frozen=True):
    """A place in a file; from 1, and 0 where it is not told."""

    line: int = 0
    character: int = 0


class Range(msgspec.Struct, frozen=True):
    """From a place to another one."""

    start: Position = Position()
    end: Position = Position()


class SourceInfo(msgspec.Struct, frozen=True):
    """A source file, whole."""

    filename: str = ""
    data: bytes = b""
    language: str = ""

    def lines(self, place: Range) -> tuple[str, ...]:
        """The lines of a range, a bounded number of them."""
        first, last = place.start.line, max(place.start.line, place.end.line)
        if first < 1:
            return ()
        text = self.data.decode(errors="replace").splitlines()[first - 1 : min(last, first - 1 + _MOST_LINES)]
        return tuple(line[:_LONGEST_LINE] for line in text)


class _Vertex(msgspec.Struct, frozen=True):
    digest: str | None = None


class _Source(msgspec.Struct, frozen=True):
    info: SourceInfo = SourceInfo()
    ranges: tuple[Range, ...] = ()


class _Meta(msgspec.Struct, frozen=True):
    args: tuple[str, ...] = ()


class _Exec(msgspec.Struct, frozen=True):
    meta: _Meta = _Meta()


class _Op(msgspec.Struct, frozen=True):
    exec: _Exec = _Exec()


class _Solve(msgspec.Struct, frozen=True):
    op: _Op = _Op()


class _Exit(msgspec.Struct, frozen=True, rename="pascal"):
    code: int | None = None


_KINDS: dict[str, type[msgspec.Struct]] = {
    "errdefs.Vertex+json": _Vertex,
    "errdefs.Source+json": _Source,
    "errdefs.Solve+json": _Solve,
    "gatewayapi.ExitMessage+json": _Exit,
}


def failed_step(details: bytes | None, text: str) -> FailedStep:
    """Where a build failed, from its error's details and, where these are silent, from its text."""
    found = _read(details)
    vertex, source, solve, left = (found.get(kind) for kind in (_Vertex, _Source, _Solve, _Exit))
    command, exit_code = _executed(text)
    step = FailedStep(command=command, exit_code=exit_code)
    if isinstance(vertex, _Vertex):
        step = msgspec.structs.replace(step, step=vertex.digest)
    if isinstance(source, _Source) and source.info.filename and source.ranges:
        place = source.ranges[0]
        step = msgspec.structs.replace(
            step, file=source.info.filename, line=place.start.line or None, source=source.info.lines(place)
        )
    if isinstance(solve, _Solve) and solve.op.exec.meta.args:
        step = msgspec.structs.replace(step, command=_command(solve.op.exec.meta.args))
    if isinstance(left, _Exit) and left.code is not None:
        step = msgspec.structs.replace(step, exit_code=left.code)
    return step


def _read(details: bytes | None) -> dict[type, msgspec.Struct]:
    """The first detail of each kind: the outermost error has the word."""
    found: dict[type, msgspec.Struct] = {}
    try:
        entries = status_pb2.Status.FromString(details or b"").details
    except DecodeError:
        return found
    for entry in entries:
        kind = _KINDS.get(entry.type_url.rpartition("/")[2])
        if kind is not None and kind not in found:
            value = _decoded(entry, kind)
            if value is not None:
                found[kind] = value
    return found


def _decoded(entry: Any, kind: type[msgspec.Struct]) -> msgspec.Struct | None:
    try:
        return msgspec.json.decode(entry.value, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None


class StepFailure(msgspec.Struct, frozen=True):
    """What a text says of a failed step."""

    command: str
    reason: str


def step_failure(text: str) -> StepFailure | None:
    """Take apart what a daemon says of a failed step; None for any other text. The command may hold anything."""
    if text.startswith("process "):
        quoted, _, reason = text.removeprefix("process ").rpartition(STEP_FAILED)
        return StepFailure(_shell(_unquoted(quoted)), reason)
    # Daemons before v0.10.
    if text.startswith(_OLD_BEGIN):
        line, _, reason = text.removeprefix(_OLD_BEGIN).rpartition("]: ")
        return StepFailure(_shell(line), reason)
    return None


def _executed(text: str) -> tuple[str | None, int | None]:
    failure = step_failure(text)
    if failure is None:
        return None, None
    code = re.fullmatch(_EXIT_CODE, failure.reason)
    return failure.command or None, int(code[1]) if code else None


def _unquoted(quoted: str) -> str:
    """What Go quoted; most of its escapes are JSON's, and what is none stays as it is."""
    try:
        return msgspec.json.decode(quoted, type=str)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return quoted.strip('"')


def _command(args: tuple[str, ...]) -> str:
    if args[:-1] == ("/bin/sh", "-c"):
        return args[-1][:_LONGEST_LINE]
    return shlex.join(args)[:_LONGEST_LINE]


def _shell(line: str) -> str:
    return line.removeprefix("/bin/sh -c ")[:_LONGEST_LINE]
