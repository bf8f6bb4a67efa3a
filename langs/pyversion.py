"""Which Python an app asks for: its sources in their order."""

import re
from typing import Final

import msgspec

from langs import base, documents, pipfile, pyproject, spans, specifiers, statements, versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from langs.pyproject import Project

_NAME: Final = "python"
_DEFAULT: Final = "3.12.8"
_LINE: Final = 2
_OLDEST: Final = (3, 7)
"""The first with bytecode that is valid by its content, and with a pip that installs into other environments."""
_CPYTHON: Final = r"cpython[-@]([0-9][^-]*)(?:-[a-z0-9_]+){0,3}"
"""What uv writes: a version, and perhaps the system, the processor and the C library."""
_RUNTIME: Final = re.compile(r"python-(\S+)", re.ASCII)


class _LockHead(msgspec.Struct, rename="kebab"):
    requires_python: str | None = None


def resolve(files: AppFiles, settings: Settings, project: Project | None) -> tuple[Version, tuple[str, ...]]:
    """The version to use, and warnings.

    Raises:
        LangError: a source cannot be understood, no known Python lies in its range, or it is one that cannot be built.
    """
    forced = base.forced(settings, _NAME)
    stated = [specifiers.pep440(forced.value, source=forced.source)] if forced else []
    lines = [line.partition("#")[0].strip() for line in (files.read_text(".python-version") or "").split("\n")]
    text = next((line for line in lines if line), None)
    # `system` leaves the choice to the machine: it states nothing.
    if text and text != "system":
        named = re.fullmatch(_CPYTHON, text, re.ASCII)
        plain = named[1] if named else text
        stated.append(specifiers.pep440(plain, source=".python-version", file=".python-version"))
    text = (files.read_text("runtime.txt") or "").strip()
    if text:
        match = _RUNTIME.fullmatch(text)
        stated.append(specifiers.pep440(match[1] if match else text, source="runtime.txt", file="runtime.txt"))
    pipenv = pipfile.read(files)
    if pipenv and pipenv.python:
        stated.append(specifiers.pep440(pipenv.python, source=f"{pipfile.FILE} requires", file=pipfile.FILE))
    text = _locked(files)
    if text:
        stated.append(specifiers.pep440(text, source="uv.lock requires-python", file="uv.lock"))
    if project and project.requires_python:
        source = f"{project.file} requires-python"
        stated.append(specifiers.pep440(project.requires_python, source=source, file=project.file))
    if project and project.poetry_python:
        source = f"{pyproject.FILE} tool.poetry.dependencies.python"
        stated.append(versions.poetry(project.poetry_python, source=source, file=pyproject.FILE))
    stated += versions.tool_files(files, ("python",), specifiers.pep440)
    version, warnings = versions.resolve(stated, settings=settings, table=_NAME, default=_DEFAULT, line=_LINE)
    if not statements.span_of(version.value).overlaps(spans.Span(lower=_OLDEST)):
        file = next((each.file for each in stated if version.source.startswith(each.source)), None)
        raise LangError(
            f"Python {version.value} of {version.source} is too old: {spans.text(_OLDEST)} is the oldest for images",
            file=file,
            hint=f"State a newer one there, such as {_DEFAULT}. {base.DOCKERFILE_HINT}",
        )
    return version, warnings


def _locked(files: AppFiles) -> str | None:
    """`requires-python` of uv.lock, which stands in its head: the whole file may be megabytes."""
    head = (files.read_head("uv.lock") or "").partition("\n[")[0]
    return documents.toml_as(head, _LockHead, "uv.lock").requires_python
