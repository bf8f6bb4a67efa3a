"""`$CI_IMAGE_BUILD_EXTRA_ARGS`: words of a build command that a runner passes in.

They are split as a shell would split them, and variables in them are put in by us, word by word: a value never becomes
two words, and nothing is run. What would change what is built is understood or refused, never passed over.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from orchestrator.errors import ConfigError

NAME = "CI_IMAGE_BUILD_EXTRA_ARGS"
_HINT = (
    "Understood are --cache-from and --cache-to with type=local or type=registry, --build-arg, --no-cache, --progress "
    "and --quiet."
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)|(.?))", re.DOTALL)
_DISPLAYED = frozenset({"--quiet", "-q"})
_WITH_VALUE = frozenset({"--cache-from", "--cache-to", "--build-arg", "--progress"})
_ALONE = frozenset({"--no-cache", *_DISPLAYED})
_KEYS = {
    ("--cache-from", "local"): frozenset({"src"}),
    ("--cache-from", "registry"): frozenset({"ref", "registry.insecure"}),
    ("--cache-to", "local"): frozenset({"dest", "mode"}),
    ("--cache-to", "registry"): frozenset({"ref", "mode", "registry.insecure", "compression"}),
}
_PLACES = {"src", "dest", "ref"}


class ExtraArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What they say."""

    image: str | None = None
    """The registry's cache that is written."""
    sources: tuple[str, ...] = ()
    """Registries' caches that are read."""
    insecure: bool = False
    compression: Literal["gzip", "zstd"] | None = None
    local: Path | None = None
    """The directory that local caches are written to."""
    local_sources: tuple[Path, ...] = ()
    """Directories that they are read from."""
    mode: Literal["min", "max"] | None = None
    build_args: Mapping[str, str] = {}
    no_cache: bool = False


def parse(text: str | None, variables: Mapping[str, str]) -> ExtraArgs:
    """Understand the words.

    Args:
        text: the variable's value.
        variables: the environment.

    Raises:
        ConfigError: they cannot be understood, or would have to be obeyed and cannot be.
    """
    if not text:
        return ExtraArgs()
    import shlex  # noqa: PLC0415 -- nearly all runs go without

    try:
        words = [_expanded(word, variables) for word in shlex.split(text)]
    except ValueError as error:
        _refuse(f"it does not end as it begins: {str(error).lower()}")
    said: dict[str, object] = {}
    sources, local_sources, build_args = list[str](), list[Path](), dict[str, str]()
    for flag, value in _flags(words):
        if flag == "--no-cache":
            said["no_cache"] = True
        elif flag == "--build-arg":
            build_args |= _build_arg(value, variables)
        elif flag in {"--cache-from", "--cache-to"}:
            fields = _fields(flag, value)
            said |= _common(flag, fields)
            if flag == "--cache-to":
                said |= _written(fields, said)
            elif fields["type"] == "local":
                local_sources.append(_directory(flag, fields["src"]))
            else:
                sources.append(fields["ref"])
    known = {"sources": tuple(sources), "local_sources": tuple(local_sources), "build_args": build_args}
    return msgspec.convert(said | known, ExtraArgs)


def _build_arg(value: str, variables: Mapping[str, str]) -> dict[str, str]:
    name, stated, given = value.partition("=")
    if not name.isidentifier() or not name.isascii():
        _refuse(f"--build-arg: expected NAME[=VALUE], got {value!r}")
    if not stated and name not in variables:
        _refuse(f"--build-arg {name}: the environment has no such variable")
    return {name: given if stated else variables[name]}


def _written(fields: dict[str, str], said: dict[str, object]) -> dict[str, object]:
    target = "local" if fields["type"] == "local" else "image"
    if target in said:
        _refuse(f"there are two --cache-to of type={fields['type']}")
    return {target: _directory("--cache-to", fields["dest"]) if target == "local" else fields["ref"]}


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    waiting = iter(words)
    for word in waiting:
        flag, stated, value = word.partition("=")
        if flag in _WITH_VALUE:
            given = value if stated else next(waiting, None)
            if not given:
                _refuse(f"{flag} has no value")
            yield flag, given
        elif word in _ALONE:
            yield word, ""
        else:
            _refuse(f"{word!r} is not understood")


def _fields(flag: str, value: str) -> dict[str, str]:
    import csv  # noqa: PLC0415 -- see above

    # As buildx reads them: one line of CSV.
    try:
        parts = next(csv.reader([value]))
    except csv.Error:
        _refuse(f"{flag} {value!r}: expected one line")
    if len(parts) == 1 and "=" not in parts[0]:
        parts = ["type=registry", f"ref={parts[0]}"]
    fields = {name.strip().lower(): given for name, _, given in (part.partition("=") for part in parts)}
    kind = fields.get("type", "")
    known = _KEYS.get((flag, kind))
    if known is None:
        _refuse(f"{flag} {value!r}: expected type=local or type=registry")
    strange = fields.keys() - known - {"type"}
    if strange:
        _refuse(f"{flag} {value!r}: {min(strange)!r} is not understood")
    for name in known & _PLACES:
        if not fields.get(name):
            _refuse(f"{flag} {value!r}: {name} is missing")
    return fields


def _common(flag: str, fields: dict[str, str]) -> dict[str, object]:
    said: dict[str, object] = {}
    for name, words in (("mode", ("min", "max")), ("compression", ("gzip", "zstd"))):
        if name in fields:
            if fields[name] not in words:
                _refuse(f"{flag}: {name}: expected {' or '.join(words)}, got {fields[name]!r}")
            said[name] = fields[name]
    if fields.get("registry.insecure", "false") not in {"false", "0"}:
        said["insecure"] = True
    return said


def _directory(flag: str, text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        _refuse(f"{flag}: expected an absolute path without `..`, got {text!r}")
    return path


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            if not found[3] or found[3] not in "{(":
                return found[0]
            _refuse(f"{word!r}: of what stands behind a dollar sign, only $NAME and ${{NAME}} are understood")
        if name not in variables:
            _refuse(f"{word!r}: ${name} is not set")
        return variables[name]

    return _VARIABLE.sub(value, word)


def _refuse(why: str) -> NoReturn:
    raise ConfigError(f"${NAME}: {why}", hint=_HINT)
