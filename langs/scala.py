"""Scala with sbt: the start script of a packager, the jar of sbt-assembly, or the class path that sbt itself would run.

Which of them a build can make is read from its plugins. sbt is not in the image that runs.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from langs import base, commands, jvm, procfile, sbt, scalamain, versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Process, Settings
from langs.sbt import Build

NAME: Final = "scala"
PROGRAMS: Final = frozenset({"sbt", "scala", "mill", "scala-cli", "java"})
VERSION_VARIABLES: Final = ()
_MILL: Final = ("build.mill", "build.mill.yaml", "build.sc")
MANIFESTS: Final = (sbt.FILE, *_MILL)
ENTRY_POINTS: Final = ()
IMAGES: Final = ("sbtscala/scala-sbt", "eclipse-temurin")

_DEFAULT: Final = "3.5.2"
_LINE: Final = 2
_TAGS: Final = {
    "8": "eclipse-temurin-8u352-b08_1.8.2_2.13.10",
    "11": "eclipse-temurin-jammy-11.0.20.1_1_1.9.7_3.3.1",
    "17": "eclipse-temurin-17.0.15_6_1.12.11_3.3.7",
    "21": "eclipse-temurin-21.0.8_9_1.12.11_3.3.7",
    "25": "eclipse-temurin-25.0.1_8_1.12.11_3.3.7",
}
"""Images exist by JDK, sbt and Scala (github.com/sbt/docker-sbt); sbt fetches what project/build.properties asks for."""
_IGNORED: Final = ("target", "**/target", "**/.bsp", "**/.bloop", "**/.metals")
_VERSION: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6}){0,2})((?:[-+.][0-9A-Za-z]{1,20}){0,4})", re.ASCII)
_CLASS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*", re.ASCII)
_USING: Final = re.compile(r"^//> using\b", re.MULTILINE)
_SBT_RUN: Final = re.compile(r"""sbt\s+["']?(?:\w+/)?run["']?""")
_PLAY_OPTIONS: Final = " -Dpidfile.path=/dev/null"
"""Play writes its process id beside itself, where nothing can be written."""
_RUN_HINT: Final = f"Set `mainClass` in {sbt.FILE}, or {base.RUN_SETTING} to `java -cp app.jar CLASS`."
_PROJECT_HINT: Final = f"Set {base.BUILD_SETTING} and {base.RUN_SETTING}, or `web: DIRECTORY/target/...` in a Procfile."


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How sbt packages the app."""

    kind: str
    """`stage`, `assembly` or `classpath`: what is copied, and from where."""
    directory: str
    """The directory of the project that is packaged; empty for the root."""
    task: str
    start: str | None


def detect(files: AppFiles) -> Detection | None:
    """A build of sbt or Mill, or a source with directives of the Scala CLI; an app when there is something to start.

    Raises:
        LangError: a file of the build cannot be read.
    """
    build = sbt.read(files)
    if build is not None:
        evidence = [Evidence(file=build.files[0] if build.files else sbt.PROPERTIES, reason="a build of sbt")]
        found = scalamain.find(files, _sources(files, build))
        evidence += [Evidence(file=file, reason="a main class") for file, _ in found]
        is_app = build.stages or build.main is not None or bool(found)
        return Detection(language=NAME, evidence=tuple(evidence), package_manager="sbt", is_app=is_app)
    file = files.first(*_MILL)
    if file is not None:
        return Detection(
            language=NAME, evidence=(Evidence(file=file, reason="a build of Mill"),), package_manager="mill"
        )
    script = next((file for file in files.glob("*.scala") if _USING.search(files.read_text(file) or "")), None)
    if script is None:
        return None
    return Detection(
        language=NAME,
        evidence=(Evidence(file=script, reason="directives of the Scala CLI"),),
        package_manager="scala-cli",
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with sbt, a runtime image with a JRE.

    Raises:
        LangError: a file cannot be understood, there is nothing to start, or more than one thing.
    """
    said = sbt.read(files)
    if said is None:
        file = detection.evidence[0].file if detection.evidence else sbt.FILE
        raise base.unsupported({"mill": "Mill"}.get(detection.package_manager or "", "the Scala CLI"), file)
    if said.sbt is not None and said.sbt.startswith("2"):
        raise base.unsupported("sbt 2", sbt.PROPERTIES)
    declared = procfile.read(files)
    wanted = settings.run_command or next((each.command for each in declared if each.name == base.WEB), None)
    if wanted is not None and _SBT_RUN.fullmatch(wanted.strip()):
        wanted = None
    elif wanted is not None and commands.program(wanted) == "sbt":
        raise LangError("sbt is not in the image that runs", hint=f"Let {base.RUN_SETTING} start the app itself.")
    plan = _plan(files, said, wanted)
    # sbt 0.13 knows no newer Java.
    old = said.sbt is not None and said.sbt.startswith("0.")
    stated = (jvm.statement("8", source=f"{sbt.PROPERTIES} sbt.version", file=sbt.PROPERTIES),) if old else ()
    java, warnings = jvm.java_version(files, settings, stated)
    scala = list(_stated(files, settings, said))
    version, more = versions.resolve(scala, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    start = base.start(settings, declared, plan.start)
    command = commands.check(plan.start if wanted is None and plan.start else start.command, key="the start command")
    mounts = (
        base.cache(settings, "sbt-boot", "/root/.sbt/boot"),
        base.cache(settings, "coursier", "/root/.cache/coursier"),
        base.cache(settings, "ivy", "/root/.ivy2"),
    )
    text = base.dockerfile(
        "scala.Dockerfile.j2",
        settings=settings,
        command=command,
        values={
            "builder": _builder(settings, java.value),
            "runtime": jvm.runtime_image(settings, java),
            "mounts": mounts,
            "manifests": _manifests(files, said),
            "kind": plan.kind,
            "directory": plan.directory,
            "task": plan.task,
            "jar": _jar(said),
            "script": _script(said),
            "options": jvm.TOOL_OPTIONS + (_PLAY_OPTIONS if said.play else ""),
            "title": base.title(said.name),
        },
    )
    return AppBuild(
        language=NAME,
        version=version,
        runtime_version=java,
        package_manager="sbt",
        dockerfile=text,
        dockerfile_path=None,
        dockerignore=base.dockerignore(files, *_IGNORED),
        start_command=command,
        processes=(Process(name=base.WEB, command=command), *start.processes[1:]),
        port=settings.port,
        cache=mounts,
        evidence=detection.evidence,
        considered=detection.considered,
        warnings=(*warnings, *more),
    )


def _plan(files: AppFiles, said: Build, wanted: str | None) -> _Plan:
    staged = said.stages and "-assembly" not in (wanted or "")
    if staged:
        project = _project(said, wanted, tuple(each.name for each in said.projects if each.stage))
        start = "bin/start -Dhttp.port=$PORT" if said.play else "bin/start"
        return _Plan(kind="stage", directory=project[1], task=f"{project[0]}stage", start=start)
    found = scalamain.find(files, _sources(files, said))
    projects = tuple(each.name for each in said.projects if any(_inside(each.directory, file) for file, _ in found))
    project = _project(said, wanted, projects)
    mains = dict.fromkeys(name for file, name in found if _inside(project[1], file))
    main = said.main or (next(iter(mains)) if len(mains) == 1 else None)
    if wanted is None and main is None and (mains or not said.assembles):
        what = f"several main classes were found: {', '.join(sorted(mains))}" if mains else "no main class was found"
        raise LangError(what, file=sbt.FILE, hint=_RUN_HINT)
    if main is not None and not _CLASS.fullmatch(main):
        raise LangError(f"{main[:80]!r} is no name of a class", file=sbt.FILE, hint=_RUN_HINT)
    if said.assembles:
        return _Plan(
            kind="assembly", directory=project[1], task=f"{project[0]}assembly", start="java -jar app.jar"
        )
    return _Plan(
        kind="classpath",
        directory=project[1],
        task=f"export {project[0]}Runtime/fullClasspathAsJars",
        start=None if main is None else f"java @.classpath {main}",
    )


def _project(said: Build, wanted: str | None, names: tuple[str, ...]) -> tuple[str, str]:
    """The prefix of the tasks and the directory of the project that is packaged."""
    candidates = [each for each in said.projects if each.name in names and _PATH.fullmatch(each.directory or "x")]
    named = [each for each in candidates if each.directory and f"{each.directory}/target/" in (wanted or "")]
    candidates = named or [each for each in candidates if not each.directory] or candidates
    if not candidates:
        return "", ""
    if len(candidates) > 1:
        names_ = ", ".join(sorted(each.name for each in candidates))
        raise LangError(f"several projects can be packaged: {names_[:200]}", file=sbt.FILE, hint=_PROJECT_HINT)
    only = candidates[0]
    if not _WORD.fullmatch(only.name):
        raise LangError(f"{only.name[:80]!r} is no name of a project", file=sbt.FILE, hint="Use letters and digits.")
    return f"{only.name}/" if only.directory else "", only.directory


def _inside(directory: str, file: str) -> bool:
    return file.startswith(f"{directory}/") if directory else file.startswith("src/") or "/" not in file


def _sources(files: AppFiles, said: Build) -> Iterator[str]:
    yield from files.glob("*.scala")
    for directory in dict.fromkeys(("", *(each.directory for each in said.projects))):
        where = f"{directory}/" if directory else ""
        for source in ("src/main/scala", "src/main/scala-3", "src/main/scala-2.13", "jvm/src/main/scala"):
            yield from files.below(f"{where}{source}")


def _manifests(files: AppFiles, said: Build) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What `sbt update` reads, grouped by the directory it goes to."""
    groups: dict[str, list[str]] = {}
    others = (file for file in (".sbtopts", ".jvmopts", sbt.PROPERTIES) if files.exists(file))
    for file in dict.fromkeys((*said.files, *others)):
        groups.setdefault(file.rpartition("/")[0], []).append(file)
    return tuple((f"./{directory}/" if directory else "./", tuple(found)) for directory, found in groups.items())


def _builder(settings: Settings, java: str) -> str:
    name = IMAGES[0]
    tag = _TAGS.get(java)
    if tag is None and name not in settings.images:
        raise LangError(
            f"there is no image of sbt with Java {java}",
            hint=f'Use Java {", ".join(_TAGS)}, or name an image: `images."{name}" = "..."`.',
        )
    return base.image(settings, name, tag or java)


def _jar(said: Build) -> str | None:
    return said.jar if said.jar is not None and _PATH.fullmatch(said.jar) and "/" not in said.jar else None


def _script(said: Build) -> str:
    """What sbt-native-packager calls the start script of a project with this name."""
    return re.sub(r"[^a-z0-9_]+", "-", (said.name or "app").lower())


def _stated(files: AppFiles, settings: Settings, said: Build) -> Iterator[versions.Statement]:
    """Scala's own version. It is a dependency: what the build says is what it gets, whatever others say."""
    if said.scala is not None:
        yield _statement(said.scala, source=f"{sbt.FILE} scalaVersion", file=sbt.FILE)
    forced = base.forced(settings, NAME)
    if forced is not None:
        yield _statement(forced.value, source=forced.source)
    text = files.read_text(".scala-version")
    if text and text.strip():
        yield _statement(text, source=".scala-version", file=".scala-version")
    yield from versions.tool_files(files, (NAME,), _statement)


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        hint = "Write a version of Scala, such as 3.3.6."
        raise versions.not_understood(text, source=source, file=file, hint=hint)
    stated = versions.exact(match[1], source=source, file=file, hint="")
    return msgspec.structs.replace(stated, exact=match[1] + match[2])
