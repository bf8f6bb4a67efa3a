"""What sbt is asked to make of an app: a staged start script, an assembly, or the class path that it would run."""

import re
from collections.abc import Iterator
from typing import Final, Literal

from langs import base, jvm, render, sbt, scalamain, scalaplan
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings
from langs.sbt import Build
from langs.scalaplan import Plan

VARIABLES: Final = ("SBT_PROJECT", "SBT_CLEAN", "SBT_PRE_TASKS", "SBT_TASKS")
"""Of the builder's environment: whose tasks are run, and which."""

_WORD: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_SOURCES: Final = ("src/main/scala", "src/main/scala-3", "src/main/scala-2.13", "jvm/src/main/scala")
_CACHES: Final = (
    ("sbt-boot", "/root/.sbt/boot"),
    ("coursier", "/root/.cache/coursier"),
    ("ivy", "/root/.ivy2"),
)
_PLAY_OPTIONS: Final = "-Dpidfile.path=/dev/null"
"""Play writes its process id beside itself, where nothing can be written."""
_PLAY_SERVER: Final = "java -Duser.dir=/app -Dhttp.port=$PORT -cp 'lib/*' play.core.server.ProdServerStart"
_PLAY_UNUSED: Final = ("share/doc/api",)
"""The documentation of the app's own classes: megabytes that each change of a source would push again."""
_HINT: Final = f"Set {base.BUILD_SETTING} and {base.RUN_SETTING}, or `web: DIRECTORY/target/...` in a Procfile."


def plan(files: AppFiles, said: Build, settings: Settings, wanted: str | None) -> Plan:
    """How the build is packaged.

    Args:
        files: the app.
        said: its build.
        settings: what configuration says of the app.
        wanted: the start command that somebody asks for.

    Raises:
        LangError: there is nothing to start, or more than one thing.
    """
    if said.sbt is not None and said.sbt.startswith("2"):
        raise base.unsupported("sbt 2", sbt.PROPERTIES)
    found = scalamain.find(files, sources(files, said))
    kind, needed = _kind(said, wanted), wanted is None
    if kind == "stage":
        names = tuple(each.name for each in said.projects if each.stage)
    else:
        names = tuple(each.name for each in said.projects if any(_inside(each.directory, file) for file, _ in found))
    prefix, directory = _project(said, wanted, names, settings.variables.get(VARIABLES[0]))
    mains = [name for file, name in found if _inside(directory, file)]
    where = f"{directory}/" if directory else ""
    start = export = None
    match kind:
        # Start scripts need a shell.
        case "stage" if not settings.hardened:
            start = "bin/start -Dhttp.port=$PORT" if said.play else "bin/start"
        case "stage":
            main = None if said.play else scalaplan.main_class(said.main, mains, sbt.FILE, needed=needed)
            start = _PLAY_SERVER if said.play else main and f"java -cp 'lib/*' {main}"
        case "assembly":
            # Without any that was found, the jar itself will know.
            scalaplan.main_class(said.main, mains, sbt.FILE, needed=needed and bool(mains))
            start = "java -jar app.jar"
        case _:
            main = scalaplan.main_class(said.main, mains, sbt.FILE, needed=needed)
            start = main and f"java @.classpath {main}"
            export = f"sbt 'export {prefix}Runtime/fullClasspathAsJars'"
    # sbt 0.13 knows no newer Java.
    old = said.sbt is not None and said.sbt.startswith("0.")
    return Plan(
        manager="sbt",
        manifests=_manifests(files, said),
        install="sbt update",
        compile=_tasks(settings, None if export else f"{prefix}{kind}"),
        kind=kind,
        directory=f"{where}target/universal/stage" if kind == "stage" else f"{where}target",
        export=export,
        jar=said.jar if said.jar is not None and scalaplan.is_path(said.jar) and "/" not in said.jar else None,
        # What sbt-native-packager makes of a project's name.
        script=re.sub(r"[^a-z0-9_]+", "-", (said.name or "app").lower()),
        unused=_PLAY_UNUSED if said.play else (),
        caches=_CACHES,
        scala=said.scala or said.cross,
        scala_source=f"{sbt.FILE} {'crossScalaVersions' if said.cross else 'scalaVersion'}",
        scala_file=sbt.FILE,
        java=(jvm.statement("8", source=f"{sbt.PROPERTIES} sbt.version", file=sbt.PROPERTIES),) if old else (),
        options=_PLAY_OPTIONS if said.play else "",
        start=start,
        title=said.name,
    )


def sources(files: AppFiles, said: Build) -> Iterator[str]:
    """The sources of all projects, as sbt finds them."""
    yield from files.glob("*.scala")
    for directory in dict.fromkeys(("", *(each.directory for each in said.projects))):
        for source in _SOURCES:
            yield from files.below(f"{directory}/{source}" if directory else source)


def _kind(said: Build, wanted: str | None) -> Literal["stage", "assembly", "classpath"]:
    if said.stages and not (said.assembles and "-assembly" in (wanted or "")):
        return "stage"
    return "assembly" if said.assembles else "classpath"


def _tasks(settings: Settings, packaging: str | None) -> str | None:
    """The command that is run before what it made is copied, as `$SBT_TASKS` and its like say."""
    clean = ("clean",) if base.flag(settings, "SBT_CLEAN") else ()
    tasks = base.words(settings, "SBT_TASKS") or ((packaging,) if packaging else ())
    said = (*clean, *base.words(settings, "SBT_PRE_TASKS"), *tasks)
    return f"sbt {render.words(said)}" if said else None


def _project(said: Build, wanted: str | None, names: tuple[str, ...], chosen: str | None) -> tuple[str, str]:
    """The prefix of the tasks and the directory of the project that is packaged."""
    if chosen is not None and chosen not in names:
        raise LangError(
            f"$SBT_PROJECT: {chosen[:80]!r} is no project that can be packaged",
            file=sbt.FILE,
            hint=f"Choose one of: {', '.join(sorted(names))[:200]}." if names else _HINT,
        )
    names = (chosen,) if chosen is not None else names
    candidates = [each for each in said.projects if each.name in names and scalaplan.is_path(each.directory or "x")]
    named = [each for each in candidates if each.directory and f"{each.directory}/target/" in (wanted or "")]
    candidates = named or [each for each in candidates if not each.directory] or candidates
    if not candidates:
        return "", ""
    if len(candidates) > 1:
        listed = ", ".join(sorted(each.name for each in candidates))
        raise LangError(f"several projects can be packaged: {listed[:200]}", file=sbt.FILE, hint=_HINT)
    only = candidates[0]
    if not re.fullmatch(_WORD, only.name):
        raise LangError(f"{only.name[:80]!r} is no name of a project", file=sbt.FILE, hint="Use letters and digits.")
    return f"{only.name}/" if only.directory else "", only.directory


def _inside(directory: str, file: str) -> bool:
    return file.startswith(f"{directory}/") if directory else file.startswith(("src/", "jvm/")) or "/" not in file


def _manifests(files: AppFiles, said: Build) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What `sbt update` reads, grouped by the directory it goes to."""
    groups: dict[str, list[str]] = {}
    others = (file for file in (".sbtopts", ".jvmopts", sbt.PROPERTIES) if files.exists(file))
    for file in dict.fromkeys((*said.files, *others)):
        groups.setdefault(file.rpartition("/")[0], []).append(file)
    return tuple((f"./{directory}/" if directory else "./", tuple(found)) for directory, found in groups.items())
