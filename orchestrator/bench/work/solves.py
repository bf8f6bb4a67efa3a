"""The solves of the scenarios."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.bench.work import dockerfile
from orchestrator.bench.work.builder import Builder, PackageCache
from orchestrator.bench.work.dockerfile import BASE, OURS, PULLED, Base
from orchestrator.bench.work.image import content
from orchestrator.bench.work.inputs import State
from orchestrator.bench.work.steps import Steps
from orchestrator.buildkit import CacheEntry, DirectorySource, Exporter, Layout, MemorySource, SolveRequest
from orchestrator.buildkit.capabilities import Capabilities

_WARM: Final = "warm"
"""The word of package caches that stay."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """All that builds read."""

    states: Mapping[State, Path]
    layout: Path
    base: str
    """The base image's name; "": it is in the layout."""
    base_digest: str = ""
    pulled_digest: str


def takes_layouts(can: Capabilities) -> bool:
    """Whether a daemon takes images of ours as named contexts."""
    return can.named_contexts and can.kind != "engine, graph driver"


class Solves:
    """The solves of one daemon.

    Args:
        builder: the daemon.
        inputs: what it builds.
        copy: the word for its copies of contexts.
    """

    def __init__(self, builder: Builder, inputs: Inputs, *, copy: str) -> None:
        self._builder = builder
        self._inputs = inputs
        self._copy = copy
        self._layouts = takes_layouts(builder.can)

    async def build(
        self,
        state: State,
        *,
        word: str = _WARM,
        anew: bool = False,
        app: str = "",
        target: str = "image",
        read: Path | None = None,
        write: Path | None = None,
        own_copy: bool = True,
    ) -> Steps:
        """Build the app.

        Args:
            state: of the app.
            word: of its package caches.
            anew: every step runs, whatever is cached.
            app: makes its steps those of another app.
            target: the stage.
            read: a layer cache that is read.
            write: one that is written.
            own_copy: whether the daemon has a copy of the context for this app alone; else one for all.
        """
        attrs = {f"build-arg:{dockerfile.NONCE}": app} if app else {}
        if anew:
            attrs["no-cache"] = "app,image"
        name = f"localhost/{OURS}:{app or 'app'}"
        request = self._request(
            dockerfile.app(self._base(), word=word),
            self._inputs.states[state],
            attrs={**attrs, "target": target},
            copy=f"{self._copy}-{app}" if own_copy else self._copy,
        )
        can = self._builder.can
        # What a build pushes; only exporting is left out where that is a scenario of its own.
        export = Exporter(type=can.image_exporter, attrs={"name": name}) if target == "image" and not write else None
        request = msgspec.structs.replace(
            request,
            exporter=export,
            cache_imports=(CacheEntry(type="local", attrs={"src": str(read)}),) if read else (),
            cache_exports=(CacheEntry(type="local", attrs={"dest": str(write), "mode": "max"}),) if write else (),
        )
        return await self._solve(request)

    async def pull(self) -> Steps:
        """Pull and unpack an image."""
        found = Base(image=PULLED) if self._layouts else Base(archives=_archives(self._inputs, PULLED))
        return await self._solve(self._request(dockerfile.pull(found), self._inputs.layout, copy=f"{self._copy}-pull"))

    async def keep(self, directory: Path) -> Steps:
        """Copy the package caches that stay into a directory."""
        for cache in self._caches():
            await self._builder.keep(cache, directory, self.ready)
        return Steps()

    async def fill(self, directory: Path) -> None:
        """Fill them from it."""
        for cache in self._caches():
            await self._builder.fill(cache, directory, self.ready)

    async def ready(self, request: SolveRequest, _text: str) -> SolveRequest:
        """See `builder.Ready`."""
        if not self._layouts:
            return request
        found = {PULLED: self._inputs.pulled_digest}
        if self._inputs.base_digest:
            found[BASE] = self._inputs.base_digest
        contexts = {f"context:{name}": f"oci-layout://{OURS}@{digest}" for name, digest in found.items()}
        return msgspec.structs.replace(
            request, attrs={**request.attrs, **contexts}, layouts={OURS: Layout(self._inputs.layout)}
        )

    def _request(self, text: str, root: Path, *, copy: str, attrs: Mapping[str, str] | None = None) -> SolveRequest:
        return SolveRequest(
            ref=f"{OURS}-{secrets.token_hex(8)}",
            attrs={"filename": "Dockerfile", "force-network-mode": "none", **(attrs or {})},
            sources=(
                DirectorySource(name="context", root=root),
                MemorySource(name="dockerfile", files={"Dockerfile": text.encode()}),
            ),
            shared_key=copy,
        )

    async def _solve(self, request: SolveRequest) -> Steps:
        steps = Steps()
        await self._builder.solve(await self.ready(request, ""), on_status=steps.feed)
        return steps

    def _base(self) -> Base:
        if self._inputs.base:
            return Base(image=self._inputs.base)
        if self._layouts:
            return Base(image=BASE)
        env = content(self._inputs.layout, self._inputs.base_digest).env
        return Base(archives=_archives(self._inputs, BASE), env=env)

    def _caches(self) -> Sequence[PackageCache]:
        return [
            PackageCache(
                id=dockerfile.mount_id(verb, _WARM),
                name=verb,
                sharing=dockerfile.sharing_of(verb),
                image=self._inputs.base or BASE,
            )
            for verb in dockerfile.CARRIED
        ]


def lay_out(inputs: Inputs) -> None:
    """Put the layers of our images into the contexts, for daemons that take no others."""
    for name, digest in ((BASE, inputs.base_digest), (PULLED, inputs.pulled_digest)):
        for number, blob in enumerate(content(inputs.layout, digest).layers if digest else ()):
            for root in (*inputs.states.values(), inputs.layout):
                place = root / _place(name, number)
                place.parent.mkdir(exist_ok=True)
                os.link(blob, place)


def _archives(inputs: Inputs, name: str) -> Sequence[str]:
    digest = inputs.base_digest if name == BASE else inputs.pulled_digest
    return [_place(name, number) for number, _ in enumerate(content(inputs.layout, digest).layers)]


def _place(name: str, number: int) -> str:
    return f"images/{name}-{number}.tar.gz"
