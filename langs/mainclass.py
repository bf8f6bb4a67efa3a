"""Finding the class that a JVM starts, from Java and Kotlin sources that are read and never compiled."""

import re
from collections.abc import Iterator
from typing import Final

from langs.errors import LangError
from langs.files import AppFiles

_CLASS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_SCRIPT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
# Possessive, so that no source makes them slow.
_PACKAGE: Final = re.compile(r"^[ \t]*+package[ \t]++([A-Za-z0-9_.]+)", re.MULTILINE | re.ASCII)
# Also behind the class's brace, but in no comment.
_JAVA_MAIN: Final = re.compile(
    r"^(?![ \t]*+(?:\*|//|/\*))(?:[^\n\"]*[{;}])?((?:public|static|final|[ \t])*+void[ \t]++main[ \t]*+\()",
    re.MULTILINE,
)
_KOTLIN_MAIN: Final = re.compile(r"^(?:(?:public|suspend)[ \t]++)*+fun[ \t]++main[ \t]*+\(", re.MULTILINE)
_KOTLIN_OBJECT: Final = re.compile(
    r"^(?:public[ \t]++)?object[ \t]++([A-Za-z_][A-Za-z0-9_]*+)[^\n]*+\n(?:[ \t][^\n]*+\n|\n)*?"
    r"[ \t]++@(?:kotlin\.jvm\.)?JvmStatic\s++(?:public\s++)?fun\s++main\b",
    re.MULTILINE | re.ASCII,
)
_KOTLIN_NAME: Final = re.compile(r'^@file[ \t]*+:[ \t]*+JvmName\("([A-Za-z_][A-Za-z0-9_]*)"\)', re.MULTILINE | re.ASCII)
_LIKELY: Final = ("Main", "App", "Application", "Server", "main", "app", "application", "server")
_MAX_SOURCES: Final = 300
_MAX_SOURCE: Final = 1 << 17


def find(files: AppFiles, directory: str) -> tuple[str, str] | None:
    """The most likely main class of the module in `directory` (empty: the app's own), and the source that shows it."""
    for file in _candidates(files, directory):
        found = _main_of(files, file)
        if found is not None:
            return found, file
    return None


def legal(name: str | None) -> str | None:
    """`name`, when it is a class that can stand in a command; None for anything else."""
    return name if name and _CLASS.fullmatch(name) else None


def script(name: str) -> str | None:
    """`name`, when a start script can be called so; None for anything else."""
    return name if _SCRIPT.fullmatch(name) else None


def sources(files: AppFiles, directory: str) -> tuple[str, ...]:
    """The Java and Kotlin sources of a module that are no tests."""
    root = f"{directory}/src" if directory else "src"
    if files.has_directory(f"{root}/main"):
        found = (*files.below(f"{root}/main/java"), *files.below(f"{root}/main/kotlin"))
    else:
        found = files.below(root)
    if not found and not directory:
        found = files.glob("*.*")
    return tuple(file for file in found if file.endswith((".java", ".kt")))


def _candidates(files: AppFiles, directory: str) -> Iterator[str]:
    def rank(file: str) -> tuple[int, int]:
        stem = file.rpartition("/")[2].rpartition(".")[0]
        if stem in _LIKELY:
            return _LIKELY.index(stem), file.count("/")
        return (len(_LIKELY) if stem.endswith(("Application", "Main", "App", "Server")) else 99), file.count("/")

    yield from sorted(sources(files, directory), key=rank)[:_MAX_SOURCES]


def _main_of(files: AppFiles, file: str) -> str | None:
    try:
        text = files.read_text(file)
    except LangError:
        # A source that cannot be read is no evidence, and the compiler will say why.
        return None
    if text is None or len(text) > _MAX_SOURCE or "main" not in text:
        return None
    name = _kotlin(text, file) if file.endswith(".kt") else _java(text, file)
    package = _PACKAGE.search(text)
    return legal(f"{package[1]}.{name}" if package and name else name)


def _java(text: str, file: str) -> str | None:
    match = _JAVA_MAIN.search(text)
    if match is None or "static" not in match[1]:
        return None
    return file.rpartition("/")[2].removesuffix(".java")


def _kotlin(text: str, file: str) -> str | None:
    if _KOTLIN_MAIN.search(text):
        named = _KOTLIN_NAME.search(text)
        stem = file.rpartition("/")[2].removesuffix(".kt")
        # The compiler's rule: the class of a file's functions is its name in capitals' fashion, and `Kt`.
        return named[1] if named else f"{stem[:1].upper()}{stem[1:]}Kt"
    match = _KOTLIN_OBJECT.search(text)
    return match[1] if match else None
