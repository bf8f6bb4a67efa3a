"""A TOML file becomes a frozen struct, or an error that a person can act on.

msgspec would name neither the file nor the key inside a table of tables, so the tables are walked here, along the
struct's own annotations, and msgspec judges the leaves. The line of a key comes from the TOML parser itself: it is
the first line whose prefix of the file parses and holds the key.
"""

import os
import stat
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeGuard, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from langs import tomlkeys
from orchestrator.errors import ConfigError

MAX_BYTES = 1 << 20
_MAX_SEARCHED = 4 << 20
"""Characters that the search for one line may parse: a file made to be slow gets errors without lines."""

_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a float",
    "bool": "a boolean",
    "object": "a table",
    "array": "an array",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}

WORDS = "words"
"""Where the annotation of a leaf (`Meta.extra`) says what its pattern asks for."""
_MOST_SHOWN = 60

Key = tuple[str | int, ...]
S = TypeVar("S", bound=msgspec.Struct)
Foreign = Callable[[Key, object], str | None]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one configuration file, and how errors call the file."""

    name: str
    text: str

    def error(self, key: Key, problem: str, *, hint: str) -> ConfigError:
        """An error at `key`, its line found when it can be."""
        line = line_of(self.text, key)
        place = f"{self.name}:{line}" if line else self.name
        # Of the file as a whole there is no key.
        where = f"{place}: {dotted(key)}" if key else place
        return ConfigError(f"{where}: {problem}", hint=hint)


def read(path: Path, *, name: str, within: Path | None = None) -> Document | None:
    """The file's text, or None when there is none.

    Args:
        path: the file.
        name: how errors call it.
        within: a directory that a symlink may not lead out of.

    Raises:
        ConfigError: it is no regular file, too big, not UTF-8, unreadable, or leads out of `within`.
    """
    try:
        # Most apps have no file of their own, and resolving a path costs ten times this look.
        path.lstat()
        real = path.resolve(strict=True)
        if within is not None and not real.is_relative_to(within.resolve()):
            raise ConfigError(f"{name}: leads out of {within} through a symlink", hint="Put the file itself there.")
        # Opening a FIFO would wait for ever without O_NONBLOCK.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{name}: expected a regular file", hint="Replace it by a TOML file, or remove it.")
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RuntimeError as error:
        raise ConfigError(
            f"{name}: leads back to itself through symlinks", hint="Put the file itself there."
        ) from error
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}", hint="Check the file's permissions.") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes", hint="This is no configuration file of fleetpacks.")
    try:
        return Document(name=name, text=data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8", hint="TOML files are UTF-8: save it as such.") from error


def decode(document: Document, cls: type[S], *, foreign: Foreign) -> S:
    """The struct that the document states.

    Args:
        document: the file.
        cls: a struct class; its annotations are the schema.
        foreign: given a key that is unknown or has a wrong value, and that value: a hint when it belongs into another
            file, else None.

    Raises:
        ConfigError: with file, line, key, and what was expected.
    """
    import tomllib  # noqa: PLC0415 -- start-up counts: many runs have no such file

    deep = tomlkeys.too_deep(document.text)
    if deep is not None:
        raise ConfigError(f"{document.name}:{deep}: a key is nested too deeply", hint=tomlkeys.HINT)
    try:
        table = tomllib.loads(document.text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(document, str(error)) from error
    except RecursionError as error:
        raise ConfigError(f"{document.name}: nested too deeply", hint="Flatten the tables.") from error
    except ValueError as error:
        raise ConfigError(f"{document.name}: a number has too many digits", hint="Shorten it.") from error
    return cast("S", _convert(document, (), table, cls, foreign))


def dotted(key: Key) -> str:
    """`("apps", "services/api", "port")` as TOML writes it: `apps."services/api".port`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "").replace("_", "").isalnum()
            text += ("." if text else "") + (part if bare else quoted(part))
    return text


def quoted(text: str) -> str:
    """`text` as a basic string of TOML, in which every character can be seen. Halves of surrogate pairs have none."""
    literal = msgspec.json.encode(text).decode()
    return "".join(character if character.isprintable() else f"\\U{ord(character):08X}" for character in literal)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` probably meant."""
    import difflib  # noqa: PLC0415 -- start-up counts: only an error needs it

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def line_of(text: str, key: Key) -> int | None:
    """The line on which `key` is stated, counted from 1, or None when it cannot be told."""
    lines = text.splitlines(keepends=True)
    if not key or not _prefix_holds(lines, key):
        return None
    budget = _MAX_SEARCHED
    # The first `without` lines parse and do not hold it; those up to `until` do, or end inside of a value.
    without, until = 0, len(lines)
    while until - without > 1:
        middle = (without + until) // 2
        for number in range(middle, until):
            budget -= sum(map(len, lines[:number]))
            if budget < 0:
                return None
            held = _prefix_holds(lines[:number], key)
            if held is not None:
                break
        else:
            number, held = middle, True
        without, until = (without, number) if held else (number, until)
    return without + 1


def _prefix_holds(lines: list[str], key: Key) -> bool | None:
    """Whether the first lines of a file hold `key`; None when they are no whole TOML."""
    import tomllib  # noqa: PLC0415 -- as in `decode`

    try:
        return _holds(tomllib.loads("".join(lines)), key)
    except (ValueError, RecursionError):
        return None


def _holds(value: object, key: Key) -> bool:
    for part in key:
        if isinstance(part, int):
            if not isinstance(value, list) or len(cast("list[object]", value)) <= part:
                return False
            value = cast("list[object]", value)[part]
        else:
            if not isinstance(value, dict) or part not in value:
                return False
            value = cast("dict[str, object]", value)[part]
    return True


def _syntax(document: Document, message: str) -> ConfigError:
    # The parser tells the place only inside its text: "... (at line 3, column 7)".
    problem, _, place = message.rpartition(" (at ")
    words = place.removesuffix(")").replace(",", "").split()
    line = words[1] if words[:1] == ["line"] and len(words) > 1 else str(document.text.count("\n") + 1)
    return ConfigError(f"{document.name}:{line}: not valid TOML: {problem or message}", hint="Mend the line.")


def _convert(document: Document, key: Key, value: object, kind: Any, foreign: Foreign) -> object:  # noqa: ANN401 -- any annotation
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(bare) in (Union, types.UnionType):
        kind = bare = _option(get_args(bare), value)
    origin, arguments = get_origin(bare), get_args(bare)
    if _is_table(bare):
        return _struct(document, key, value, bare, foreign)
    if origin is tuple and isinstance(value, list):
        items = cast("list[object]", value)
        return tuple(_convert(document, (*key, i), item, arguments[0], foreign) for i, item in enumerate(items))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {name: _convert(document, (*key, name), item, arguments[1], foreign) for name, item in entries.items()}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        hint = foreign(key, value) or "Change the value, or remove the key."
        raise document.error(key, _asked_for(kind, value) or _plain(str(error)), hint=hint) from error


def _asked_for(kind: Any, value: object) -> str | None:  # noqa: ANN401 -- any annotation
    """What was expected in place of a string, for people; None where nothing but msgspec can say it."""
    extra = (meta.extra for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    words = next((each[WORDS] for each in extra if each and WORDS in each), None)
    if words is None or not isinstance(value, str):
        return None
    shown = value if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]}..."
    return f"expected {words}, got {shown!r}"


def _option(kinds: Iterable[Any], value: object) -> Any:  # noqa: ANN401 -- any annotation
    """The one of several types that a value is meant to have: a struct, if it is a table; else the first one."""
    options = [kind for kind in kinds if kind is not type(None)]
    return next((kind for kind in options if isinstance(value, dict) and _is_table(kind)), options[0])


def _is_table(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct(document: Document, key: Key, value: object, cls: type[msgspec.Struct], foreign: Foreign) -> msgspec.Struct:
    if not isinstance(value, dict):
        raise document.error(key, f"expected a table, got {type(value).__name__}", hint="Write it as a [table].")
    table = cast("dict[str, object]", value)
    hints = get_type_hints(cls, include_extras=True)
    names = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    found: dict[str, Any] = {}
    for name, item in table.items():
        here = (*key, name)
        if name not in names:
            hint = foreign(here, item)
            near = did_you_mean(name, names)
            if hint is None and near is not None:
                hint = f"Did you mean {near!r}?"
            raise document.error(here, "unknown key", hint=hint or f"Known here: {', '.join(sorted(names))}.")
        field = names[name]
        found[field.name] = _convert(document, here, item, hints[field.name], foreign)
    missing = [name for name, field in names.items() if field.required and field.name not in found]
    if missing:
        raise document.error(key, f"{missing[0]!r} is missing", hint=f"Add {missing[0]} = ... to it.")
    return cls(**found)


def _plain(message: str) -> str:
    """The judgement of msgspec on a leaf, in TOML's words."""
    for theirs, ours in _WORDS.items():
        message = message.replace(f"`{theirs}`", ours)
    return message[:1].lower() + message[1:]
