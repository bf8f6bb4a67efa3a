"""What a frontend can say about a Dockerfile without building it: warnings, parameters, targets.

The answers are JSON in the metadata of a result, under `result.json` (frontend/subrequests/, v0.30.0). They are read
leniently: fields that are missing are empty, as in Go, and more of them may come.
"""

from typing import TypeVar, cast

import msgspec

from orchestrator.buildkit.details import Position, Range, SourceInfo
from orchestrator.errors import ProtocolError

DESCRIBE = "frontend.subrequests.describe"
LINT = "frontend.lint"
OUTLINE = "frontend.outline"
TARGETS = "frontend.targets"
RESULT = "result.json"


class Location(msgspec.Struct, frozen=True, rename="camel"):
    """Where in a source file; ranges of the source with this index."""

    source_index: int = 0
    ranges: tuple[Range, ...] = ()

    @property
    def line(self) -> int | None:
        """The first line that is meant, from 1; None when none is."""
        start = self.ranges[0].start if self.ranges else Position()
        return start.line or None


class LintWarning(msgspec.Struct, frozen=True, rename="camel"):
    """What a rule has against the Dockerfile."""

    rule_name: str
    description: str = ""
    """Of the rule."""
    detail: str = ""
    """Of this case."""
    url: str = ""
    location: Location = Location()


class LintError(msgspec.Struct, frozen=True, rename="camel"):
    """Why the Dockerfile could not be checked to its end: it could not be built either."""

    message: str
    location: Location = Location()


class Lint(msgspec.Struct, frozen=True, rename="camel"):
    """All warnings about a Dockerfile."""

    warnings: tuple[LintWarning, ...] = ()
    sources: tuple[SourceInfo, ...] = ()
    build_error: LintError | None = None


class Argument(msgspec.Struct, frozen=True, rename="camel"):
    """A build argument that the target uses."""

    name: str
    value: str = ""
    """What it would be in this build."""
    description: str = ""
    """From a comment above it."""
    location: Location | None = None


class Mount(msgspec.Struct, frozen=True, rename="camel"):
    """A secret or an SSH agent that the target mounts."""

    name: str
    required: bool = False
    location: Location | None = None


class CacheMount(msgspec.Struct, frozen=True):
    """A cache that the target mounts. The Dockerfile frontend of v0.30.0 lists none."""

    id: str = msgspec.field(name="ID")
    location: Location | None = None


class Outline(msgspec.Struct, frozen=True, rename="camel"):
    """The parameters of one target."""

    name: str = ""
    """Empty for a last stage without name."""
    description: str = ""
    args: tuple[Argument, ...] = ()
    secrets: tuple[Mount, ...] = ()
    ssh: tuple[Mount, ...] = ()
    cache: tuple[CacheMount, ...] = ()
    sources: tuple[bytes, ...] = ()


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """A stage that can be built."""

    name: str = ""
    default: bool = False
    description: str = ""
    base: str = ""
    """The image or the stage it begins with."""
    platform: str = ""
    location: Location | None = None


class Targets(msgspec.Struct, frozen=True, rename="camel"):
    """All stages of a Dockerfile, in its order."""

    targets: tuple[Target, ...] = ()
    sources: tuple[bytes, ...] = ()


class Subrequest(msgspec.Struct, frozen=True, rename="camel"):
    """A question that a frontend answers."""

    name: str
    version: str = ""
    description: str = ""


Answer = TypeVar("Answer")


def decode(answer: bytes, kind: type[Answer], *, name: str) -> Answer:
    """Read a frontend's answer.

    Raises:
        ProtocolError: it is not what BuildKit's frontends send.
    """
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(answer)), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(
            f"the frontend's answer to {name} cannot be read: {error}",
            hint="is the Dockerfile's frontend (its `# syntax` line) one that answers such questions?",
        ) from error


def _without_nulls(value: object) -> object:
    """What Go writes for an empty list is null: the same as nothing."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: _without_nulls(each) for key, each in items if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in cast("list[object]", value)]
    return value
