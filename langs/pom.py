"""pom.xml: what a build needs of one, and its properties resolved as far as files of the app say them.

Not a model of Maven: profiles count where they are active by default, and what a parent outside of the app says is not
known, so that a property may stay unresolved. Source of the format: https://maven.apache.org/pom.html.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import xml
from langs.xml import Element

FILE: Final = "pom.xml"
MAVEN: Final = "org.apache.maven.plugins"
"""The group of plugins that state none."""

_PROPERTY: Final = re.compile(r"\$\{([^${}]{1,200})\}")
_MAX_ROUNDS: Final = 20
_MAX_VALUE: Final = 4096
_UNKNOWN: Final = " " * (_MAX_VALUE + 1)


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a pom inherits from."""

    group: str
    artifact: str
    version: str
    relative_path: str
    """As stated; `../pom.xml` when nothing is said, empty when the parent is only in a repository."""


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """A build plugin."""

    group: str
    artifact: str
    version: str | None
    values: Mapping[str, tuple[str, ...]]
    """All texts of its configurations, by the names of their elements: of executions as well."""


class Pom(msgspec.Struct, frozen=True, kw_only=True):
    """One pom.xml."""

    file: str
    group: str | None = None
    artifact: str = ""
    version: str | None = None
    packaging: str = "jar"
    parent: Parent | None = None
    properties: Mapping[str, str] = {}
    modules: tuple[str, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    managed: tuple[Plugin, ...] = ()
    dependencies: tuple[tuple[str, str], ...] = ()
    """Group and artifact, as stated: of the project, and of its plugins."""


def parse(text: str, file: str) -> Pom:
    """The contents of a pom.xml.

    Raises:
        LangError: it is no well-formed XML, or made to do harm.
    """
    root = xml.parse(text, file)
    sections = [root, *_active(root)]
    above = root.first("parent")
    relative = above.first("relativePath") if above else None
    return Pom(
        file=file,
        group=root.text_of("groupId"),
        artifact=root.text_of("artifactId") or "",
        version=root.text_of("version"),
        packaging=root.text_of("packaging") or "jar",
        parent=None
        if above is None
        else Parent(
            group=above.text_of("groupId") or "",
            artifact=above.text_of("artifactId") or "",
            version=above.text_of("version") or "",
            relative_path="../pom.xml" if relative is None else relative.text,
        ),
        properties={each.name: each.text for section in sections for each in _children(section, "properties")},
        modules=tuple(
            dict.fromkeys(each.text for section in sections for each in section.all("modules", "module") if each.text)
        ),
        plugins=tuple(_plugin(each) for section in sections for each in section.all("build", "plugins", "plugin")),
        managed=tuple(
            _plugin(each)
            for section in sections
            for each in section.all("build", "pluginManagement", "plugins", "plugin")
        ),
        dependencies=tuple(
            (each.text_of("groupId") or "", each.text_of("artifactId") or "")
            for section in sections
            for above in (section, *section.all("build", "plugins", "plugin"))
            for each in above.all("dependencies", "dependency")
        ),
    )


def resolve(text: str, lineage: tuple[Pom, ...]) -> str | None:
    """`text` with its `${...}` replaced, or None when one is not known or they grow without end.

    Args:
        text: a value of the first of `lineage`.
        lineage: the pom and its parents as far as they are in the app, the nearest first.
    """
    known: Mapping[str, str] | None = None
    for _ in range(_MAX_ROUNDS):
        if "${" not in text:
            return text.strip() or None
        known = _known(lineage) if known is None else known
        names: list[str] = _PROPERTY.findall(text)
        if not names or len(text) > _MAX_VALUE or any(len(known.get(name, _UNKNOWN)) > _MAX_VALUE for name in names):
            return None
        text = "".join(known[part] if index % 2 else part for index, part in enumerate(_PROPERTY.split(text)))
    return None


def stated(name: str, lineage: tuple[Pom, ...]) -> tuple[str, str] | None:
    """The resolved value of a property, and the file that states it."""
    for pom in lineage:
        if name in pom.properties:
            value = resolve(pom.properties[name], lineage)
            return None if value is None else (value, pom.file)
    return None


def _active(root: Element) -> Iterator[Element]:
    for profile in root.all("profiles", "profile"):
        if profile.text_of("activation", "activeByDefault") == "true":
            yield profile


def _children(section: Element, name: str) -> tuple[Element, ...]:
    found = section.first(name)
    return found.children if found else ()


def _plugin(element: Element) -> Plugin:
    values: dict[str, list[str]] = {}
    pending = [each for each in reversed(element.children) if each.name in {"configuration", "executions"}]
    while pending:
        each = pending.pop()
        pending += reversed(each.children)
        if each.text:
            values.setdefault(each.name, []).append(each.text)
    return Plugin(
        group=element.text_of("groupId") or MAVEN,
        artifact=element.text_of("artifactId") or "",
        version=element.text_of("version"),
        values={name: tuple(texts) for name, texts in values.items()},
    )


def _known(lineage: tuple[Pom, ...]) -> Mapping[str, str]:
    known: dict[str, str] = {}
    for pom in reversed(lineage):
        known |= pom.properties
    first = lineage[0]
    above = first.parent
    group = first.group or (above.group if above else "")
    version = first.version or (above.version if above else "")
    of_project = {"groupId": group, "artifactId": first.artifact, "version": version, "packaging": first.packaging}
    for prefix in ("project", "pom"):
        known |= {f"{prefix}.{key}": value for key, value in of_project.items()}
        if above:
            known |= {f"{prefix}.parent.version": above.version, f"{prefix}.parent.groupId": above.group}
    return known
