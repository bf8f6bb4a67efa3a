"""The program of a Python app that no server loads: the file that is started, and how.

The usual names at the root come first. Where a manifest says that this is a Python app and none of them is there, a
source counts that imports what serves or waits for messages: at the root when it is the only one, of one of the usual
names below.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from langs import wsgi
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Evidence

NAMES: Final = ("main.py", "app.py", "server.py", "bot.py", "run.py", "wsgi.py", "streamlit_app.py", "__main__.py")

_STREAMLIT: Final = ("Home.py", "Hello.py")
"""What Streamlit's documentation calls the first page of several."""
_NO_PROGRAMS: Final = frozenset({"conftest.py", "manage.py", "noxfile.py", "setup.py"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", re.ASCII)
_MAX_CANDIDATES: Final = 50


def find(files: AppFiles, *, manifest: bool) -> str | None:
    """The file that is started, if there is one.

    Args:
        files: the app's.
        manifest: whether something else says that this is a Python app.
    """
    known = files.first(*NAMES)
    if known is not None or not manifest:
        return known
    page = files.first(*_STREAMLIT)
    if page is not None and _serves(files, page):
        return page
    others = [file for file in files.glob("*.py") if file not in _NO_PROGRAMS][:_MAX_CANDIDATES]
    serving = [file for file in others if _serves(files, file)]
    if serving:
        return serving[0] if len(serving) == 1 else None
    order = {name: index for index, name in enumerate(NAMES)}
    for pattern in ("*/*.py", "src/*/*.py"):
        found = [file for file in files.glob(pattern) if posixpath.basename(file) in order]
        found = [file for file in found if wsgi.is_part(files, posixpath.dirname(file))]
        for file in sorted(found, key=lambda file: (order[posixpath.basename(file)], file))[:_MAX_CANDIDATES]:
            if _serves(files, file):
                return file
    return None


def unread(files: AppFiles) -> Iterator[Evidence]:
    """The files of the usual names that tell nothing, because they are no Python; each with what is wrong."""
    for name in NAMES:
        problem = wsgi.problem(files, name) if files.exists(name) else None
        if problem is not None:
            yield Evidence(file=name, reason=problem)


def command(files: AppFiles, file: str) -> str:
    """What starts `file`: as a module where it is one of a package, so that its package can be imported."""
    if "/" not in file:
        return f"python {file}"
    tree = wsgi.parse(files, file)
    root = wsgi.import_root(files, file, tree) if tree else posixpath.dirname(file)
    relative = posixpath.relpath(file, root) if root else file
    if "/" not in relative:
        return f"python {file}"
    module = relative.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    return f"python -m {module}" if not root else f"PYTHONPATH={root} python -m {module}"


def _serves(files: AppFiles, file: str) -> bool:
    if not _PLAIN.fullmatch(file):
        return False
    try:
        text = files.read_text(file) or ""
    except LangError:
        return False
    # Most do not, and are not parsed.
    return wsgi.mentions_server(text) and wsgi.look(files, file).serves
