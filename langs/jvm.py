"""What the JVM's languages share: the Java release, its images, and how a JVM is told that it runs in a container.

Images of Java exist by feature release (`eclipse-temurin:21-jre`), so that the feature release is what a version
becomes: `17.0.9-tem`, `temurin-17.0.9+9` and `VERSION_17` are 17, and `1.8` is 8. Releases of which no image was ever
published become the next long-term release, which compiles for them and runs what they run.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from langs import base, properties, versions
from langs.files import AppFiles
from langs.model import Settings, Version
from langs.spans import Span

NAME: Final = "java"
"""What settings and `$JAVA_VERSION` call the Java release, also of apps in other languages."""
RUNTIME: Final = "eclipse-temurin"
DEFAULT: Final = "21"
TOOL_OPTIONS: Final = "-XX:MaxRAMPercentage=75.0 -XX:+ExitOnOutOfMemoryError"
"""$JAVA_TOOL_OPTIONS of the image: a JVM takes a quarter of the container's memory otherwise."""

_LONG_TERM: Final = (8, 11, 17, 21, 25)
_WITHOUT_IMAGE: Final = frozenset({*range(8), 9, 10, 12, 13, 14, 15, 16})
_FREE: Final = frozenset({"latest", "lts", "stable"})
_VERSION: Final = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9_]*[-@])*v?(?:1\.)?([0-9]{1,2})(?:[._][0-9]+)*+(?:[-+][A-Za-z0-9.+_-]*)?", re.ASCII
)
_GRAAL: Final = re.compile(r".*(?:\+java|\.r)([0-9]{1,2})(?:-[a-z]+)?", re.ASCII)
"""GraalVM's old numbers say their Java behind: `graalvm-22.3.0+java17` (asdf), `22.3.r17-grl` (SDKMAN)."""
_LONGEST: Final = 80
_HINT: Final = "Write a Java release, such as 21 or 21.0.2."


def java_version(
    files: AppFiles,
    settings: Settings,
    stated: Iterable[versions.Statement] = (),
    implied: Iterable[versions.Statement] = (),
) -> tuple[Version, tuple[str, ...]]:
    """The Java release to build with and to run on, and what there is to warn of.

    Args:
        files: the app.
        settings: may force `java`, whatever the app's own language is.
        stated: what the language's build files say, in order (`statement`, `level`); they stand behind Java's own
            files and before the version managers' files.
        implied: what follows from them where nobody says anything.

    Raises:
        LangError: a file cannot be understood.
    """
    forced = base.forced(settings, NAME)
    own = [statement(forced.value, source=forced.source)] if forced else []
    own += _own_files(files)
    said = [*own, *stated, *versions.tool_files(files, (NAME,), statement), *implied]
    version, warnings = versions.resolve(said, settings=settings, table=NAME, default=DEFAULT, line=1)
    # A compiler's target may lie below what runs it; a release that somebody chose should be that release.
    asked = _feature(own[0].text) if own else None
    if own and asked != int(version.value):
        replaced = f"{own[0].source} asks for Java {asked}, of which there is no image; Java {version.value} is taken"
        warnings = (replaced, *warnings)
    return version, warnings


def statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    """A statement of a Java release, in the words of Java itself, SDKMAN, asdf, jenv, jabba or Gradle.

    Raises:
        LangError: it names no release.
    """
    feature = _feature(text)
    if feature is None:
        raise versions.not_understood(text, source=source, file=file, hint=_HINT)
    if feature in _WITHOUT_IMAGE:
        feature = next(release for release in _LONG_TERM if release >= feature)
    return msgspec.structs.replace(versions.exact(str(feature), source=source, file=file, hint=_HINT), text=text)


def level(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    """A statement of the release that a compiler compiles for: it is what is taken, and any newer one may be.

    Raises:
        LangError: as `statement`.
    """
    said = statement(text, source=source, file=file)
    return msgspec.structs.replace(said, spans=(Span(lower=(int(said.exact or DEFAULT),)),))


def runtime_image(settings: Settings, version: Version) -> str:
    """The reference of the image that has a JVM and nothing else."""
    return base.image(settings, RUNTIME, f"{version.value}-jre")


def _own_files(files: AppFiles) -> Iterable[versions.Statement]:
    text = _first_line(files, ".java-version")
    if text:
        yield statement(text, source=".java-version", file=".java-version")
    for file, key in ((".sdkmanrc", "java"), ("system.properties", "java.runtime.version")):
        text = files.read_text(file)
        value = None if text is None else properties.parse(text).get(key)
        if value:
            yield statement(value, source=file, file=file)


def _first_line(files: AppFiles, file: str) -> str | None:
    lines = (line.partition("#")[0].strip() for line in (files.read_text(file) or "").split("\n"))
    return next((line for line in lines if line), None)


def _feature(text: str) -> int | None:
    """The feature release that `text` names."""
    word = text.strip()
    if word in _FREE:
        return int(DEFAULT)
    if len(word) > _LONGEST:
        return None
    # Gradle's constants: JavaVersion.VERSION_1_8, VERSION_17.
    word = word.removeprefix("JavaVersion.").removeprefix("VERSION_").replace("1_", "1.", 1)
    match = _GRAAL.fullmatch(word) or _VERSION.fullmatch(word)
    return int(match[1]) if match else None
