"""Errors of `langs` become ours here, with the app and the file from the root."""

from collections.abc import Generator
from contextlib import contextmanager

from langs.errors import LangError
from orchestrator.errors import ConfigError
from orchestrator.workspace.files import printable


class Problems:
    """Errors of several apps, told at once: whoever mends one wants to know of the others."""

    def __init__(self) -> None:
        self._errors: list[ConfigError] = []

    @contextmanager
    def collected(self) -> Generator[None]:
        """Keep a ConfigError of the block for later."""
        try:
            yield
        except ConfigError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raise what was kept, if anything.

        Raises:
            ConfigError: the one, or one that names all; its hint is the first one's.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            message = "\n".join((f"{len(self._errors)} problems", *(error.message for error in self._errors)))
            raise ConfigError(message, hint=self._errors[0].hint)


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
