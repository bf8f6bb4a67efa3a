"""An app without a `web`: its Procfile has a process that works, and serves nobody.

It is an app where nothing else in it is started: the image starts that process, and listens nowhere. Where something
else is, the process is one of those beside the app, as always.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from langs import base, commands, nodeworkspace, packagejson, procfile
from langs.base import Language
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Detection, Evidence, Process, Settings

_USUAL: Final = "worker"


def process_of(processes: Iterable[Process]) -> Process | None:
    """What is started of an app that has no `web`: its `worker`, or the only process that it has."""
    named = {each.name: each for each in processes if each.name != base.RELEASE}
    if base.WEB in named:
        return None
    return named.get(_USUAL) or (next(iter(named.values())) if len(named) == 1 else None)


def first(files: AppFiles, ranked: Sequence[Detection], languages: Iterable[Language]) -> list[Detection]:
    """What was seen of an app, of which nothing starts anything by itself, with what its Procfile starts.

    Args:
        files: the app's.
        ranked: what languages see, the strongest first.
        languages: all of them.

    Returns:
        The same, the language of the program that works first: that is an app then. Where no language knows the
        program, it is none, but is started by it when somebody says that it is one.

    Raises:
        LangError: the Procfile cannot be understood.
    """
    process = process_of(procfile.read(files))
    if process is None:
        return list(ranked)
    program = commands.program(process.command)
    seen: Mapping[str, Detection] = {each.language: each for each in ranked}
    speaking = [language.NAME for language in languages if program in language.PROGRAMS]
    name = next((each for each in speaking if each in seen), next(iter(speaking), None))
    if name is None or _is_root(files):
        return [msgspec.structs.replace(each, worker=process.name) for each in ranked]
    found = seen.get(name) or Detection(language=name, evidence=())
    reason = Evidence(file=procfile.FILE, reason=f"{process.name} runs {program}")
    working = msgspec.structs.replace(
        found, evidence=(*found.evidence, reason), is_app=True, worker=process.name, obstacles=()
    )
    return [working, *(each for each in ranked if each.language != name)]


def started(files: AppFiles, settings: Settings, detection: Detection) -> Settings:
    """The settings of an app whose Procfile says what works, where nobody says what else is started.

    Raises:
        LangError: the process is no command line.
    """
    if detection.worker is None or settings.run_command is not None:
        return settings
    command = next((each.command for each in procfile.read(files) if each.name == detection.worker), None)
    if command is None:
        return settings
    command = commands.check(command, key=detection.worker, file=procfile.FILE)
    return msgspec.structs.replace(settings, run_command=command, worker=True)


def without_web(processes: Sequence[Process]) -> tuple[Process, ...]:
    """The processes of an app whose image starts one that works: that goes by its own name."""
    return tuple(each for each in processes if each.name != base.WEB)


def _is_root(files: AppFiles) -> bool:
    """Whether it is the root of a workspace, whose Procfile is for whoever works on its members."""
    try:
        return nodeworkspace.is_root(files, packagejson.read(files))
    except LangError:
        return False
