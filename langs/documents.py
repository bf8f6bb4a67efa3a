"""JSON and TOML of the app into typed values, with errors that name the file, the line and the key."""

from typing import Final, TypeVar, cast

import msgspec

from langs import tomlkeys
from langs.errors import LangError

_T = TypeVar("_T")
_DEEP: Final = "is nested too deeply"


def json_as(text: str, expected: type[_T], file: str) -> _T:
    """`text` as a value of the type `expected`.

    Raises:
        LangError: it is no JSON, nested too deeply, or of another shape.
    """
    try:
        return msgspec.json.decode(text, type=expected)
    except msgspec.ValidationError as error:
        raise LangError(_shape(error), file=file, hint=hint(error)) from error
    except msgspec.DecodeError as error:
        raise LangError(f"is not valid JSON: {error}", file=file, hint="Correct it.") from error
    except RecursionError as error:
        raise LangError(_DEEP, file=file, hint="Correct it.") from error


def toml_as(text: str, expected: type[_T], file: str) -> _T:
    """`text` as a value of the type `expected`.

    Raises:
        LangError: it is no TOML, nested too deeply, or of another shape.
    """
    import tomllib  # noqa: PLC0415 -- start-up counts: configuration is read by whoever reads no TOML

    line = tomlkeys.too_deep(text)
    if line is not None:
        raise LangError(f"a key {_DEEP}", file=file, line=line, hint=tomlkeys.HINT)
    try:
        return msgspec.convert(tomllib.loads(text), type=expected)
    except msgspec.ValidationError as error:
        raise LangError(_shape(error), file=file, hint=hint(error)) from error
    except RecursionError as error:
        raise LangError(_DEEP, file=file, hint="Correct it.") from error
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise LangError(f"is not valid TOML: {str(error)[:200]}", file=file, hint="Correct it.") from error


def table(said: object) -> dict[str, object]:
    """A mapping, or an empty one where something else is said: tools' formats grow, and are not ours to judge."""
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def texts(said: object) -> tuple[str, ...]:
    """The strings of a list; or the one string that stands there alone."""
    if isinstance(said, str):
        return (said,)
    items = cast("list[object]", said) if isinstance(said, list) else []
    return tuple(each for each in items if isinstance(each, str))


def items(said: object) -> list[object]:
    """The elements of a list; none, where something else is said."""
    return cast("list[object]", said) if isinstance(said, list) else []


def hint(error: msgspec.ValidationError) -> str:
    """What to do about a value of another shape: it stands at a key, or is the whole file."""
    said = str(error)
    whole = said.startswith("Expected") and "`$" not in said
    return "The whole file must be of that shape: `{...}`." if whole else "Correct this key."


def _shape(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with `$.scripts.start` written as `scripts.start`."""
    return f"has another shape than expected: {error}".replace("`$.", "`").replace("`$`", "the whole file")
