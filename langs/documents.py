"""JSON and TOML of the app into typed values, with errors that name the file, the line and the key."""

from typing import Final, TypeVar

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
        raise LangError(_shape(error), file=file, hint="Correct this key.") from error
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
        raise LangError(_shape(error), file=file, hint="Correct this key.") from error
    except RecursionError as error:
        raise LangError(_DEEP, file=file, hint="Correct it.") from error
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise LangError(f"is not valid TOML: {str(error)[:200]}", file=file, hint="Correct it.") from error


def _shape(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with `$.scripts.start` written as `scripts.start`."""
    return f"has another shape than expected: {error}".replace("`$.", "`").replace("`$`", "the whole file")
