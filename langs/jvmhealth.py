"""Where frameworks of the JVM tell whether the app is well, if the library for that is among its dependencies.

Spring Boot (docs.spring.io/spring-boot/reference/actuator/endpoints.html), Quarkus (quarkus.io/guides/smallrye-health)
and Micronaut (docs.micronaut.io, "Health Endpoint"). An app whose configuration moves it, to a port of its own say, has
none that is known here.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final, cast

from langs import gradle, maven, pom, properties, yamltext
from langs.errors import LangError
from langs.files import AppFiles
from langs.launch import Kind, Launch

_PATHS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.BOOT: ("org.springframework.boot:spring-boot-starter-actuator", "/actuator/health"),
    Kind.QUARKUS: ("io.quarkus:quarkus-smallrye-health", "/q/health"),
    Kind.MICRONAUT: ("io.micronaut:micronaut-management", "/health"),
}
_MOVING: Final = (
    *("endpoints.", "management.", "micronaut.server.context-path", "server.servlet.context-path"),
    *("quarkus.http.non-application-root-path", "quarkus.http.root-path", "quarkus.management."),
    *("quarkus.smallrye-health.", "spring.webflux.base-path"),
)
"""How keys begin that may give it another address, or take it away."""
_NAMES: Final = tuple(
    f"{stem}.{ending}" for stem in ("application", "bootstrap") for ending in ("properties", "yml", "yaml")
)


def path(root: AppFiles, work: maven.Project | gradle.Build, launched: Launch | None) -> str | None:
    """The path of the module that is started; None where it has none that is known.

    Args:
        root: the project's directory.
        work: the project.
        launched: the module.
    """
    if launched is None or launched.kind not in _PATHS:
        return None
    library, found = _PATHS[launched.kind]
    if library not in _dependencies(work, launched.directory):
        return None
    resources = posixpath.join(launched.directory, "src/main/resources")
    said = (key for name in _NAMES for key in _keys(root, f"{resources}/{name}"))
    return None if any(key.startswith(_MOVING) for key in said) else found


def _dependencies(work: maven.Project | gradle.Build, directory: str) -> frozenset[str]:
    """`group:artifact` of what the module, or what it inherits from, asks for."""
    if isinstance(work, maven.Project):
        lineages = (each.lineage for each in work.modules if each.directory == directory)
        return frozenset(
            f"{pom.resolve(group, lineage)}:{artifact}"
            for lineage in lineages
            for each in lineage
            for group, artifact in each.dependencies
        )
    scripts = (each.script for each in work.projects if each.directory == directory)
    return frozenset(named for script in scripts if script for named in script.modules)


def _keys(files: AppFiles, file: str) -> Iterator[str]:
    try:
        text = files.read_text(file)
        if text is None:
            return
        if file.endswith(".properties"):
            yield from properties.parse(text)
        else:
            yield from _flat(yamltext.load(text, file))
    except LangError:
        # What is not understood may move it.
        yield _MOVING[0]


def _flat(said: object, above: str = "") -> Iterator[str]:
    if isinstance(said, dict):
        for key, value in cast("dict[object, object]", said).items():
            yield from _flat(value, f"{above}{key}.")
    elif above:
        yield above[:-1]
