"""A run that is killed at any moment: the next one is right, does only what is missing, and leaves nothing of both.

A monorepo that nobody has built is built, and the process dies of SIGKILL: at a random one of its events, or before
the first. Then the daemon must be rid of its builds and no file be half-written; and the next run must skip what was
published, find executed steps cached, sweep what was left, and publish and write what a calm run does.
"""

import random
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from orchestrator.events import Event, StepCompleted
from orchestrator.report import record, runs
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Running, Start, exit_code_of
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_KILLS = 50 if FULL else 3
_SOON = 60
_APPS = tuple(f"app{number}" for number in range(6))
_OLD = b'{"old": true}\n'
_FILES = 40
_DOCKERFILE = """\
FROM debian:trixie-slim AS build
COPY manifest /
RUN mkdir /made && cat /manifest >/made/manifest && for i in $(seq FILES); do cat /manifest >/made/$i; done
COPY main /src/
RUN sleep 0.2; cat /manifest /src/main >/made/main
FROM scratch
COPY --from=build /made /made
""".replace("FILES", str(_FILES))


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What a killed run was about."""

    folder: Path
    lab: Lab
    mark: str
    """Nobody else's: in every app's content, in the names of its images, and in what the daemon knows of its builds."""
    writes: bool
    """Whether trees are written, for which everything is built."""
    over: bool
    """Whether trees are there before."""
    caches: bool
    """Whether layer caches are exported."""

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def result(self) -> Path:
        return self.folder / "result/result.json"

    def words(self) -> tuple[str, ...]:
        tree = ("--push", "-o", f"type=local,dest={self.out}/{{app}}") if self.writes else ()
        return ("--jobs", "4", "--result-file", str(self.result), *tree)

    def image(self, run: str) -> str:
        return f"{self.lab.registry}/killed-{self.mark}/{run}/{{app}}"

    def variables(self) -> Mapping[str, str]:
        cache = {"CACHE_IMAGE": f"{self.lab.registry}/killed-{self.mark}/cache/{{app}}"} if self.caches else {}
        return {"REGISTRY_MIRROR": self.lab.registry, **cache}

    def tree(self, app: str) -> dict[str, str]:
        """What an app's tree holds in the end."""
        manifest, main = (self.source / app / "manifest").read_text(), (self.source / app / "main").read_text()
        made = {f"made/{number}": manifest for number in range(1, _FILES + 1)}
        old = {"kept": "old"} if self.over else {}
        return {**made, "made/manifest": manifest, "made/main": manifest + main, **old}

    def begin(self) -> None:
        for app in _APPS:
            directory = self.source / app
            directory.mkdir(parents=True)
            (directory / "Dockerfile").write_text(_DOCKERFILE)
            (directory / "manifest").write_text(f"manifest of {app} {self.mark}\n" * 500)
            (directory / "main").write_text(f"main of {app} {self.mark}\n")
            # What the daemon says of a build holds its arguments.
            (directory / "fleetpacks.toml").write_text(f'env = {{ MARK = "{self.mark}" }}\n')
            if self.over:
                (self.out / app / "made").mkdir(parents=True)
                (self.out / app / "kept").write_text("old")
                (self.out / app / "made/main").write_text("old")
        self.result.parent.mkdir()
        self.result.write_bytes(_OLD)

    def check_nothing_half_written(self) -> None:
        """Right after the kill: every file is the old one or the new one, and a new tree is there as a whole."""
        said = self.result.read_bytes()
        assert said == _OLD or len(msgspec.json.decode(said)["apps"]) == len(_APPS)
        for app in _APPS if self.writes else ():
            tree, whole = _files(self.out / app), self.tree(app)
            if not self.over:
                assert tree in ({}, whole), app
            # Where a tree was, it is filled file by file.
            assert all(text in {whole.get(name), "old"} for name, text in tree.items() if not _is_ours(name)), app

    def check_the_record(self) -> None:
        """Right after the kill: what happened until then can be read."""
        newest = runs.newest_first(self.folder.parent / "home/.local/state/fleetpacks/runs")[0]
        header = record.read(newest / record.FILE).header
        assert header.source == str(self.source)
        assert {app.name for app in header.apps} == set(_APPS)

    def check_all_is_written(self) -> None:
        """After the next run: what a calm run leaves, and nothing else."""
        assert msgspec.json.decode(self.result.read_bytes())["status"] == "success"
        for app in _APPS if self.writes else ():
            assert _files(self.out / app) == self.tree(app)
        assert {path.name for path in self.out.glob("*")} == (set(_APPS) if self.writes else set())
        assert [path.name for path in self.result.parent.iterdir()] == [self.result.name]


def _files(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def _is_ours(name: str) -> bool:
    return any(part.startswith(".fleetpacks-") for part in Path(name).parts)


def _left(folder: Path) -> list[str]:
    """What was to be swept, wherever it lies; and anything else that is hidden, but for the usual directories."""
    hidden = [path for path in folder.rglob(".*") if path.name not in {".cache", ".local"}]
    return [str(path.relative_to(folder)) for path in (*hidden, *(folder / "temporary").iterdir())]


def _executed(ran: Running) -> dict[str, set[str]]:
    """The steps that were done when the run was killed, by app."""
    done: dict[str, set[str]] = {}
    for event in ran.events:
        if isinstance(event, StepCompleted) and event.error is None and "RUN " in event.name:
            done.setdefault(event.app, set()).add(event.name)
    return done


async def _tags(lab: Lab, image: str) -> dict[str, set[str]]:
    """The tags of every app's image."""
    found: dict[str, set[str]] = {}
    async with httpx.AsyncClient(trust_env=False) as http:
        for app in _APPS:
            repository = image.replace("{app}", app).partition("/")[2]
            answer = await http.get(f"http://{lab.registry}/v2/{repository}/tags/list")
            found[app] = set(answer.json()["tags"] or ()) if answer.is_success else set()
    return found


async def _digests(lab: Lab, image: str) -> dict[str, dict[str, str]]:
    """What every tag but a record's leads to, by app."""
    found: dict[str, dict[str, str]] = {}
    accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
    async with httpx.AsyncClient(trust_env=False) as http:
        for app, tags in (await _tags(lab, image)).items():
            repository = image.replace("{app}", app).partition("/")[2]
            for tag in tags:
                answer = await http.head(f"http://{lab.registry}/v2/{repository}/manifests/{tag}", headers=accept)
                answer.raise_for_status()
                name = "record" if tag.startswith("fp-") else tag
                found.setdefault(app, {})[name] = answer.headers["Docker-Content-Digest"]
    return found


async def _until_no_build_is_active(lab: Lab, mark: str) -> None:
    async with client(lab.buildkitd) as daemon:
        with anyio.fail_after(_SOON):
            while any(mark in str(build) for build in await daemon.history(active=True)):  # noqa: ASYNC110 -- as below
                # The daemon is asked: nobody is left whom it could tell.
                await anyio.sleep(0.1)


async def _kill(running: Running, *, after: int | None, seconds: float) -> bool:
    """Kill it after so many events, or after some seconds. False: it had ended before."""
    process, count = running.process, 0

    def wanted(_event: Event) -> bool:
        nonlocal count
        count += 1
        return count >= (after or 0)

    with suppress(anyio.EndOfStream):
        if after is None:
            # The moment is what is tried out: nothing tells of any before the first event.
            await anyio.sleep(seconds)
        else:
            await running.until(wanted)
    with suppress(ProcessLookupError):
        process.kill()
    return await process.wait() == -signal.SIGKILL


def _grows(out: Path) -> bool:
    return any(_is_ours(path.name) for path in (*out.glob(".*"), *out.glob("*/.*")))


async def _kill_growing(running: Running, out: Path) -> bool:
    """Kill it while a tree is on its way. False: it had ended before."""
    process = running.process

    async def watch() -> None:
        while process.returncode is None and not _grows(out):  # noqa: ASYNC110 -- nobody tells of it
            await anyio.sleep(0.002)
        with suppress(ProcessLookupError):
            process.kill()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        with suppress(anyio.EndOfStream):
            await running.until(lambda _: False)
    return await process.wait() == -signal.SIGKILL


async def test_after_a_kill_the_next_run_is_right_and_nothing_is_left(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    seed = secrets.randbelow(10**9)
    chance = random.Random(seed)  # noqa: S311 -- no secret is made of it
    # What was tried is shown when a check fails.
    tell = partial(print, f"seed {seed}:")
    lengths: dict[tuple[bool, bool], int] = {}
    kills = number = 0

    async def run(each: Round, *, to: str) -> Ran:
        async with build(each.source, *each.words(), image=each.image(to), variables=each.variables()) as it:
            ran = await it.end()
        assert (ran.code, ran.failed(), exit_code_of(ran)) == (0, {}, 0), ran.err
        real_count.record("build", times=sum(not event.skipped for event in ran.completed().values()))
        return ran

    while kills < _KILLS:
        number += 1
        writes, caches = number % 2 == 0, number % 3 == 0
        each = Round(
            folder=tmp_path,
            lab=lab,
            mark=secrets.token_hex(8),
            writes=writes,
            over=writes and number % 4 == 0,
            caches=caches,
        )
        each = msgspec.structs.replace(each, folder=_folder(tmp_path, number))
        each.begin()
        length = lengths.get((writes, caches), 200)
        after = None if chance.random() < 1 / 6 else chance.randint(1, length)
        seconds = chance.uniform(0, 1.5)
        # A tree grows in a short moment, which would seldom be hit.
        growing = writes and chance.random() < 1 / 2
        moment = "a growing tree" if growing else f"event {after} of {length}" if after else f"{seconds:.2f} s"
        tell(f"round {number}: {moment}, {writes=} over={each.over} {caches=}")

        async with build(each.source, *each.words(), image=each.image("x"), variables=each.variables()) as running:
            killed = await (
                _kill_growing(running, each.out) if growing else _kill(running, after=after, seconds=seconds)
            )
        lengths[writes, caches] = max(len(running.events), length if killed else 0)
        kills += killed
        await _until_no_build_is_active(lab, each.mark)
        each.check_nothing_half_written()
        if running.events:
            each.check_the_record()
        swept = _left(tmp_path)
        published = {
            app for app, tags in (await _tags(lab, each.image("x"))).items() if any(tag[:3] == "fp-" for tag in tags)
        }
        again = await run(each, to="x")
        left = _left(tmp_path)

        done = _executed(running)
        tell(f"{killed=} left={len(swept)} published={len(published)} executed={sum(map(len, done.values()))}")
        assert left == []
        each.check_all_is_written()
        skipped = {name for name, event in again.completed().items() if event.skipped}
        assert skipped == (set() if writes else published)
        for app in set(done) - skipped:
            steps = again.steps(app)
            assert {name for name in done[app] if not steps[name].cached} == set(), app
        calm = await run(each, to="calm")
        assert set(again.completed()) == set(calm.completed()) == set(_APPS)
        assert await _digests(lab, each.image("x")) == await _digests(lab, each.image("calm"))


def _folder(parent: Path, number: int) -> Path:
    folder = parent / f"round-{number}"
    folder.mkdir()
    return folder
