"""The solves that measure a host through its daemon's socket."""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from orchestrator.bench.ground import steps as raw
from orchestrator.bench.ground.shapes import UNITS
from orchestrator.bench.together import together
from orchestrator.bench.work.builder import Builder
from orchestrator.bench.work.dockerfile import BASE, OURS
from orchestrator.bench.work.inputs import State
from orchestrator.bench.work.solves import Inputs, Solves
from orchestrator.bench.work.steps import Steps
from orchestrator.buildkit import DirectorySource, MemorySource, SolveRequest, StatusUpdate

_RAW: Final = f"{OURS}-raw.py"
_FIGURE = re.compile(r"(raw/[a-z-]{1,30}) ([0-9]{1,15}\.[0-9]{1,6})")
_MOST = 4096
"""Bytes of a step's output that are read."""


class HostSolves:
    """The solves on one host.

    Args:
        builder: its daemon.
        inputs: what is built.
        copy: the word for its copy of the contexts.
    """

    def __init__(self, builder: Builder, inputs: Inputs, *, copy: str) -> None:
        self._builder = builder
        self._solves = Solves(builder, inputs, copy=copy)
        self._base = inputs.base or BASE

    async def ready(self) -> None:
        """Have the base image there."""
        await self._run([f"FROM {self._base}", f'RUN ["python3", "-c", "0", "{OURS}"]'], {})

    async def build(self, state: State, *, app: str, word: str) -> Steps:
        """Build an app; the image goes nowhere.

        Args:
            state: of its files.
            app: which one: another one's steps are others.
            word: of its package caches.
        """
        return await self._solves.build(state, app=app, word=word, target="opened", own_copy=False)

    async def parallel(self, apps: Sequence[str], *, word: str) -> Sequence[Steps]:
        """Build apps at once."""
        found: list[Steps] = []

        async def one(app: str) -> None:
            found.append(await self.build("first", app=app, word=word))

        await together([partial(one, app) for app in apps])
        return found

    async def pull(self) -> Steps:
        """Pull and unpack the image."""
        return await self._solves.pull()

    async def transfer(self, directory: Path) -> None:
        """Send the files of a directory to the host."""
        request = SolveRequest(
            ref=f"{OURS}-{secrets.token_hex(8)}",
            attrs={"filename": "Dockerfile"},
            sources=(
                DirectorySource(name="context", root=directory),
                MemorySource(name="dockerfile", files={"Dockerfile": f"FROM scratch\nCOPY . /{OURS}/\n".encode()}),
            ),
            # Nothing of an earlier copy is there to be compared with.
            shared_key=f"{OURS}-{secrets.token_hex(8)}",
        )
        await self._builder.solve(request, on_status=Steps().feed)

    async def raw(self, seconds: float) -> Mapping[str, float]:
        """Raw figures of where layers are unpacked, each measured for some seconds; those that the step has told."""
        program = await anyio.Path(raw.__file__).read_bytes()
        lines = [
            f"FROM {self._base}",
            f"COPY {_RAW} /{_RAW}",
            # Another word: it is run again.
            f'RUN ["python3", "/{_RAW}", "/", "{seconds:.3f}", "{OURS}-{secrets.token_hex(8)}"]',
        ]
        return parse(await self._run(lines, {_RAW: program}))

    async def _run(self, lines: Sequence[str], files: Mapping[str, bytes]) -> bytes:
        """Run steps on the base image; returns the beginning of what they say."""
        text = "\n".join((*lines, ""))
        request = SolveRequest(
            ref=f"{OURS}-{secrets.token_hex(8)}",
            attrs={"filename": "Dockerfile", "force-network-mode": "none"},
            sources=(
                MemorySource(name="context", files=files),
                MemorySource(name="dockerfile", files={"Dockerfile": text.encode()}),
            ),
            shared_key=f"{OURS}-steps",
        )
        said = bytearray()

        async def hear(update: StatusUpdate) -> None:
            for log in update.logs:
                if log.stream == 1:
                    said.extend(log.data[: max(0, _MOST - len(said))])

        await self._builder.solve(await self._solves.ready(request, text), on_status=hear)
        return bytes(said)


def parse(said: bytes) -> Mapping[str, float]:
    """The figures among what a step has said. A host says it: no more of it is taken than figures."""
    found: dict[str, float] = {}
    for line in said.decode(errors="replace").splitlines():
        if (figure := _FIGURE.fullmatch(line)) and figure[1] in UNITS and float(figure[2]) > 0:
            found[figure[1]] = float(figure[2])
    return found
