"""Pipfile: Pipenv's manifest, the parts of it that decide something, checked."""

from typing import Final, cast

import msgspec

from langs import documents, requirements
from langs.files import AppFiles, once

FILE: Final = "Pipfile"


class _Requires(msgspec.Struct):
    python_version: str | None = None
    python_full_version: str | None = None


class _Raw(msgspec.Struct):
    packages: dict[str, object] = {}
    requires: _Requires = msgspec.field(default_factory=_Requires)


class Pipfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a Pipfile."""

    python: str | None = None
    names: frozenset[str] = frozenset()
    """Canonical names of the packages required."""
    local: bool = False
    """Whether something is installed from the app's own directory."""


@once
def read(files: AppFiles) -> Pipfile | None:
    """The app's Pipfile, or None without one.

    Raises:
        LangError: it is no TOML, of another shape, holds a credential, or leads out of the app.
    """
    text = files.read_text(FILE)
    if text is None:
        return None
    for number, line in enumerate(text.split("\n"), start=1):
        requirements.refuse_credential(line, file=FILE, line=number)
    raw = documents.toml_as(text, _Raw, FILE)
    tables = [cast("dict[str, object]", said) for said in raw.packages.values() if isinstance(said, dict)]
    paths = [path for path in (table.get("path") for table in tables) if isinstance(path, str)]
    for path in paths:
        requirements.beneath(FILE, path)
    return Pipfile(
        python=raw.requires.python_full_version or raw.requires.python_version,
        names=requirements.keys(raw.packages),
        local=bool(paths),
    )
