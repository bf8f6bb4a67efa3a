"""Every language and package manager: built, started, answering, and what a change costs; on the real daemon.

One app is built four times: at first, unchanged, with a changed source, with a changed lockfile. An app of a workspace
has its source changed in a package that it depends on, and is unchanged where another member was; a second app of the
workspace finds the installation made. The flags are
BuildKit's own; beside them stand the image, which must be the same where nothing is said to have run, and the daemon's
count of how often the app's package caches were mounted, which only a step that ran can raise. The image of the last
build is started: it came out of every cache there is.

`FLEETPACKS_FULL=1` builds all cases, and keeps what was seen for the documents; else those of the tier `run` are built,
and the dear ones of them are not installed, or not built, a second time.
"""

import datetime as dt
import fcntl
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import msgspec
import pytest

from orchestrator.bench.result import machine
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.pull import resolve
from tests.buildkit.real import client, request
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start, need_bases
from tests.e2e.languages import Answered, Case, Real, appended, cases, record
from tests.e2e.test_dropin import config_of
from tests.lab import Lab
from tests.lab.container import started
from tests.tiers import FULL

_REAL = [case for case in cases() if case.real is not None and (FULL or case.real.tier == "run")]
_LAB_HAS = "debian:trixie-slim"


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One of an app's builds."""

    ran: Ran
    mounted: int
    """How often it mounted the app's package caches."""
    seconds: float


class Bench:
    """An app's copy, which is changed and built."""

    def __init__(self, lab: Lab, build: Start, case: Case, folder: Path) -> None:
        assert case.real is not None
        self.real = case.real
        self.source = folder / case.name
        # An app of a workspace is named after its directory in that, any other after its case.
        alone = case.real.app == "."
        self.root, self.path = (folder, case.name) if alone else (self.source, case.real.app)
        self.place = f"{lab.registry}/languages/{'' if alone else f'{case.name}/'}{{app}}"
        self.image = f"{self.place.format(app=self.name)}:latest"
        self._lab, self._build = lab, build
        # Ends with what no name of a case holds, so that none is another's beginning.
        self._key = f"case.{case.name}."
        self._counts: dict[str, int] = {}
        shutil.copytree(case.source, self.source, symlinks=True)

    @property
    def name(self) -> str:
        """The app's."""
        return self.path.rpartition("/")[2]

    def change_source(self) -> None:
        _append(self.source / self.real.source, self.real.append_source)

    def change_other(self) -> None:
        assert self.real.other is not None
        _append(self.source / self.real.other, self.real.append_source)

    def change_lockfile(self) -> None:
        assert self.real.lockfile is not None
        _append(self.source / self.real.lockfile, self.real.append_lockfile)

    async def built(self, path: str | None = None) -> Built:
        """Build the app, or another one of its workspace."""
        before, begun = await self._mounts(), time.monotonic()
        variables = {"CACHE_KEY": self._key}
        async with self._build(self.root, path or self.path, image=self.place, variables=variables) as running:
            ran = await running.end()
        assert ran.code == 0, [*ran.failed().values(), ran.err]
        seconds = time.monotonic() - begun
        after = await self._mounts()
        mounted = sum(count - before.get(mount, 0) for mount, count in after.items())
        return Built(ran=ran, mounted=mounted, seconds=seconds)

    def cached(self, built: Built, part: str | None) -> bool | None:
        """Whether the one step whose name holds this was cached."""
        if part is None:
            return None
        (app,) = built.ran.completed()
        steps = built.ran.steps(app)
        found = [step for name, step in steps.items() if part in name]
        assert len(found) == 1, f"expected one step with {part!r} among {sorted(steps)}"
        return found[0].cached

    def table(self, built: Built) -> tuple[bool | None, bool | None]:
        """Whether installation and build were cached."""
        return self.cached(built, self.real.install), self.cached(built, self.real.build)

    def digest(self, built: Built) -> str | None:
        return built.ran.completed()[self.name].digest

    async def pushed(self, built: Built, before: Built) -> int:
        """Bytes of the layers of an image that another one does not have."""
        known = await self._layers(before)
        return sum(size for digest, size in (await self._layers(built)).items() if digest not in known)

    async def _layers(self, built: Built) -> Mapping[str, int]:
        """An image's layers, compressed as they are in the registry."""
        at = reference.parse(self.image)
        insecure = {at.host: Registry(host=at.host, insecure=True)}
        digest = self.digest(built)
        assert digest is not None
        async with RegistryClient(Credentials(None), insecure) as asking:
            image = await resolve(asking, at.with_digest(digest))
        return {layer.digest: layer.size for layer in image.layers}

    async def _mounts(self) -> Mapping[str, int]:
        """How often each of the app's package caches was mounted.

        The daemon hides a cache while anybody has it measured, and collects it when it needs the space. No count falls,
        so what was seen of it stays; and the first look has measured what the second one counts.
        """
        async with client(self._lab.buildkitd) as builder:
            for _ in range(2):
                records = await builder.disk_usage(filters=[f'type==exec.cachemount,description~="id ./*{self._key}"'])
                self._counts |= {each.id: max(each.usage_count, self._counts.get(each.id, 0)) for each in records}
        return dict(self._counts)


@pytest.fixture
async def bench(lab: Lab, build: Start, case: Case, tmp_path: Path) -> AsyncGenerator[Bench]:
    """The app, alone on this lab, where mounts are counted; a case whose base images were not made is skipped."""
    await need_bases(lab, case)
    locks = lab.state / "tmp" / "cases"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / case.name).open("w") as lock:
        await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_EX)
        yield Bench(lab, build, case, tmp_path / "source")


@pytest.mark.real
@pytest.mark.parametrize("case", _REAL, ids=lambda case: case.name)
async def test_an_app_answers_and_a_change_runs_what_depends_on_it_and_nothing_else(
    lab: Lab, bench: Bench, real_count: RealCount, case: Case
) -> None:
    real = bench.real
    installs = real.install is not None

    bench.change_source()
    if installs:
        bench.change_lockfile()
    first = await bench.built()
    sibling = await bench.built(real.sibling) if real.sibling else None
    if real.other:
        bench.change_other()
    again = await bench.built()
    builds = {"first": first, "again": again}
    if FULL or real.dear != "source":
        bench.change_source()
        builds["source"] = await bench.built()
    if installs and (FULL or real.dear is None):
        bench.change_lockfile()
        builds["lockfile"] = await bench.built()
    real_count.record("build", times=len(builds) + (sibling is not None))
    begun = time.monotonic()
    async with (
        started(lab, bench.image, path=real.path, env=real.env) as container,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        real_count.record("start")
        answer = await http.get(container.url + real.path)
        real_count.record("answer")
        health = await http.get(container.url + real.health) if real.health else answer
        await _assert_kept(http, container.url, real, answer)
    seconds = {**{name: each.seconds for name, each in builds.items()}, "answer": time.monotonic() - begun}

    ran, cached = (False, True) if installs else (None, None)
    assert bench.table(first) == (ran, False)
    if sibling is not None:
        assert bench.cached(sibling, real.install) is True
    assert bench.table(again) == (cached, True)
    assert [event.steps - event.cached for event in again.ran.completed().values()] == [0]
    assert bench.digest(again) == bench.digest(first)
    assert again.mounted == 0
    if after_source := builds.get("source"):
        assert bench.table(after_source) == (cached, False)
        # What ran left a trace: it mounted a cache, or there is another image.
        assert after_source.mounted or bench.digest(after_source) != bench.digest(first)
    if after_source and real.pushes is not None:
        assert await bench.pushed(after_source, first) <= real.pushes
    if after_source and "lockfile" in builds:
        assert bench.table(builds["lockfile"]) == (False, False)
        # All that runs after a change of source runs after one of the lockfile, and the installation besides.
        # A mount that two steps have at the same time counts once: what prunes runs beside the packages' builds.
        assert builds["lockfile"].mounted + (real.app != ".") > after_source.mounted
    assert container.uid == 1000
    assert (answer.status_code, health.status_code) == (httpx.codes.OK, httpx.codes.OK)
    assert real.answered(answer.text)
    check = (await config_of(lab, bench.image))["config"].get("Healthcheck", {}).get("Test", ["NONE", None, None])
    assert (check[0], check[-2]) == ("CMD" if case.plan.healthcheck else "NONE", case.plan.healthcheck)
    if FULL:
        await _keep(case, seconds)


@pytest.mark.real
async def test_buildkit_reads_every_example_and_warns_of_no_dockerfile_of_ours(lab: Lab) -> None:
    said: dict[str, object] = {}

    async with client(lab.buildkitd) as builder:
        for case in cases():
            # Its frontend asks for the settings of base images: those that cannot be had here stand in no registry.
            contexts = {f"context:{name}": f"docker-image://{_LAB_HAS}" for name in case.bases()}
            asked = request(case.dockerfile, context={})
            asked = msgspec.structs.replace(asked, attrs={**asked.attrs, **contexts})
            lint = await builder.lint(asked)
            outline = await builder.outline(asked)
            targets = (await builder.targets(asked)).targets
            if lint.build_error or (case.generated and lint.warnings):
                said[case.name] = lint.build_error or lint.warnings
            if case.generated and (outline.name, targets[-1].name) != ("runtime", "runtime"):
                said[case.name] = (outline, targets)

    assert said == {}


async def _assert_kept(http: httpx.AsyncClient, url: str, real: Real, page: httpx.Response) -> None:
    """What a page loads is sent small, and a browser keeps it where its name changes with it; never the page."""
    if real.hashed is None:
        return
    found = await http.get(url + real.kept(page.text), headers={"Accept-Encoding": "gzip"})
    said = tuple(found.headers.get(name) for name in ("Cache-Control", "Content-Encoding"))
    assert (found.status_code, said) == (httpx.codes.OK, ("public, max-age=31536000, immutable", "gzip"))
    assert page.headers["Cache-Control"] == "no-cache"


def _append(file: Path, text: str | None) -> None:
    appended(file, text, secrets.token_hex(6))


async def _keep(case: Case, seconds: dict[str, float]) -> None:
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"], cwd=Path(__file__).parent)
    seen = Answered(
        dockerfile=case.digest,
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )
    record(case, seen)
