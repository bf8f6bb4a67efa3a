"""Errors of `langs` become ours here, with the app and the file from the root."""

import posixpath
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from langs.errors import LangError
from orchestrator.errors import ConfigError
from orchestrator.workspace.files import literal_pattern, printable


class Problems:
    """Errors of several apps, told at once: whoever mends one wants to know of the others.

    What is wrong with one file that several apps are built from is one problem.
    """

    def __init__(self) -> None:
        self._errors: dict[str, ConfigError] = {}
        self._paths: dict[str, list[str]] = {}
        """By the error's message."""
        self._lasting: set[str] = set()
        """Messages of errors that stay, whatever is ignored."""
        self._apps = 0

    @contextmanager
    def collected(self, path: str, *, declared: bool) -> Generator[None]:
        """Keep a ConfigError of the block, which looks at the app at `path`, for later.

        Args:
            path: relative to the root.
            declared: the root's file says that there is an app, which `ignore` would not take back.
        """
        try:
            yield
        except ConfigError as error:
            self._apps += 1
            self._errors.setdefault(error.message, error)
            self._paths.setdefault(error.message, []).append(path)
            if path == "." or path != printable(path) or declared:
                self._lasting.add(error.message)

    def raise_all(self, *, among: int, otherwise: str | None = None) -> None:
        """Raise what was kept, if anything.

        Args:
            among: how many apps there are: if others are well, the hint says how to leave the broken ones out.
            otherwise: another way to do that than `ignore`.

        Raises:
            ConfigError: the one, or one that names all.
        """
        if not self._errors:
            return
        errors = tuple(self._errors.values())
        message, hints = errors[0].message, list(dict.fromkeys(error.hint for error in errors))
        if len(errors) > 1:
            # One hint for all stands at the end; several stand each below its problem.
            below = len(hints) > 1
            lines = ((error.message, f"  {error.hint}") if below else (error.message,) for error in errors)
            message = "\n".join((f"{len(errors)} problems", *(line for each in lines for line in each)))
            hints = ["Mend them."] if below else hints
        ignorable = [path for said, paths in self._paths.items() if said not in self._lasting for path in paths]
        ways = [_ignore(ignorable)] if ignorable else []
        ways += [otherwise] if otherwise else []
        if ways and among > self._apps:
            hints.append(f"To build the others alone, {', or '.join(ways)}.")
        raise ConfigError(message, hint="\n".join(hints))


def _ignore(paths: list[str]) -> str:
    outermost = (path for path in paths if not any(path.startswith(f"{above}/") for above in paths))
    words = ", ".join(msgspec.json.encode(literal_pattern(path)).decode() for path in outermost)
    return f"write `ignore = [{words}]` at the top of the root's fleetpacks.toml"


@contextmanager
def errors_of(path: str) -> Generator[None]:
    """Translate what is wrong with the files of the app at `path`, relative to the root.

    Raises:
        ConfigError: `file:line: message`, with the app's directory where no file is known.
    """
    try:
        yield
    except LangError as error:
        above = path if error.directory is None else error.directory
        place = printable(posixpath.normpath(posixpath.join(above, error.file)) if error.file else path)
        line = f":{error.line}" if error.line and error.file else ""
        raise ConfigError(f"{place}{line}: {error.message}", hint=error.hint) from error
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else path
        raise ConfigError(
            f"{printable(name)}: cannot be read: {error.strerror}", hint="Check the file's permissions."
        ) from error
