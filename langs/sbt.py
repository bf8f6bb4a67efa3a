"""sbt's build definitions: build.sbt, project/*.sbt and project/*.scala, read without running them."""

import posixpath
import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final

import msgspec

from langs import phrases, properties, tokens
from langs.files import AppFiles, once
from langs.phrases import Tokens
from langs.syntaxes import SCALA

FILE: Final = "build.sbt"
PROPERTIES: Final = "project/build.properties"
DEFINITIONS: Final = ("*.sbt", "*/*.sbt", "project/*.scala", "project/project/*.sbt", "project/project/*.properties")
"""What decides on dependencies, with the build definitions of subprojects."""

_MAX_FILES: Final = 50
_MAX_LENGTH: Final = 1 << 20
"""Characters of all files together; the longest builds have some ten thousand."""
_MAX_PIECES: Final = 8
"""How many assignments of one name are looked at in a file."""
_MAX_LIST: Final = 24
"""Tokens of a list that are looked at."""
_RELEASE: Final = r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,2}"
_NAME: Final = 2
"""Where the name stands in `lazy val NAME`."""
_HEAD: Final = 12
"""How far behind it the word `project` may stand."""
_PACKAGERS: Final = frozenset(
    {"JavaAppPackaging", "JavaServerAppPackaging", "AshScriptPlugin", "UniversalPlugin", "LauncherJarPlugin"}
)
"""Plugins of sbt-native-packager that define `stage`."""
_PLAY: Final = frozenset({"PlayScala", "PlayJava", "PlayService", "PlayMinimalJava", "PlayWeb"})


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """One project of a build."""

    name: str
    """The name of its value, which is what commands call it."""
    directory: str
    """Its directory, relative to the app's; empty for the root."""
    play: bool = False
    stage: bool = False
    """Whether a plugin is enabled on it that stages it with a start script."""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What a build says, all files taken together."""

    files: tuple[str, ...]
    """Its files, the root's build.sbt first."""
    scala: str | None = None
    cross: str | None = None
    """The highest version that it is built for, where `scala` does not say one."""
    sbt: str | None = None
    name: str | None = None
    main: str | None = None
    """The class that `mainClass` names."""
    jar: str | None = None
    """The name that `assemblyJarName` gives the assembly."""
    projects: tuple[Project, ...] = ()
    stages: bool = False
    play: bool = False
    assembles: bool = False
    """Whether it has the plugin sbt-assembly."""


@once
def read(files: AppFiles) -> Build | None:
    """The app's build, or None when sbt would not know it as one.

    Raises:
        LangError: a file cannot be read.
    """
    if not files.exists(FILE) and not files.glob("*.sbt") and not files.exists("project/Build.scala"):
        return None
    found = sorted(
        {file for pattern in DEFINITIONS for file in files.glob(pattern)}, key=lambda file: (file != FILE, file)
    )
    read_ = dict(_tokens(files, found[:_MAX_FILES]))
    settings = list(read_.values())
    plugins = {text for file, each in read_.items() if file.startswith("project/") for text in phrases.strings(each)}
    projects = tuple(project for each in settings for project in _projects(each))
    enabled = {name for each in settings for name in _enabled(each)}
    properties_ = properties.parse(files.read_text(PROPERTIES) or "")
    return Build(
        files=tuple(found[:_MAX_FILES]),
        scala=(scala := _first(settings, "scalaVersion")),
        cross=None if scala else _highest(settings),
        sbt=properties_.get("sbt.version"),
        name=_first(settings[:1], "name"),
        main=_main(settings),
        jar=_first(settings, "assemblyJarName"),
        projects=projects,
        stages=bool(enabled & (_PACKAGERS | _PLAY)),
        play=bool(enabled & _PLAY),
        assembles="sbt-assembly" in plugins,
    )


def _tokens(files: AppFiles, names: list[str]) -> Iterator[tuple[str, Tokens]]:
    length = 0
    for name in names:
        if not name.endswith(".properties"):
            text = files.read_text(name) or ""
            length += len(text)
            if length > _MAX_LENGTH:
                return
            yield name, tokens.tokenize(text, SCALA)


def _first(files: list[Tokens], name: str) -> str | None:
    """The constant that a setting has; through names that other files give one, as `scalaVersion := Versions.scala`."""
    for each in files:
        for piece in islice(phrases.assigned(each, name), _MAX_PIECES):
            for other in (each, *files):
                value = phrases.resolved(other, piece)
                if value is not None:
                    return value
    return None


def _highest(files: list[Tokens]) -> str | None:
    """The highest of `crossScalaVersions := Seq("2.13.16", scala3)`, as far as they are constants."""
    found: list[str] = []
    for each in files:
        for piece in islice(phrases.assigned(each, "crossScalaVersions"), 1):
            said = (phrases.resolved(each, (token,)) for token in piece[:_MAX_LIST])
            found += [text for text in said if text and re.fullmatch(_RELEASE, text, re.ASCII)]
    return max(found, key=lambda text: tuple(map(int, text.split("."))), default=None)


def _main(files: list[Tokens]) -> str | None:
    """`mainClass := Some("a.B")`."""
    pieces = (piece for each in files for piece in phrases.assigned(each, "mainClass"))
    return next((words[0] for piece in pieces if len(words := phrases.strings(piece)) == 1), None)


def _enabled(each: Tokens) -> Iterator[str]:
    for call in phrases.calls(each, "enablePlugins"):
        for argument in call.arguments:
            yield argument[-1].text


def _projects(each: Tokens) -> Iterator[Project]:
    """`lazy val NAME = (project in file("DIRECTORY")).enablePlugins(...)`, each up to the next one."""
    starts = [
        index
        for index, token in enumerate(each)
        if token.text == "lazy" and [other.text for other in each[index + 1 : index + 2]] == ["val"]
    ]
    for start, end in pairwise((*starts, len(each))):
        piece = each[start:end]
        texts = [token.text for token in piece[:_HEAD]]
        if len(piece) <= _NAME or not {"project", "crossProject", "Project"} & set(texts):
            continue
        name = piece[_NAME].text
        place = next((call.constant() for call in phrases.calls(piece, "file") if call.constant()), None)
        enabled = set(_enabled(piece))
        yield Project(
            name=name,
            directory="" if place == "." else posixpath.normpath(place if place is not None else name),
            play=bool(enabled & _PLAY),
            stage=bool(enabled & (_PACKAGERS | _PLAY)),
        )
