"""Other images for the same app: what the benchmark `runtimes` holds against the Dockerfile that is planned.

Each is made of the planned text, so that what is built before the last stage is the same, and cached.
"""

from typing import Final

import msgspec

APP: Final = "app"
"""The stage that is all of an image but its archive of classes."""
_LAST: Final = "\nFROM "
_JAVA: Final = "/opt/java"
_COMMAND: Final = "-jar app.jar"
_LAUNCHER: Final = "-cp . org.springframework.boot.loader.launch.JarLauncher"
_ENDING: Final = "ENV PORT="
"""What begins that which every image ends with."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile, cut before its last stage."""

    before: str
    base: str
    """What the last stage stands on."""
    steps: str
    """What is in it."""


def cut(text: str) -> Cut:
    """A planned Dockerfile in its two parts.

    Raises:
        ValueError: its last stage is none that a plan has.
    """
    before, found, last = text.rpartition(_LAST)
    head, _, steps = last.partition("\n")
    base, named, _ = head.partition(" AS ")
    if not found or not named:
        raise ValueError(f"expected a last stage with a name, got {head!r}")
    return Cut(before=f"{before}\n", base=base, steps=steps)


def on(text: str, base: str) -> str:
    """The same app on another image."""
    said = cut(text)
    return f"{said.before}\nFROM {base} AS runtime\n{said.steps}"


def with_own_libraries(text: str) -> str:
    """A program on nothing, with the loader and the shared libraries that it was linked with."""
    said = cut(text)
    return (
        f"{said.before}\nFROM builder AS libraries\n"
        "RUN mkdir /libraries && ldd /out/bin/* "
        "| sed -n 's/.* => \\(\\/[^ ]*\\) .*/\\1/p; s/^\\t\\(\\/[^ ]*\\) (.*/\\1/p' | sort -u "
        "| xargs cp --dereference --parents --target-directory=/libraries\n\n"
        f"FROM scratch AS runtime\nCOPY --from=libraries /libraries /\n{said.steps}"
    )


def linked(text: str, base: str) -> str:
    """Spring Boot on a runtime that `jlink` makes of the modules which `jdeps` finds."""
    said = cut(text)
    return (
        f"{said.before}\nFROM builder AS jre\n"
        # As one heap of classes: jars that say what modules they are would have to say it of all that they need.
        "RUN mkdir /classes && cd /classes && "
        'for jar in /out/app/app.jar /out/lib/*.jar; do jar -xf "$jar"; done && '
        "find . -name module-info.class -delete\n"
        'RUN jlink --add-modules "$(jdeps --ignore-missing-deps --print-module-deps --multi-release base '
        '/classes),jdk.crypto.ec" '
        "--strip-java-debug-attributes --no-header-files --no-man-pages --compress zip-6 --generate-cds-archive "
        "--output /jre\n\n"
        f'FROM {base} AS runtime\nCOPY --from=jre /jre {_JAVA}\nENV PATH="{_JAVA}/bin:$PATH"\n{said.steps}'
    )


def launched(text: str) -> str:
    """Spring Boot's jar as a directory that its own launcher starts, the dependencies in a layer of their own."""
    said = cut(text)
    first, begins, ending = said.steps.partition(_ENDING)
    return (
        f"{said.before}\nFROM builder AS unpacked\n"
        'RUN mkdir -p /unpacked/app && cd /unpacked/app && jar -xf "$(ls -S /app/target/*.jar | head -n 1)" && '
        "mv BOOT-INF/lib /unpacked/lib\n\n"
        f"FROM {said.base} AS runtime\n{_without_copies(first)}"
        "COPY --from=unpacked --chown=1000:1000 /unpacked/lib ./BOOT-INF/lib\n"
        "COPY --from=unpacked --chown=1000:1000 /unpacked/app ./\n"
        f"{begins}{ending.replace(_COMMAND, _LAUNCHER)}"
    )


def archived(text: str) -> str:
    """The same with an archive of the classes that a start loads: one is made for that, in the image that runs."""
    said = cut(text)
    first, begins, ending = said.steps.partition(_ENDING)
    return (
        f"{said.before}\nFROM {said.base} AS {APP}\n{first}\n"
        f"FROM {APP} AS trained\n"
        f"RUN java -XX:ArchiveClassesAtExit=/app.jsa -Dspring.context.exit=onRefresh {_COMMAND} && test -s /app.jsa\n\n"
        f"FROM {APP} AS runtime\nCOPY --from=trained /app.jsa ./\n{begins}"
        + ending.replace(_COMMAND, f"-XX:SharedArchiveFile=app.jsa {_COMMAND}")
    )


def _without_copies(steps: str) -> str:
    return "".join(line for line in steps.splitlines(keepends=True) if not line.startswith("COPY "))
