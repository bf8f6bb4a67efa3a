"""Programs of the system, run to their end in a session of their own: Ctrl-C at a terminal is for us alone."""

import shutil
from collections.abc import Sequence

import anyio

from orchestrator.config import environment

_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SAID = 1000
"""Characters: the end of what a program says tells why it has failed."""


class ToolError(Exception):
    """A program has failed, or could not be started; the text is what it said."""


def path() -> str:
    """Where programs are looked for: what makes file systems need not lie where a user's own path leads.

    What is relative is left out: it leads into the current directory, whosever that is.
    """
    folders = (*environment.read().get("PATH", "").split(":"), *_SYSTEM.split(":"))
    return ":".join(dict.fromkeys(folder for folder in folders if folder.startswith("/")))


def find(name: str) -> str | None:
    """A program, or None where it is not installed."""
    return shutil.which(name, path=path())


async def run(words: Sequence[str]) -> bytes:
    """Run a program; returns what it said on its standard output.

    Raises:
        ToolError: it failed; the text is what it said on its standard error.
    """
    try:
        done = await anyio.run_process(
            words, check=False, start_new_session=True, env={"PATH": path(), "LC_ALL": "C.UTF-8"}
        )
    except OSError as error:
        raise ToolError(f"{words[0]}: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
        raise ToolError(said[-_SAID:] or f"{words[0]} ended with {done.returncode}")
    return done.stdout
