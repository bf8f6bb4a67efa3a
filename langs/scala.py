"""Scala with sbt or Mill: the start script of a packager, an assembly, or the class path that sbt itself would run.

Which of them a build can make is read from its plugins. Neither tool is in the image that runs.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from langs import base, commands, jvm, mill, network, procfile, sbt, sbtplan, scalamain, versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings
from langs.scalaplan import Plan

NAME: Final = "scala"
PROGRAMS: Final = frozenset({"sbt", "scala", "mill", "scala-cli", "java"})
VERSION_VARIABLES: Final = ()
VARIABLES: Final = ("SBT_OPTS", *sbtplan.VARIABLES)
MANIFESTS: Final = (sbt.FILE, *mill.FILES)
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
"""Images exist by JDK, sbt and Scala (github.com/sbt/docker-sbt). sbt and Mill fetch the versions that the build asks
for, and a JDK is all that they need of the image."""
_IGNORED: Final = ("target", "**/target", "**/.bsp", "**/.bloop", "**/.metals")
# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
_VERSION: Final = r"([0-9]{1,4}(?:\.[0-9]{1,6}){0,2})((?:[-+.][0-9A-Za-z]{1,20}){0,4})"
_USING: Final = r"(?m)^//> using\b"
_RUN: Final = r"""(?:sbt|(?:sh )?\./millw?|mill)\s+["']?(?:[\w.]+[/.])?run["']?"""
_TOOLS: Final = frozenset({"sbt", "mill", "millw", "scala-cli"})


def detect(files: AppFiles) -> Detection | None:
    """A build of sbt or Mill, or a source with directives of the Scala CLI; an app when there is something to start.

    Raises:
        LangError: a file of the build cannot be read.
    """
    said = sbt.read(files)
    if said is not None:
        evidence = Evidence(file=said.files[0], reason="a build of sbt")
        mains = scalamain.find(files, sbtplan.sources(files, said))
        return _detection("sbt", evidence, mains, is_app=said.stages or said.main is not None)
    with_mill = mill.read(files)
    if with_mill is not None:
        evidence = Evidence(file=with_mill.file, reason="a build of Mill")
        mains = scalamain.find(files, (file for each in with_mill.modules for file in mill.sources(files, each)))
        said_main = any(each.main is not None for each in with_mill.modules)
        return _detection("mill", evidence, mains, is_app=said_main or with_mill.file == mill.FILES[-1])
    script = next((file for file in files.glob("*.scala") if re.search(_USING, files.read_head(file) or "")), None)
    if script is None:
        return None
    return _detection("scala-cli", Evidence(file=script, reason="directives of the Scala CLI"), (), is_app=True)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with sbt, a runtime image with a JRE.

    Raises:
        LangError: a file cannot be understood, there is nothing to start, or more than one thing.
    """
    declared = procfile.read(files)
    wanted = settings.run_command or next((each.command for each in declared if each.name == base.WEB), None)
    if wanted is not None and re.fullmatch(_RUN, wanted.strip()):
        wanted = None
    elif wanted is not None and commands.program(wanted) in _TOOLS:
        raise LangError(
            f"{commands.program(wanted)} is not in the image that runs",
            hint=f"Let {base.RUN_SETTING} start the app itself.",
        )
    plan = _plan(files, settings, wanted)
    java, warnings = jvm.java_version(files, settings, plan.java)
    scala = list(_stated(files, settings, plan))
    version, more = versions.resolve(scala, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    if not scala:
        more += (f"no constant of the build says which Scala compiles the app; {version.value} is assumed",)
    start = base.start(settings, declared, plan.start)
    command = plan.start if wanted is None and plan.start else start.command
    caches = tuple(base.cache(settings, tool, target) for tool, target in plan.caches)
    text = base.dockerfile(
        "scala.Dockerfile.j2",
        settings=settings,
        command=command,
        values={
            "builder": _builder(settings, java.value),
            "runtime": jvm.runtime_image(settings, java),
            "mounts": caches,
            "plan": plan,
            "tools": base.told(settings, VARIABLES[:1]),
            "options": f"{jvm.TOOL_OPTIONS} {plan.options}".rstrip(),
            "title": base.title(plan.title),
            # Mill knows of no mirror, and it is Java all the same.
            "network": network.seen(settings.network, ("sbt",)),
        },
        asks=("sbt",) if plan.manager == "sbt" else (),
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        runtime_version=java,
        package_manager=plan.manager,
        dockerfile=text,
        start=base.restarted(start, command),
        cache=caches,
        ignored=(*_IGNORED, *plan.ignored),
        warnings=(*warnings, *more),
    )


def _detection(manager: str, evidence: Evidence, mains: tuple[tuple[str, str], ...], *, is_app: bool) -> Detection:
    return Detection(
        language=NAME,
        evidence=(evidence, *(Evidence(file=file, reason="a main class") for file, _ in mains)),
        package_manager=manager,
        is_app=is_app or bool(mains),
    )


def _plan(files: AppFiles, settings: Settings, wanted: str | None) -> Plan:
    said = sbt.read(files)
    if said is not None:
        return sbtplan.plan(files, said, settings, wanted)
    with_mill = mill.read(files)
    if with_mill is not None:
        return mill.plan(files, with_mill, wanted)
    script = next(iter(files.glob("*.scala")), sbt.FILE)
    raise base.unsupported("the Scala CLI", script)


def _builder(settings: Settings, java: str) -> str:
    name = IMAGES[0]
    tag = _TAGS.get(java)
    if tag is None and name not in settings.images:
        raise LangError(
            f"there is no image of sbt with Java {java}",
            hint=f'Use Java {", ".join(_TAGS)}, or name an image: `images."{name}" = "..."`.',
        )
    return base.image(settings, name, tag or java)


def _stated(files: AppFiles, settings: Settings, plan: Plan) -> Iterator[versions.Statement]:
    """Scala's own version. It is a dependency: what the build says is what it gets, whatever others say."""
    if plan.scala is not None:
        yield _statement(plan.scala, source=plan.scala_source, file=plan.scala_file)
    forced = base.forced(settings, NAME)
    if forced is not None:
        yield _statement(forced.value, source=forced.source)
    text = files.read_text(".scala-version")
    if text and text.strip():
        yield _statement(text, source=".scala-version", file=".scala-version")
    yield from versions.tool_files(files, (NAME,), _statement)


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    match = re.fullmatch(_VERSION, text.strip())
    if match is None:
        hint = "Write a version of Scala, such as 3.3.6."
        raise versions.not_understood(text, source=source, file=file, hint=hint)
    stated = versions.exact(match[1], source=source, file=file, hint="")
    return msgspec.structs.replace(stated, exact=match[1] + match[2])
