"""project.clj: what Leiningen would build, read without running it (leiningen's sample.project.clj)."""

from typing import Final

import msgspec

from langs import edn
from langs.edn import Form, Keyword, Symbol
from langs.files import AppFiles, once

FILE: Final = "project.clj"

_PRODUCTION: Final = ("uberjar", "production", "prod")
"""Profiles that may say what an uberjar is."""
_READS: Final = frozenset({"slurp", "load-file", "load-string", "read-string", "file-seq", "io/file", "sh"})
"""Functions by which a project.clj reads other files of the app."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a project.clj."""

    name: str | None = None
    clojure: str | None = None
    """The version of Clojure among the dependencies."""
    main: str | None = None
    """The namespace or class that is started."""
    uberjar_name: str | None = None
    source_paths: tuple[str, ...] = ("src",)
    profiles: frozenset[str] = frozenset()
    ring: bool = False
    """Whether the plugin lein-ring makes the server of a handler."""
    reads_sources: bool = False
    """Whether dependencies cannot be told without the app's other files."""


@once
def read(files: AppFiles) -> Project | None:
    """The app's project.clj, or None without one.

    Raises:
        LangError: it cannot be read.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


def parse(text: str) -> Project:
    """The contents of a project.clj; without a `defproject` it says nothing.

    Raises:
        LangError: as `read`.
    """
    values = edn.parse(text, FILE)
    project = next((value for value in values if _is_project(value)), None)
    if not isinstance(project, Form):
        return Project()
    profiles = edn.form(project.get("profiles"))
    variants = (project, *(edn.form(profiles.get(name)) for name in _PRODUCTION))
    main = next((value for each in variants if isinstance(value := each.get("main"), Symbol)), None)
    sources = next((paths for each in variants if (paths := edn.strings(each.get("source-paths")))), ("src",))
    return Project(
        name=_name(project),
        clojure=next((version for each in variants if (version := _clojure(each))), None),
        main=main.name if main else None,
        uberjar_name=next((name for each in variants if isinstance(name := each.get("uberjar-name"), str)), None),
        source_paths=sources,
        profiles=frozenset(key.name for key, _ in profiles.pairs() if isinstance(key, Keyword)),
        ring=project.get("ring", "handler") is not None and "lein-ring" in _plugins(project),
        reads_sources=_reads_sources(values) or _has_local_repository(project),
    )


def _is_project(value: edn.Value) -> bool:
    return isinstance(value, Form) and value.kind == "(" and value.items[:1] == (Symbol("defproject"),)


def _name(project: Form) -> str | None:
    name = project.items[1] if len(project.items) > 1 else None
    return name.name.rpartition("/")[2] if isinstance(name, Symbol) else None


def _clojure(project: Form) -> str | None:
    for entry in edn.form(project.get("dependencies"), "[").items:
        dependency = edn.form(entry, "[").items
        version = dependency[1] if dependency[:1] == (Symbol("org.clojure/clojure"),) and len(dependency) > 1 else None
        if isinstance(version, str):
            return version
    return None


def _plugins(project: Form) -> frozenset[str]:
    entries = (edn.form(entry, "[").items[:1] for entry in edn.form(project.get("plugins"), "[").items)
    return frozenset(name[0].name.rpartition("/")[2] for name in entries if name and isinstance(name[0], Symbol))


def _has_local_repository(project: Form) -> bool:
    return any(
        text.startswith(("file:", "./", "resources", "lib/"))
        for key in ("repositories", "plugin-repositories")
        for text in _texts(project.get(key))
    )


def _reads_sources(values: tuple[edn.Value, ...]) -> bool:
    return any(isinstance(value, Symbol) and value.name.rpartition("/")[2] in _READS for value in _walk(values))


def _texts(value: edn.Value | None) -> tuple[str, ...]:
    return tuple(each for each in _walk((value,) if value is not None else ()) if isinstance(each, str))


def _walk(values: tuple[edn.Value, ...]) -> tuple[edn.Value, ...]:
    pending, seen = list(values), list[edn.Value]()
    while pending:
        value = pending.pop()
        seen.append(value)
        if isinstance(value, Form):
            pending += value.items
    return tuple(seen)
