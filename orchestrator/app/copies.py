"""The daemons' copies of build contexts: what each is called, and with which times its files are sent."""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import msgspec

from orchestrator.app.skipping import contents_of
from orchestrator.buildkit.session.sources import Clock
from orchestrator.config import Config
from orchestrator.engine.request import copies, filters
from orchestrator.errors import ContextError
from orchestrator.model import AppPlan
from orchestrator.schedule.slots import SharedKeys
from orchestrator.skip.contents import Contents
from orchestrator.skip.reading import ignored
from orchestrator.skip.times import Times
from orchestrator.workspace import git

_TIMES = "times"


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """What a build is to say of its context."""

    key: str
    clock: Callable[[], Clock] | None
    """None: files have the times they have."""


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """The copies of a run's build contexts."""

    keys: SharedKeys
    contents: Contents
    times: Times | None
    """None where none can be kept."""

    @contextmanager
    def of(self, app: AppPlan) -> Generator[Copy]:
        """The copy for a build of an app, which no other build of this run uses meanwhile.

        Who wrote a Dockerfile may compare times in it: to that, files have the times they have.
        """
        root, ignore = app.app.directory / app.build.context, ignored(app)
        if self.times is not None and app.build.dockerfile_path is None:
            name = self.keys.name(app.app.path, filters(app))
            look = partial(self.times.clock, name, root, ignore, check=anyio.from_thread.check_cancelled)
            with self.keys.slot(app.app.path, copies(app)) as key:
                yield Copy(key=key, clock=_once(look))
            return
        # A file's own time tells it from others of one checkout at most.
        seen = f"{copies(app)}\n{os.uname().nodename}:{root}\n{self.contents.salt(root, ignore)}"
        with self.keys.slot(app.app.path, seen) as key:
            yield Copy(key=key, clock=None)


async def copies_of(config: Config) -> Copies:
    """The copies of a checkout's contexts: another clone of the same repository has the same ones."""
    contents = contents_of(config)
    try:
        times = await anyio.to_thread.run_sync(_times, config.environment.cache_directory / _TIMES, contents)
    except OSError:
        times = None
    owner = times.identity if times else os.uname().nodename
    return Copies(keys=SharedKeys(f"{owner}:{await _source(config)}"), contents=contents, times=times)


def _once(look: Callable[[], Clock]) -> Callable[[], Clock]:
    """Asks once, whoever asks how often: a daemon asks for `.dockerignore` alone before it asks for all."""
    lock, found = threading.Lock(), list[Clock]()

    def clock() -> Clock:
        with lock:
            if not found:
                found.append(look())
        return found[0]

    return clock


def _times(directory: Path, contents: Contents) -> Times:
    times = Times(directory, contents)
    times.sweep()
    return times


async def _source(config: Config) -> str:
    """The monorepo, wherever it lies; where git knows no name for it, the place."""
    if (within := git.within(config.root)) is not None:
        # What git waits for in vain is said where it is needed.
        with suppress(ContextError):
            if origin := await git.origin(config.root, config.environment.for_git()):
                return f"{origin}\n{within}"
    return os.fspath(config.root)
