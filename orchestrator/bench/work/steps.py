"""Where the time of a build went, by what its daemon says of its steps."""

import re
from collections.abc import Mapping, Sequence

from orchestrator.bench.work.dockerfile import PROGRAM
from orchestrator.buildkit import StatusUpdate, Vertex

_VERB = re.compile(rf'"/{re.escape(PROGRAM)}", "([a-z]+)"')
_KINDS = (
    ("[internal] load build context", "context"),
    ("[internal]", "reading"),
    ("importing cache", "cache-import"),
    ("exporting cache", "cache-export"),
    ("exporting", "export"),
    ("OCI load from client", "base"),
    (" FROM ", "base"),
    (" COPY ", "copy"),
    (" ADD ", "base"),
    (" RUN ", "run"),
)
"""Part of a step's name -> what it is called here; the first one counts. Of v0.8 to v0.33."""


UNPACK = "unpack"
"""What the layers of cached steps take."""


class Steps:
    """The steps of one build."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, float], float] = {}
        self._last: dict[str, Vertex] = {}

    async def feed(self, update: StatusUpdate) -> None:
        """Hear of the build."""
        for vertex in update.vertexes:
            self._last[vertex.digest] = vertex
            if vertex.started is not None and vertex.completed is not None:
                # It may begin several times: it waits for others between.
                self._spans[vertex.digest, vertex.started] = vertex.completed - vertex.started

    def seconds(self) -> Mapping[str, float]:
        """Seconds by what a step is called."""
        found: dict[str, float] = {}
        for (digest, _), seconds in self._spans.items():
            vertex = self._last[digest]
            # What is cached elsewhere has to be unpacked before a step can stand on it.
            name = UNPACK if vertex.cached else called(vertex.name)
            found[name] = found.get(name, 0.0) + seconds
        return found

    def executed(self) -> frozenset[str]:
        """The verbs of `dockerfile.VERBS` that really ran."""
        return frozenset(
            verb[1]
            for vertex in self._last.values()
            if vertex.completed is not None and not vertex.cached and (verb := _VERB.search(vertex.name))
        )


def facts(builds: Sequence[Steps]) -> Mapping[str, float]:
    """The facts `step:...` of a run: what the steps of all its builds took together."""
    found: dict[str, float] = {}
    for steps in builds:
        for name, took in steps.seconds().items():
            found[f"step:{name}"] = found.get(f"step:{name}", 0.0) + took
    return found


def called(name: str) -> str:
    """What a step with this name is called in facts."""
    if verb := _VERB.search(name):
        return verb[1]
    return next((kind for part, kind in _KINDS if part in name), "other")
