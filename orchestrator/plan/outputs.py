"""Where `--output` puts what is built: words become one place for each app, before anything is built.

`type=oci|docker|tar|local,dest=PLACE`, as buildctl and buildx write it, fields with commas in double quotes. The place
may hold `{app}`; one that ends in `/`, or is a directory where a file is wanted, holds a file (or directory) named
after each app. Two apps in one place are an error. `type=docker` without a place is `--load`.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from orchestrator.config.decode import did_you_mean
from orchestrator.errors import UsageError

Kind = Literal["oci", "docker", "tar", "local"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_EXAMPLE = "As in --output type=oci,dest=out/{app}.tar"
_KEYS = ("type", "dest")


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One `--output`."""

    kind: Kind
    place: str | None
    """As it was written; None loads into a Docker Engine."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where one app's output goes."""

    kind: Kind
    path: Path


def parse(words: Sequence[str], *, load: bool = False) -> tuple[Output, ...]:
    """Read the options.

    Args:
        words: the values of `--output`.
        load: whether `--load` was said.

    Raises:
        UsageError: a value cannot be understood.
    """
    outputs = tuple(_output(word) for word in words)
    asked = load and not any(output.place is None for output in outputs)
    return (*outputs, *([Output(kind="docker", place=None)] if asked else ()))


def place(outputs: Sequence[Output], apps: Sequence[str], *, root: Path) -> Mapping[str, tuple[Placed, ...]]:
    """Give each app its places; those without a place are left out.

    Args:
        outputs: what was asked for.
        apps: the names of the apps that are built.
        root: the source, which is not trusted to say by a symlink where files are written.

    Raises:
        UsageError: two apps would write to one place, or a place leads out of the source.
    """
    placed: dict[str, list[Placed]] = {app: [] for app in apps}
    taken: dict[Path, str] = {}
    for output in outputs:
        if output.place is None:
            continue
        for app in apps:
            path = _path(output.kind, output.place, app)
            _check_inside(path, root, output.place)
            place_of = Path(os.path.normpath(path))
            if place_of in taken:
                other = taken[place_of]
                who = f"{other!r} and {app!r}" if other != app else f"two outputs of {app!r}"
                raise UsageError(
                    f"--output: {who} would both be written to {path}",
                    hint="Put {app} into dest, or end it with a slash for a directory of files.",
                )
            taken[place_of] = app
            placed[app].append(Placed(kind=output.kind, path=path))
    return {app: tuple(places) for app, places in placed.items()}


def _output(word: str) -> Output:
    try:
        [fields] = csv.reader([word], strict=True)
    except (ValueError, csv.Error) as error:
        raise UsageError(f"--output {word!r}: expected key=value, separated by commas", hint=_EXAMPLE) from error
    pairs = [field.partition("=") for field in fields]
    said = {key: value for key, _, value in pairs}
    for key, equals, value in pairs:
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS)
            raise UsageError(
                f"--output {word!r}: unknown key {key!r}", hint=f"Did you mean {near!r}?" if near else _EXAMPLE
            )
        if not equals or not value or "\0" in value:
            raise UsageError(f"--output {word!r}: {key} has no value", hint=_EXAMPLE)
    if len(said) != len(pairs):
        raise UsageError(f"--output {word!r}: a key twice", hint="Repeat --output for several outputs.")
    kind = said.get("type")
    if kind not in KINDS:
        raise UsageError(
            f"--output {word!r}: expected a type out of {', '.join(KINDS)}"
            + (f", got {kind!r}" if kind is not None else ""),
            hint="An image for a registry is --push." if kind in {"image", "registry"} else _EXAMPLE,
        )
    destination = said.get("dest")
    if destination is None and kind != "docker":
        raise UsageError(f"--output {word!r}: dest is missing", hint=_EXAMPLE)
    if destination is not None:
        _check_placeholders(word, destination)
    return Output(kind=kind, place=destination)


def _check_placeholders(word: str, destination: str) -> None:
    rest = destination.replace("{app}", "")
    if "{" in rest or "}" in rest:
        raise UsageError(f"--output {word!r}: unknown placeholder in dest", hint="Known: {app}.")
    if destination == "-":
        raise UsageError(f"--output {word!r}: standard output is no place", hint="Name a file.")


def _path(kind: Kind, written: str, app: str) -> Path:
    filled = Path(written.replace("{app}", app))
    if "{app}" in written:
        return filled
    if kind == "local":
        return filled / app if written.endswith("/") else filled
    return filled / f"{app}.tar" if written.endswith("/") or filled.is_dir() else filled


def _check_inside(path: Path, root: Path, written: str) -> None:
    """A symlink of the source may not lead the output out of it: whoever can commit one could choose the place."""
    if not Path(os.path.abspath(path)).is_relative_to(root):  # noqa: PTH100 -- Path.absolute keeps `..`
        return
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise UsageError(
            f"--output: {written!r} leads out of the source {root} through a symlink",
            hint="Name the place itself, or one outside of the source.",
        )
