"""Errors of `langs` become ours here, with the app and the file from the root."""

from collections.abc import Generator
from contextlib import contextmanager

from langs.errors import LangError
from orchestrator.errors import ConfigError
from orchestrator.workspace.files import printable


@contextmanager
def errors_of(path: str) -> Generator[None]:
    """Translate what is wrong with the files of the app at `path`, relative to the root.

    Raises:
        ConfigError: `file:line: message`, with the app's directory where no file is known.
    """
    prefix = "" if path == "." else f"{path}/"
    try:
        yield
    except LangError as error:
        place = printable(f"{prefix}{error.file}" if error.file else path)
        line = f":{error.line}" if error.line and error.file else ""
        raise ConfigError(f"{place}{line}: {error.message}", hint=error.hint) from error
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else path
        raise ConfigError(
            f"{printable(name)}: cannot be read: {error.strerror}", hint="Check the file's permissions."
        ) from error
