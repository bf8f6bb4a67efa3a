"""Heroku's Procfile: one `name: command` per line."""

import re
from typing import Final

from langs.errors import LangError
from langs.files import AppFiles, once
from langs.model import Process

FILE: Final = "Procfile"

_LINE: Final = re.compile(r"([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


@once
def read(files: AppFiles) -> tuple[Process, ...]:
    """The app's processes in the file's order; none without a Procfile.

    Raises:
        LangError: a line is no process, a name stands twice, or a command holds control characters.
    """
    text = files.read_text(FILE)
    return () if text is None else parse(text)


def parse(text: str) -> tuple[Process, ...]:
    """The processes of a Procfile's text. Blank lines and lines that begin with `#` say nothing.

    Raises:
        LangError: as `read`.
    """
    processes: dict[str, Process] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or not match[2]:
            raise LangError(
                f"expected `name: command`, found {line[:80]!r}",
                file=FILE,
                line=number,
                hint="A name has letters, digits, `-` and `_`: `web: gunicorn app:app`.",
            )
        name, command = match.groups()
        if _CONTROL.search(command):
            raise LangError(
                f"the command of {name!r} holds a control character",
                file=FILE,
                line=number,
                hint="Keep each command on one line of plain text.",
            )
        if name in processes:
            raise LangError(
                f"the process {name!r} stands here twice", file=FILE, line=number, hint="Keep one of the two."
            )
        processes[name] = Process(name=name, command=command)
    return tuple(processes.values())
