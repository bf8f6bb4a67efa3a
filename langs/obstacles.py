"""Why nothing is started of a directory that looks like an app: files that may say it, and tell nothing.

An entry point that is a link out of the directory, or no text, or no Python, is passed over by detection: it is no
evidence. Whoever put it there takes it for one, so that it is named where it would have decided.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from langs import base, commands, procfile, working
from langs.base import Language
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Detection, Evidence

LOST: Final = "is a link that leads out of the app's directory, or to no file"
_HINT: Final = f"Mend that; or say what is started: `web: COMMAND` in a Procfile, or {base.RUN_SETTING}."


def added(files: AppFiles, detection: Detection, language: Language) -> Detection:
    """A detection of no app, with what may keep it from being one.

    Args:
        files: of the directory.
        detection: what it was recognised as, with what the language itself has to say.
        language: that one.
    """
    known = {each.file for each in detection.obstacles}
    more = (each for each in (*_unread(files, language.ENTRY_POINTS), *_processes(files)) if each.file not in known)
    return msgspec.structs.replace(detection, obstacles=(*detection.obstacles, *more))


def lost(files: AppFiles, languages: Iterable[Language]) -> LangError | None:
    """The error for a directory that shows nothing, but for a link where an entry point would be."""
    names = dict.fromkeys(name for language in languages for name in language.ENTRY_POINTS)
    file = next((name for name in names if files.is_lost(name)), None)
    return None if file is None else LangError(LOST, file=file, hint=_HINT)


def error(detection: Detection) -> LangError:
    """The error for an app of which nothing is started, because of the first of its obstacles."""
    first, *more = detection.obstacles
    besides = f" (as is {', '.join(each.file for each in more[:3])})" if more else ""
    return LangError(f"{first.reason}: nothing that is started was found{besides}", file=first.file, hint=_HINT)


def _unread(files: AppFiles, names: Iterable[str]) -> Iterator[Evidence]:
    for name in names:
        if files.is_lost(name):
            yield Evidence(file=name, reason=LOST)
        elif files.exists(name):
            try:
                files.read_text(name)
            except LangError as problem:
                yield Evidence(file=name, reason=problem.message)


def _processes(files: AppFiles) -> Iterator[Evidence]:
    """What a Procfile has instead of a `web`."""
    try:
        processes = procfile.read(files)
    except LangError as problem:
        yield Evidence(file=procfile.FILE, reason=problem.message)
        return
    names = [each.name for each in processes if each.name != base.RELEASE]
    if not names or base.WEB in names:
        return
    process = working.process_of(processes)
    if process is None:
        yield Evidence(file=procfile.FILE, reason=f"has no `web`, but {', '.join(names)[:200]}")
        return
    program = commands.program(process.command)[:80]
    what = f"`{process.name}`, which runs {program!r}, a program of no language"
    yield Evidence(file=procfile.FILE, reason=f"has no `web`, but {what} (it is started where the app is declared)")
