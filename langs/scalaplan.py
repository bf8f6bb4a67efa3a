"""How a build tool packages an app in Scala: what is run, what is copied, what starts."""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from langs import base
from langs.errors import LangError
from langs.statements import Statement

_CLASS: Final = r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*"
_PATH: Final = r"[A-Za-z0-9_][A-Za-z0-9._/-]*"
RUN_HINT: Final = f"Set `mainClass` in the build, or {base.RUN_SETTING} to `java -cp app.jar CLASS`."


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One way to package one project of a build."""

    manager: str
    manifests: tuple[tuple[str, tuple[str, ...]], ...]
    """What the installation reads, grouped by the directory it goes to."""
    install: str
    compile: str | None
    """The command that packages; None when `export` does."""
    kind: Literal["stage", "assembly", "classpath"]
    """What is copied: a directory with a start script, the largest jar, or the jars of the class path."""
    directory: str
    """Where the first two are found."""
    export: str | None = None
    """The command that packages, and prints the class path in a line of its own."""
    jar: str | None = None
    """The jar's name, where it is said."""
    script: str = "app"
    """The start script's name, where there are several."""
    unused: tuple[str, ...] = ()
    """What is in the directory with the start script, and nothing that is started reads."""
    caches: tuple[tuple[str, str], ...]
    scala: str | None
    """What the build says of Scala's version, and where."""
    scala_source: str
    scala_file: str
    java: tuple[Statement, ...] = ()
    options: str = ""
    """What else is said to every JVM."""
    ignored: tuple[str, ...] = ()
    """What the tool makes again, beside what all of them do."""
    start: str | None
    title: str | None = None


def is_path(text: str) -> bool:
    """Whether `text` can stand in a command as a path inside of the app."""
    return re.fullmatch(_PATH, text) is not None and ".." not in text.split("/")


def main_class(said: str | None, found: Iterable[str], file: str, *, needed: bool) -> str | None:
    """The class that is started: the one that is said, or else the only one that was found.

    Raises:
        LangError: it is no class, or it is needed and there is none, or more than one.
    """
    names = sorted(set(found))
    main = said or (names[0] if len(names) == 1 else None)
    if main is None and needed:
        what = f"several main classes were found: {', '.join(names)[:200]}" if names else "no main class was found"
        raise LangError(what, file=file, hint=RUN_HINT)
    if main is not None and not re.fullmatch(_CLASS, main):
        raise LangError(f"{main[:80]!r} is no name of a class", file=file, hint=RUN_HINT)
    return main
