"""How a JVM app is started: what its build makes, and the command that runs it from /app.

`$JAVA_OPTS` stands in every command because platforms set it; what the image itself wants of a JVM is in
`$JAVA_TOOL_OPTIONS`, which every JVM reads.
"""

from enum import StrEnum
from typing import Final

import msgspec

from langs.model import Evidence, Settings


class Kind(StrEnum):
    """What the build makes."""

    BOOT = "boot"
    """A Spring Boot jar: taken apart, so that its dependencies are a layer of their own."""
    MICRONAUT = "micronaut"
    """As `THIN` where the main class is known, being the jar that Maven then packs everything into; else as `FAT`."""
    FAT = "fat"
    """One jar with everything in it and its main class in the manifest."""
    THIN = "thin"
    """A jar of the app's own classes; what it depends on stands beside it in lib/."""
    DISTRIBUTION = "distribution"
    """bin/ and lib/ of Gradle's application plugin."""
    QUARKUS = "quarkus"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One module that can be started."""

    kind: Kind
    directory: str
    """Of the module, relative to the app's; empty for the app's own."""
    evidence: Evidence
    guessed: bool = False
    """Whether only a main method in its sources shows it: what a build says of another module is stronger."""
    main: str | None = None
    """The main class, where it is known."""
    war: bool = False
    """Whether the archive is one for servlet containers as well, which has a task of its own."""
    script: str | None = None
    """The name of a distribution's start script."""

    @property
    def beside(self) -> bool:
        """Whether the jar holds the app's own classes only, and what it depends on stands beside it in lib/."""
        return self.kind is Kind.THIN or (self.kind is Kind.MICRONAUT and self.main is not None)


_PORTS: Final = {
    Kind.BOOT: "-Dserver.port=$PORT ",
    Kind.MICRONAUT: "-Dmicronaut.server.port=$PORT ",
    Kind.QUARKUS: "-Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT ",
}
"""How frameworks are told their port that do not look for $PORT."""
_KTOR: Final = "EngineMain"
"""Ktor's own main classes, in `io.ktor.server.<engine>`, take their port from the command line."""


def command(launch: Launch, settings: Settings) -> str:
    """The start command, in words that `langs.commands` understands."""
    port = " -port=$PORT" if (launch.main or "").endswith(f".{_KTOR}") else ""
    # A hardened image has no shell: nothing expands a variable there, or runs a start script.
    java = "java" if settings.hardened else "java $JAVA_OPTS"
    if launch.kind is Kind.DISTRIBUTION:
        by_hand = settings.hardened and launch.main
        return f'{java} -cp "lib/*" {launch.main}{port}' if by_hand else f"bin/{launch.script}{port}"
    jar = "quarkus-run.jar" if launch.kind is Kind.QUARKUS else "app.jar"
    what = f'-cp "app.jar:lib/*" {launch.main}' if launch.beside else f"-jar {jar}"
    return f"{java} {_PORTS.get(launch.kind, '')}{what}{port}"
