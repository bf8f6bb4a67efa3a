"""Java with Maven or Gradle. What it shares with Kotlin is in `jvmapp`, which is loaded where there is something."""

from typing import Final

from langs import base
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings

NAME: Final = "java"
PROGRAMS: Final = frozenset({"java", "gradle", "gradlew", "mvn", "mvnw"})
VERSION_VARIABLES: Final = ("JAVA_VERSION",)
MANIFESTS: Final = ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
ENTRY_POINTS: Final = ()
IMAGES: Final = ("maven", "gradle", "eclipse-temurin")

_ANT: Final = "build.xml"


def detect(files: AppFiles) -> Detection | None:
    """A Maven project or a Gradle build without Kotlin; an app when one thing in it can be started."""
    if files.first(*MANIFESTS) is None:
        return _rare(files)
    from langs import jvmapp  # noqa: PLC0415  (start-up counts: only an app of the JVM pays for its parsers)

    return jvmapp.detect(files, NAME)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """As `jvmapp.build`.

    Raises:
        LangError: Ant builds it, nothing or too much can be started, or a file cannot be understood.
    """
    from langs import jvmapp  # noqa: PLC0415  (as above)

    if detection.package_manager == "ant":
        raise base.unsupported("Ant", _ANT)
    return jvmapp.build(files, settings, detection)


def _rare(files: AppFiles) -> Detection | None:
    """Ant, which is named and not built; PHP's Phing has a build.xml as well."""
    if not files.exists(_ANT) or not any(file.endswith(".java") for file in files.listing):
        return None
    return Detection(
        language=NAME,
        evidence=(Evidence(file=_ANT, reason="built by Ant"),),
        package_manager="ant",
        is_app=any(file.endswith((".war", "web.xml")) for file in files.listing),
    )
