"""The wiring of layer caches in directories: around a solve, what it reads is held, and what it writes is swapped in.

A request names them by their paths. The daemon sees names of ours instead, which lead nowhere but to the stores of its
own session. Nothing here fails a build: what cannot be read is a miss, with a warning.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec

from orchestrator.buildkit import CacheEntry, SolveRequest, SolveResult
from orchestrator.buildkit.build import OnStatus
from orchestrator.cache.blobs import Descriptor
from orchestrator.cache.generation import Generation
from orchestrator.cache.local import LostError, Pin, Store, tidy
from orchestrator.errors import FleetpacksError
from orchestrator.model import LocalCache

_MANIFEST = "cache.manifest"
"""Where the daemon's answer names what it exported (cache/remotecache/export.go, v0.30.0)."""
_LOCAL = "local"


class _Solver(Protocol):
    @property
    def address(self) -> str: ...

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult: ...


class LocalCaches:
    """A builder whose solves may read and write caches in directories.

    Args:
        solver: the builder.
        said: how much they may hold.
    """

    def __init__(self, solver: _Solver, said: LocalCache) -> None:
        self._solver = solver
        self._said = said

    @property
    def address(self) -> str:
        """Where the builder is, for people."""
        return self._solver.address

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """Build with the caches that can be had; see `Client.solve`.

        Raises:
            FleetpacksError: as the builder says; or what is exported cannot be written.
        """
        if all(each.type != _LOCAL for each in (*request.cache_imports, *request.cache_exports)):
            return await self._solver.solve(request, on_status=on_status)
        warnings: list[str] = []
        async with (
            _reading(request, warnings) as (reading, pins),
            self._writing(reading, warnings) as (both, generation),
        ):
            try:
                result = await self._solver.solve(both, on_status=on_status)
            except FleetpacksError:
                # A daemon that has counted on a blob does not do without it.
                if not any(pin.damaged for pin in pins):
                    raise
                again = msgspec.structs.replace(both, ref=f"{both.ref}-again", cache_imports=_others(both))
                result = await self._solver.solve(again, on_status=on_status)
            for pin in pins:
                warnings += [f"a local cache has a damaged blob, which was not used: {each}" for each in pin.damaged]
            if generation is not None and (said := result.exporter_response.get(_MANIFEST)):
                # Without layers there is nothing to export, and no manifest: what was there stays.
                try:
                    await anyio.to_thread.run_sync(generation.commit, msgspec.json.decode(said, type=Descriptor))
                except FleetpacksError as error:
                    if not _is_minor(request):
                        raise
                    warnings.append(f"no local cache was written: {error.message}")
            elif generation is not None and generation.problem is not None:
                # The daemon was told to pass over it.
                warnings.append(f"no local cache was written: {generation.problem.message}")
        return msgspec.structs.replace(result, warnings=(*result.warnings, *warnings))

    @asynccontextmanager
    async def _writing(
        self, request: SolveRequest, warnings: list[str]
    ) -> AsyncGenerator[tuple[SolveRequest, Generation | None]]:
        to = next((each for each in request.cache_exports if each.type == _LOCAL), None)
        if to is None:
            yield request, None
            return
        path = Path(to.attrs["dest"])
        make = partial(Generation, Store(path.parent, path.name), limit=self._said.size)
        try:
            generation = await anyio.to_thread.run_sync(make)
        except FleetpacksError as error:
            if not _is_minor(request):
                raise
            warnings.append(f"no local cache was written: {error.message}")
            others = tuple(each for each in request.cache_exports if each is not to)
            yield msgspec.structs.replace(request, cache_exports=others), None
            return
        name = f"{path.name}.new"
        named = CacheEntry(type=_LOCAL, attrs={**to.attrs, "dest": name})
        try:
            yield (
                msgspec.structs.replace(
                    request,
                    cache_exports=tuple(named if each is to else each for each in request.cache_exports),
                    stores={**request.stores, name: generation},
                ),
                generation,
            )
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(generation.discard)

    async def tidy(self) -> None:
        """Sweep the directory, and see to it that it holds no more than it may."""
        directory = self._said.directory
        if directory is not None:
            with suppress(OSError):
                await anyio.to_thread.run_sync(partial(tidy, directory, budget=self._said.size))


@asynccontextmanager
async def local_caches(solver: _Solver, said: LocalCache) -> AsyncGenerator[LocalCaches]:
    """A builder with caches in directories, which are tidied in the end."""
    local = LocalCaches(solver, said)
    try:
        yield local
    finally:
        with anyio.CancelScope(shield=True):
            await local.tidy()


@asynccontextmanager
async def _reading(request: SolveRequest, warnings: list[str]) -> AsyncGenerator[tuple[SolveRequest, list[Pin]]]:
    pins: list[Pin] = []
    entries: list[CacheEntry] = []
    stores = dict(request.stores)
    try:
        for entry in request.cache_imports:
            if entry.type != _LOCAL:
                entries.append(entry)
                continue
            path = Path(entry.attrs["src"])
            store = Store(path.parent, path.name)
            try:
                pin = await anyio.to_thread.run_sync(store.pin)
            except LostError as error:
                warnings.append(f"a local cache was not used: {error}")
                continue
            except OSError as error:
                warnings.append(f"a local cache was not used: {error.filename or path}: {error.strerror}")
                continue
            if pin is not None:
                name = f"{path.name}.{len(pins)}"
                pins.append(pin)
                stores[name] = pin
                broken = await anyio.to_thread.run_sync(store.broken_index, pin)
                if broken is not None:
                    warnings.append(f"{broken} is damaged: the cache was used, but other tools cannot read it")
                entries.append(CacheEntry(type=_LOCAL, attrs={"src": name, "digest": pin.root.digest}))
        yield msgspec.structs.replace(request, cache_imports=tuple(entries), stores=stores), pins
    finally:
        with anyio.CancelScope(shield=True):
            for pin in pins:
                await anyio.to_thread.run_sync(pin.release)


def _is_minor(request: SolveRequest) -> bool:
    """Whether the cache is written beside something that counts more."""
    return any(each.type == _LOCAL and "ignore-error" in each.attrs for each in request.cache_exports)


def _others(request: SolveRequest) -> tuple[CacheEntry, ...]:
    return tuple(each for each in request.cache_imports if each.type != _LOCAL)
