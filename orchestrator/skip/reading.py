"""What of an app's files decides about its image, looked at in worker threads.

To go to a thread and back takes as long as to look at a small app, and an unchanged run looks at hundreds of them. So
whoever is there for one app goes on with some that will be asked for, as long as that makes nobody wait to speak of.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec

from langs.stamps import stamp
from orchestrator.errors import ContextError, FleetpacksError
from orchestrator.model import AppPlan
from orchestrator.skip.contents import Contents, Read

_THREADS = 4
_AHEAD_SECONDS = 0.005
"""How much later an app is known at most because of others."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An app's files at one moment."""

    read: Read
    dockerfile: bytes
    """The state of a Dockerfile that the builder reads for itself."""


class _LateError(Exception):
    """There is no time left for others."""


class Reader:
    """Looks at the files of apps.

    Args:
        contents: hashes contexts.
        coming: apps that will be asked for soon, in about this order.
    """

    def __init__(self, contents: Contents, coming: Iterable[AppPlan] = ()) -> None:
        self._contents = contents
        self._coming = deque(coming)
        self._begun: set[str] = set()
        self._ahead: dict[str, Seen] = {}
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def see(self, plan: AppPlan) -> Seen:
        """Look at an app's files, or take what was seen of them while another app was looked at.

        Raises:
            ContextError: something cannot be read.
        """
        self._begun.add(plan.app.path)
        ahead = self._taken(plan)
        if ahead is not None:
            return ahead
        return await anyio.to_thread.run_sync(self._see, plan, limiter=self._threads)

    async def is_as(self, plan: AppPlan, seen: Seen) -> bool:
        """Whether an app's files are the ones that were seen."""

        def state() -> tuple[bytes, bytes]:
            context = plan.app.directory / plan.build.context
            return self._contents.state(context, ignored(plan)), _dockerfile(plan)

        try:
            return await anyio.to_thread.run_sync(state, limiter=self._threads) == (seen.read.state, seen.dockerfile)
        except FleetpacksError:
            return False

    def _see(self, plan: AppPlan) -> Seen:
        seen = self._taken(plan) or self._look(plan, anyio.from_thread.check_cancelled)
        self._go_on()
        return seen

    def _taken(self, plan: AppPlan) -> Seen | None:
        return self._ahead.pop(plan.app.path, None)

    def _go_on(self) -> None:
        """Look at apps that are coming. What cannot be read, or not in time, is left to whoever asks for it."""
        until = time.monotonic() + _AHEAD_SECONDS

        def check() -> None:
            if time.monotonic() > until:
                raise _LateError

        try:
            while True:
                check()
                plan = self._coming.popleft()
                if plan.app.path not in self._begun:
                    self._ahead[plan.app.path] = self._look(plan, check)
                if plan.app.path in self._begun:
                    # Somebody has begun to look meanwhile, and sees what is newer.
                    self._ahead.pop(plan.app.path, None)
        except (IndexError, _LateError, FleetpacksError, OSError, RuntimeError):
            return

    def _look(self, plan: AppPlan, check: Callable[[], None]) -> Seen:
        dockerfile = _dockerfile(plan)
        read = self._contents.read(plan.app.directory / plan.build.context, ignored(plan), check=check)
        return Seen(read=read, dockerfile=dockerfile)


def ignored(plan: AppPlan) -> str:
    """The text of the `.dockerignore` that counts, in the order in which the daemon looks for it.

    Raises:
        ContextError: it cannot be read.
    """
    if plan.build.dockerignore is not None:
        return plan.build.dockerignore
    names = [f"{plan.build.dockerfile_path}.dockerignore"] if plan.build.dockerfile_path else []
    for name in (*names, ".dockerignore"):
        file = Path(plan.app.directory, name)
        if file.is_file() and file.resolve().is_relative_to(plan.app.directory.resolve()):
            try:
                return file.read_bytes().decode(errors="surrogateescape")
            except OSError as error:
                raise _unread(name, error) from error
    return ""


def _dockerfile(plan: AppPlan) -> bytes:
    """The state of a Dockerfile that the builder reads for itself: it may lie outside of what is hashed.

    Raises:
        ContextError: it cannot be read, or is not the one that was planned with.
    """
    name = plan.build.dockerfile_path
    if name is None:
        return b""
    file = plan.app.directory / name
    try:
        status, text = file.stat(), file.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise _unread(name, error) from error
    if text.removeprefix("\ufeff").replace("\r", "") != plan.build.dockerfile.replace("\r", ""):
        raise ContextError(f"{name} was changed after it was read", hint="Build when nothing writes there.")
    return repr(stamp(status)).encode()


def _unread(name: str, error: OSError) -> ContextError:
    return ContextError(f"{name} cannot be read: {error.strerror}", hint="Make it readable.")
