"""Kotlin with Gradle or Maven: what Java has, and a version of its own beside the JVM's."""

from contextlib import suppress
from typing import Final

import msgspec

from langs import base, versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Settings, Version

NAME: Final = "kotlin"
PROGRAMS: Final = frozenset({"java", "gradle", "gradlew", "kotlin", "mvn", "mvnw"})
VERSION_VARIABLES: Final = ("KOTLIN_VERSION",)
MANIFESTS: Final = ("pom.xml", "build.gradle.kts", "build.gradle", "settings.gradle.kts", "settings.gradle")
ENTRY_POINTS: Final = ()
IMAGES: Final = ("maven", "gradle", "eclipse-temurin")

_DEFAULT: Final = "2.1.0"
_LINE: Final = 2
_HINT: Final = "Write a Kotlin version, such as 2.1 or 2.1.0."
_FILE: Final = ".kotlin-version"


def detect(files: AppFiles) -> Detection | None:
    """A Maven project or a Gradle build with Kotlin sources; an app when one thing in it can be started."""
    if files.first(*MANIFESTS) is None:
        return None
    from langs import jvmapp  # noqa: PLC0415  (start-up counts: only an app of the JVM pays for its parsers)

    return jvmapp.detect(files, NAME)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """As `jvmapp.build`, with Kotlin's version.

    Raises:
        LangError: nothing or too much can be started, or a file cannot be understood.
    """
    from langs import jvmapp, jvmproject  # noqa: PLC0415  (as above)

    built = jvmapp.build(files, settings, detection)
    version, warnings = _version(files, settings, next(jvmproject.compilers(files), None))
    return msgspec.structs.replace(
        built, version=version, runtime_version=built.version, warnings=(*built.warnings, *warnings)
    )


def _version(files: AppFiles, settings: Settings, compiler: tuple[str, str] | None) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [_statement(forced.value, source=forced.source)] if forced else []
    text = files.read_text(_FILE)
    if text and text.strip():
        stated.append(_statement(text, source=_FILE, file=_FILE))
    if compiler is not None:
        # What a build file computes may look like anything; it decides nothing here. `1.9.+` is the line.
        with suppress(LangError):
            text = compiler[0] if compiler[0].count(".") < _LINE else compiler[0].removesuffix(".+")
            stated.append(_statement(text, source=compiler[1]))
    stated += versions.tool_files(files, (NAME,), _statement)
    version, warnings = versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    if not stated:
        warnings += (f"no constant of the build says which Kotlin compiles the app; {version.value} is assumed",)
    return version, warnings


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    return versions.exact(text.strip(), source=source, file=file, hint=_HINT)
