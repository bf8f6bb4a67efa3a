"""The wiring of `bench storage`: daemons of our own on what is measured, and package caches carried as builds do."""

import datetime as dt
import errno
import shutil
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

import remote.address
from orchestrator import __version__, temporary
from orchestrator.app import builder, isolated
from orchestrator.app.localcache import LocalCaches
from orchestrator.app.mountcopies import Copies
from orchestrator.app.mountsteps import Mount
from orchestrator.bench.model import Target
from orchestrator.bench.result import Report
from orchestrator.bench.work.builder import PackageCache, Ready
from orchestrator.bench.work.running import Asked, Hear, measure
from orchestrator.bench.work.sizes import Sizes
from orchestrator.buildkit import Client, SolveRequest, SolveResult
from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.cache.local import LostError
from orchestrator.cache.mounts import Store, Writing
from orchestrator.config import Config
from orchestrator.daemon.model import Ways
from orchestrator.errors import ProtocolError, StorageError, UsageError
from orchestrator.model import DaemonKind, LocalCache

_NO_LIMIT = 1 << 50
"""Bytes: no cache is pruned while it is measured."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_WAYS = Ways(
    elsewhere="measure builders that run already (fleetpacks bench fleet --host URL)", directory="--target NAME=DIR"
)
_KEY = "bench"
_FOLDER = "bench"


async def storage(
    config: Config,
    targets: Sequence[Target],
    sizes: Sizes,
    *,
    kind: DaemonKind,
    rounds: int | None,
    seed: int,
    base: str,
    drop_caches: bool,
    hear: Hear,
) -> Report:
    """Measure what builds cost on storages. Nothing is left of it.

    Args:
        config: what was said.
        targets: the storages.
        sizes: how much is built.
        kind: of the daemons.
        rounds: how often; None: as the sizes say.
        seed: of what is built.
        base: the base image; "": this machine's own Python.
        drop_caches: whether the machine's page cache is emptied before each run.
        hear: told of progress.

    Raises:
        UsageError, StorageError: a target cannot be measured.
        OwnDaemonError: daemons do not run here.
        FleetpacksError: a build failed.
    """
    _refuse(targets)
    asked = Asked(targets=tuple(targets), sizes=sizes, rounds=rounds, seed=seed, base=base, drop_caches=drop_caches)
    with border():
        async with work_directory(config) as work:
            daemons = OwnDaemons(config, kind)
            return await measure(asked, daemons, work=work, commit=__version__, date=today(), hear=hear)


@contextmanager
def border() -> Generator[None]:
    """What the system says of any directory of a benchmark is an error for people: it is full, read-only, or gone.

    Raises:
        StorageError: in place of an OSError.
    """
    try:
        yield
    except BrokenPipeError:
        # Whoever read what we print has left.
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StorageError(
            f"{where}{error.strerror or error}",
            hint="Make room there." if error.errno in _FULL else "See whether it is there (ls) and writable (mount).",
        ) from error


@asynccontextmanager
async def work_directory(config: Config) -> AsyncGenerator[Path]:
    """An empty directory for what is built, which goes with the block; those of killed runs go before it."""
    home = config.environment.cache_directory / _FOLDER
    await anyio.to_thread.run_sync(partial(home.mkdir, parents=True, exist_ok=True))
    await anyio.to_thread.run_sync(temporary.sweep, home)
    work = temporary.inside(home)
    try:
        await anyio.Path(work).mkdir(mode=0o700)
        yield work
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, work, ignore_errors=True))


def today() -> str:
    """The date of a report."""
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def _refuse(targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--target: {doubled} is named twice", hint="Give each a name of its own.")
    known: dict[tuple[int, int], Target] = {}
    for target in targets:
        try:
            told = target.path.stat()
        except OSError:
            # Whoever makes it ready says so.
            continue
        same = known.setdefault((told.st_dev, told.st_ino), target)
        if same is not target:
            raise UsageError(
                f"--target: {same.name} and {target.name} are one directory: {target.path}",
                hint="Name one on each storage; to see how far apart repeats are, two that differ on the same one.",
            )


class OwnDaemons:
    """Daemons of our own, as `fleetpacks daemon run` starts them.

    Args:
        config: what was said of them.
        kind: buildkitd or dockerd.
    """

    def __init__(self, config: Config, kind: DaemonKind) -> None:
        self._config = config
        self._kind: DaemonKind = kind

    @asynccontextmanager
    async def started(self, root: Path) -> AsyncGenerator["OwnBuilder"]:
        """See `Daemons`."""
        said = msgspec.structs.replace(self._config.isolated, kind=self._kind, root=root, size=_NO_LIMIT, free=0)
        async with isolated.started(self._config, said, ways=_WAYS) as daemon:
            address = remote.address.parse(daemon.settings.url)
            async with builder.opened(address) as (client, can):
                yield OwnBuilder(client, can, version=await self._version(client), pid=daemon.pid)

    async def _version(self, client: Client) -> str:
        try:
            return f"{self._kind}, BuildKit {(await client.info()).version}"
        except ProtocolError:
            # An engine of 20.10 does not know the question.
            return f"{self._kind}, BuildKit of before v0.11"


class OwnBuilder:
    """One of them. See `Builder` of `orchestrator.bench.work`."""

    def __init__(self, client: Client, can: Capabilities, *, version: str, pid: int) -> None:
        self._client = client
        self._local = LocalCaches(client, LocalCache(size=_NO_LIMIT))
        self.can = can
        self.version = version
        self.pid = pid

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """See `Builder`."""
        return await self._local.solve(request, on_status=on_status)

    async def keep(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        """See `Builder`; the directory is one as `$BUILD_CACHE_DIR` is."""
        store = Store(directory, cache.name, _KEY)
        writing = await anyio.to_thread.run_sync(Writing, store)
        try:
            word = await Copies(self._client, ready).read(_mount(cache), writing.content, base=None, limit=_NO_LIMIT)
            if word != "taken":
                raise StorageError(
                    f"the package cache {cache.name} could not be kept: {word}", hint="This is an error of fleetpacks."
                )
            await anyio.to_thread.run_sync(partial(writing.commit, seen={}, cold=None))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writing.discard)

    async def fill(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        """See `Builder`."""
        try:
            source = await anyio.to_thread.run_sync(Store(directory, cache.name, _KEY).source)
        except LostError as error:
            raise StorageError(
                f"the package cache {cache.name} is damaged: {error}", hint="See who else deletes there; measure anew."
            ) from error
        word = await Copies(self._client, ready).fill(_mount(cache), source.root, ignore="") if source else "nothing"
        if word != "filled":
            raise StorageError(
                f"the package cache {cache.name} could not be filled: {word}", hint="This is an error of fleetpacks."
            )


def _mount(cache: PackageCache) -> Mount:
    return Mount(id=cache.id, name=cache.name, sharing=cache.sharing, image=cache.image)
