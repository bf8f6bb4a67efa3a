"""One tiny app, built on one builder with one option, and what was said meanwhile."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import httpx

from orchestrator.events import AppStarted, AppWarning, PackagesCarried, StepLog
from orchestrator.registry.manifest import ACCEPTED, INDEXES
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.options.places import Place
from tests.lab import Engine, Lab

SCRATCH = "FROM scratch\nCOPY word /\n"
BASE = "FROM REGISTRY/library/debian:trixie-slim\nCOPY word /\n"
_PUSHES = ": --push: the engine itself pushes "
"""What is said of the option `--push` wherever an image is pushed by such an engine."""
_NOT_THERE = 404
_ADDRESS = re.compile(r"(?:unix|docker)://[^\s:]+")
_PLACE = re.compile(r"\b[0-9]+(?:\.[0-9]+){3}:[0-9]+")


class RefusedError(Exception):
    """Nothing was built: the option cannot be had there."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class FailedError(Exception):
    """A build failed."""


class Bench:
    """An app of its own, with an image, a cache and an operator's file that no other run has."""

    def __init__(
        self,
        lab: Lab,
        build: Start,
        *,
        place: Place,
        other: Place,
        inline: Callable[[], Awaitable[Place]],
        engine: Engine,
        folder: Path,
        count: RealCount,
    ) -> None:
        self.lab, self.place, self.folder, self.engine = lab, place, folder, engine
        self.other = other
        """Another builder, which has nothing of what this one has."""
        self.inline = inline
        """Gets one that keeps caches in images."""
        self.word = secrets.token_hex(6)
        self.repository = f"options-{self.word}"
        self.image = f"{lab.registry}/{self.repository}/{{app}}"
        self.source = folder / "source"
        self.said: dict[str, str] = {}
        """Variables of every run."""
        self.carried: Literal["builder", "directory"] = "directory"
        """The way of package caches by which it is heard what becomes of them."""
        self._build, self._count = build, count
        self._told: list[str] = []
        self.write({"word": self.word})

    def write(self, files: Mapping[str, str], *, app: str = "app") -> None:
        """Give the app files, in which `REGISTRY` and `WORD` become what they are; `/` before a name is the root's."""
        for name, text in files.items():
            path = self.source / name.removeprefix("/") if name.startswith("/") else self.source / app / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("REGISTRY", self.lab.registry).replace("WORD", self.word))

    def operator(self, text: str) -> None:
        """Say something in the operator's file."""
        file = self.folder / "operator.toml"
        file.write_text(text)
        self.said["FLEETPACKS_CONFIG"] = str(file)

    async def run(
        self, *words: str, on: Place | None = None, image: str = "", force: bool = True, fails: bool = False,
        **variables: str,
    ) -> Ran:  # fmt: skip
        """Build all apps.

        Args:
            words: more of the command line.
            on: another builder; what is said of that is not heard.
            image: another name than usual.
            force: whether unchanged apps are built.
            fails: whether an app may fail.
            variables: of the environment.

        Raises:
            RefusedError: nothing was built.
            FailedError: an app failed.
        """
        at = on or self.place
        said = {**at.variables, **self.said, **variables}
        forced = ("--force",) if force else ()
        async with self._build(
            self.source, *at.words, *forced, *words, image=image or self.image, host=at.host, variables=said
        ) as running:
            ran = await running.end()
        if on is None:
            self._hear(ran)
        if ran.code and not any(isinstance(event, AppStarted) for event in ran.events):
            assert "hint: " in ran.err, ran.err
            raise RefusedError(self._plain(ran.err.partition("error: ")[2].partition("\nhint: ")[0]))
        self._count.record("build", times=len(ran.completed()))
        if ran.code and not fails:
            raise FailedError(str([*ran.failed().values(), ran.err]))
        return ran

    def hear(self, said: str) -> None:
        """Something that whoever runs it is told."""
        self._told.append(self._plain(said))

    @property
    def told(self) -> tuple[str, ...]:
        """What was said by all runs, each thing once; not how such an engine pushes."""
        return tuple(each for each in dict.fromkeys(self._told) if not each.startswith(_PUSHES[2:]))

    @property
    def told_of_pushes(self) -> tuple[str, ...]:
        """The same with that."""
        return tuple(dict.fromkeys(self._told))

    def _hear(self, ran: Ran) -> None:
        for event in ran.events:
            if isinstance(event, AppWarning):
                self.hear(event.message)
            elif isinstance(event, PackagesCarried) and event.error is not None and event.to == self.carried:
                self.hear(f"{event.cache}: {event.error}")

    def _plain(self, said: str) -> str:
        """Without addresses and words of this run."""
        text = _ADDRESS.sub("", " ".join(said.split())).removeprefix(": ")
        return _PLACE.sub("a registry", text.replace(self.word, "..."))

    @staticmethod
    def logged(ran: Ran) -> str:
        """What steps have printed."""
        return "\n".join(event.text for event in ran.events if isinstance(event, StepLog))

    @staticmethod
    def cached(ran: Ran, part: str) -> bool:
        """Whether the one step was cached whose name holds this."""
        [step] = [step for name, step in ran.steps("app").items() if part in name]
        return step.cached

    async def get(self, path: str) -> Any:  # noqa: ANN401 -- JSON
        """What the registry has below the app's repository; None where it has not."""
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{self.lab.registry}/v2/") as http:
            answer = await http.get(f"{self.repository}/{path}", headers={"Accept": ", ".join(ACCEPTED)})
            return None if answer.status_code == _NOT_THERE else answer.raise_for_status().json()

    async def digest(self, tag: str = "latest", *, app: str = "app") -> str | None:
        """Of what a tag points to; None where there is none."""
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{self.lab.registry}/v2/") as http:
            path = f"{self.repository}/{app}/manifests/{tag}"
            answer = await http.head(path, headers={"Accept": ", ".join(ACCEPTED)})
            return answer.headers.get("docker-content-digest") if answer.is_success else None

    async def manifest(self, *, app: str = "app", index: bool = False) -> Any:  # noqa: ANN401 -- JSON
        """The image's manifest, of its first platform; or the index."""
        found = await self.get(f"{app}/manifests/latest")
        if found["mediaType"] in INDEXES and not index:
            return await self.get(f"{app}/manifests/{found['manifests'][0]['digest']}")
        return found

    async def config(self, *, app: str = "app") -> Any:  # noqa: ANN401 -- JSON
        """The image's configuration."""
        manifest = await self.manifest(app=app)
        return await self.get(f"{app}/blobs/{manifest['config']['digest']}")

    async def cache_layers(self, tag: str) -> list[str]:
        """The media types of the layers of a cache in the registry, in the repository `cache`."""
        found = await self.get(f"cache/manifests/{tag}")
        if found is None:
            return []
        # As an index in the older form, or as an image.
        entries = found.get("layers") or [each for each in found["manifests"] if "cacheconfig" not in each["mediaType"]]
        return [each["mediaType"] for each in entries]
