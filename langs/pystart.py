"""How a Python app is started when nobody says it, and without the package manager when somebody does."""

import re
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from langs import base, commands, wsgi
from langs.files import AppFiles
from langs.model import Process
from langs.pyproject import FILE, Project
from langs.requirements import Requirements

_GRADIO: Final = "GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT "
"""Gradio listens for this machine alone, and on a port of its own, where nobody says otherwise."""
_SERVER_NAMES: Final = frozenset({"serve", "server", "start", "web"})
# Text, because start-up counts: `re` compiles it when it is first needed.
_RUN: Final = (
    r"(?P<before>(?:\A|&&|;)[ \t]*(?:exec[ \t]+)?(?:[A-Za-z_][A-Za-z0-9_]*=[^ \t;&|'\"]*[ \t]+)*)"
    r"(?:poetry|pdm|pipenv|uv)[ \t]+run[ \t]+"
    r"(?:--(?:frozen|isolated|locked|no-dev|no-sync)[ \t]+)*(?P<program>[A-Za-z0-9_./][^ \t;&|<>()'\"\\$`]*)"
)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the app's files say, read once."""

    project: Project | None
    requirements: Requirements | None
    manager: str | None
    manager_file: str
    locked: bool
    package: bool
    """Whether the project itself is installed."""
    local: bool
    """Whether the installation of dependencies reads the app's sources."""
    names: frozenset[str]
    application: wsgi.Application | None
    django: bool
    """Whether it is a Django project."""
    entry: str | None
    program: str | None
    """What starts the entry point."""
    look: wsgi.Look | None
    """What the entry point shows; one that only defines an application ends at once."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A start command, and a warning that goes with it."""

    command: str | None
    warning: str | None = None


def default(found: Found) -> Start:
    """The start command when neither configuration nor Procfile gives one."""
    served = _served(found.application, found.names) if found.application else None
    if served is not None:
        return Start(command=served)
    if found.entry is not None and found.look and found.look.streamlit:
        return Start(command=f"streamlit run {found.entry} --server.port $PORT")
    if found.django:
        return Start(
            command="python manage.py runserver --noreload 0.0.0.0:$PORT",
            warning="Django's own server is for development: add gunicorn to the dependencies",
        )
    idle = found.application is not None and not (found.look and found.look.main)
    if found.application is not None and idle and "flask" in found.names:
        return Start(
            command=f"flask --app {found.application.module} run --host 0.0.0.0 --port $PORT",
            warning="Flask's own server is for development: add gunicorn to the dependencies",
        )
    if found.program is not None and not idle:
        return Start(command=f"{_GRADIO}{found.program}" if "gradio" in found.names else found.program)
    return Start(command=script(found.project) if found.project and found.package else None)


def loadable(files: AppFiles, application: wsgi.Application | None, names: frozenset[str]) -> wsgi.Application | None:
    """The application that a server among the dependencies can load, where the app has one for each kind of server."""
    if application is None or _served(application, names) is not None:
        return application
    other = wsgi.asynchronous(files, application)
    return other if other is not None and _served(other, names) is not None else application


def direct(start: base.Start, scripts: Mapping[str, str]) -> base.Start:
    """The same start with programs in place of `poetry run PROGRAM` and its like.

    Package managers stay in the build image; the environment's programs are on PATH in the runtime image.

    Args:
        start: as it was said.
        scripts: the command lines which names behind `run` stand for.
    """
    processes = tuple(Process(name=each.name, command=_direct(each.command, scripts)) for each in start.processes)
    return base.Start(command=_direct(start.command, scripts), processes=processes)


def script(project: Project) -> str | None:
    """The console script that starts a server, by its name."""
    return next((name for name in project.scripts if name in _SERVER_NAMES), None)


def _direct(command: str, scripts: Mapping[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        program = match["program"]
        if program in scripts:
            return match["before"] + commands.check(scripts[program], key=f"tool.pdm.scripts.{program}", file=FILE)
        return match["before"] + (f"python {program}" if program.endswith(".py") else program)

    return re.sub(_RUN, replaced, command) if " run " in command else command


def _served(application: wsgi.Application, names: frozenset[str]) -> str | None:
    """The command of the first server among the dependencies that can load the application."""
    # Quart serves itself by Hypercorn, which it brings along.
    names |= frozenset({"hypercorn"} if "quart" in names else ())
    target = f"{application.module}:{application.name}"
    called = shlex.quote(f"{target}()") if application.factory else target
    factory, call = (" --factory", " --call") if application.factory else ("", "")
    daphne = (True, "daphne", f"daphne -b 0.0.0.0 -p $PORT {target}")
    servers = (
        (True, "uvicorn", f"uvicorn{factory} --host 0.0.0.0 --port $PORT {target}"),
        (True, "sanic", f"sanic{factory} --host 0.0.0.0 --port $PORT {target}"),
        (True, "hypercorn", f"hypercorn --bind 0.0.0.0:$PORT {called}"),
        *(() if application.factory else (daphne,)),
        (False, "gunicorn", f"gunicorn --bind 0.0.0.0:$PORT {called}"),
        (False, "waitress", f"waitress-serve{call} --listen=0.0.0.0:$PORT {target}"),
    )
    return next((command for asgi, name, command in servers if asgi == application.asgi and name in names), None)
