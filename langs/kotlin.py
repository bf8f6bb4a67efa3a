"""Kotlin with Gradle or Maven: what Java has, and a version of its own beside the JVM's."""

from typing import Final

from langs.files import AppFiles
from langs.model import AppBuild, Detection, Settings

NAME: Final = "kotlin"
PROGRAMS: Final = frozenset({"java", "gradle", "gradlew", "kotlin", "mvn", "mvnw"})
VERSION_VARIABLES: Final = ("KOTLIN_VERSION",)
MANIFESTS: Final = ("pom.xml", "build.gradle.kts", "build.gradle", "settings.gradle.kts", "settings.gradle")
ENTRY_POINTS: Final = ()
IMAGES: Final = ("maven", "gradle", "eclipse-temurin")


def detect(files: AppFiles) -> Detection | None:
    """A Maven project or a Gradle build with Kotlin sources; an app when one thing in it can be started."""
    if files.first(*MANIFESTS) is None:
        return None
    from langs import jvmapp  # noqa: PLC0415  (start-up counts: only an app of the JVM pays for its parsers)

    return jvmapp.detect(files, NAME)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """As `jvmapp.build`.

    Raises:
        LangError: nothing or too much can be started, or a file cannot be understood.
    """
    from langs import jvmapp  # noqa: PLC0415  (as above)

    return jvmapp.build(files, settings, detection)
