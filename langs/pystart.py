"""How a Python app is started when nobody says it, and without the package manager when somebody does."""

import re
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from langs import base, commands, pyserver, wsgi
from langs.files import AppFiles
from langs.model import Process
from langs.pyproject import FILE, Project
from langs.requirements import Requirements

_GRADIO: Final = "GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT "
"""Gradio listens for this machine alone, and on a port of its own, where nobody says otherwise."""
_FLASK: Final = "Flask's own server is for development: add gunicorn to the dependencies"
_FLASK_KNOWS: Final = frozenset({"app", "application", "create_app", "make_app"})
"""Names that Flask looks for by itself."""
_DJANGO: Final = "Django's own server is for development: add gunicorn to the dependencies"
_DASH: Final = "Dash's own server is for development: write `server = app.server`, which gunicorn can load"
_DEBUG: Final = ", and leave out `debug=True`, by which others may execute code"
_ALONE: Final = (
    "{} listens to its own machine alone: let it say "
    '`host="0.0.0.0", port=int(os.environ["PORT"])`, or make the application where gunicorn can load it'
)
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
    manage: str | None
    """A Django project's program."""
    database: str | None
    """The file of its database, where that is of SQLite and lies in the app."""
    entry: str | None
    program: str | None
    """What starts the entry point."""
    look: wsgi.Look | None
    """What the entry point shows; one that only defines an application ends at once."""
    own: pyserver.Own | None
    """What it says of the server that it starts, where that is Flask's or Dash's."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A start command, and a warning that goes with it."""

    command: str | None
    warning: str | None = None
    database: str | None = None
    """The file that the command expects, relative to the app's directory."""


def default(found: Found, *, shell: bool) -> Start:
    """The start command when neither configuration nor Procfile gives one.

    Args:
        found: what the app's files say.
        shell: whether the image that runs has one.
    """
    served = _served(found.application, found.names) if found.application else None
    if served is not None:
        return Start(command=served)
    if found.entry is not None and found.look and found.look.streamlit:
        return Start(command=f"streamlit run {found.entry} --server.port $PORT")
    if found.manage is not None:
        return _django(found.manage, found.database, shell=shell)
    idle = found.application is not None and not (found.look and found.look.main)
    alone = found.own is not None and not found.own.reachable
    target = _flask(found) if idle or alone else None
    if target is not None:
        return Start(command=f"flask --app {target} run --host 0.0.0.0 --port $PORT", warning=_FLASK)
    if found.program is not None and not idle:
        return _own(found, found.program)
    return Start(command=script(found.project) if found.project and found.package else None)


def _django(manage: str, database: str | None, *, shell: bool) -> Start:
    """Django's own server; a database in the image is nobody else's, so that nobody else can prepare it."""
    serve = f"python {manage} runserver --noreload 0.0.0.0:$PORT"
    if database is None:
        return Start(command=serve, warning=_DJANGO)
    prepare = f"[ -w {database} ] && python {manage} migrate --noinput; " if shell else ""
    kept = f"{database} is in the image: what is written to it goes with the container"
    return Start(command=f"{prepare}{serve}", warning=f"{_DJANGO}; {kept}", database=database)


def _flask(found: Found) -> str | None:
    """The application that Flask's own server can load: what the program runs itself, else what was found."""
    application, own = found.application, found.own
    if application is None or application.asgi or not pyserver.depends(found.names):
        return None
    # A program that imports its application may give it pages before it runs it.
    module = pyserver.module(found.entry) if found.entry and found.entry != application.file else None
    if module and own and own.name and pyserver.DASH not in found.names:
        return f"{module}:{own.name}"
    known = application.name in _FLASK_KNOWS
    return application.module if known else f"{application.module}:{application.name}"


def _own(found: Found, program: str) -> Start:
    """The program itself; of the server that it starts, there may be something to say."""
    if "gradio" in found.names:
        return Start(command=f"{_GRADIO}{program}")
    own = found.own
    if own is None:
        return Start(command=program)
    if pyserver.DASH in found.names and not own.reachable:
        call = f'{own.imported}(host="0.0.0.0")' if own.imported else None
        command = f"python -c {shlex.quote(call)}" if call else f"HOST=0.0.0.0 {program}"
        return Start(command=command, warning=_DASH)
    if not own.reachable:
        return Start(command=program, warning=_ALONE.format(found.entry))
    return Start(command=program, warning=f"{_FLASK}{_DEBUG}" if own.debug else _FLASK)


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
