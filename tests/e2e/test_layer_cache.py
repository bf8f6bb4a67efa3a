"""Layer caches in a registry, on real daemons: what one builder has written, another one need not do again."""

import secrets
from pathlib import Path

import httpx
import pytest

from orchestrator.events import AppWarning, CacheExported
from orchestrator.registry.manifest import DOCKER_MANIFEST
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_report import report
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

_DOCKERFILE = """\
FROM REGISTRY/library/debian:trixie-slim AS build
COPY manifest /
RUN cat manifest > /installed
COPY . /src
RUN cat /src/main > /built
FROM scratch
COPY --from=build /built /
"""
_INSTALL, _BUILD = "cat manifest", "cat /src/main"


@pytest.fixture
def source(lab: Lab, tmp_path: Path) -> Path:
    """Two apps that nobody has built."""
    for name in ("api", "web"):
        app = tmp_path / "source" / name
        app.mkdir(parents=True)
        (app / "manifest").write_text(secrets.token_hex(8))
        (app / "main").write_text(secrets.token_hex(8))
        (app / "Dockerfile").write_text(_DOCKERFILE.replace("REGISTRY", lab.registry))
    return tmp_path / "source"


async def _run(build: Start, source: Path, image: str, *words: str, host: str = "", **variables: str) -> Ran:
    async with build(source, "--force", *words, image=image, host=host, variables=variables) as running:
        ran = await running.end()
    assert (ran.code, ran.failed()) == (0, {}), ran.err
    return ran


def _cached(ran: Ran, app: str, part: str) -> bool:
    found = [step for name, step in ran.steps(app).items() if f"RUN {part}" in name]
    assert len(found) == 1
    return found[0].cached


def _exported(ran: Ran) -> dict[str, CacheExported]:
    return {event.app: event for event in ran.events if isinstance(event, CacheExported)}


async def _tags(lab: Lab, repository: str) -> set[str]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://{lab.registry}/v2/{repository}/tags/list")
    return set(answer.json().get("tags") or ())


async def test_another_builder_finds_all_steps_in_the_cache_that_the_first_one_wrote(
    lab: Lab, engine_containerd: Engine, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"layers-{secrets.token_hex(6)}"
    image, cache = f"{lab.registry}/{name}/{{app}}", f"{lab.registry}/{name}/cache"
    other = f"docker://{engine_containerd.socket}"

    first = await _run(build, source, image, CACHE_IMAGE=cache, CACHE_MODE="max")
    unread = (await report(source.parent))["cache_payoff"]
    second = await _run(build, source, image, host=other, CACHE_FROM=f"{cache}:cache-{{app}}")
    paid = (await report(source.parent))["cache_payoff"]
    (source / "api/main").write_text("changed")
    third = await _run(build, source, image, "api", host=other, CACHE_FROM=f"{cache}:cache-{{app}}")
    real_count.record("build", times=5)

    exports = _exported(first)
    assert {app: (each.ref, each.error, each.executed) for app, each in exports.items()} == {
        app: (f"{cache}:cache-{app}", None, 0) for app in ("api", "web")
    }
    assert await _tags(lab, f"{name}/cache") == {"cache-api", "cache-web"}
    for app in ("api", "web"):
        assert not _cached(first, app, _INSTALL)
        assert _cached(second, app, _INSTALL)
        assert _cached(second, app, _BUILD)
    assert {app: each.digest for app, each in second.completed().items()} == {
        app: each.digest for app, each in first.completed().items()
    }
    assert _exported(second) == {}
    assert (_cached(third, "api", _INSTALL), _cached(third, "api", _BUILD)) == (True, False)
    assert (unread["verdict"], unread["written"], unread["read"]) == ("unknown", 2, 0)
    assert (paid["written"], paid["read"], paid["unknown_steps"]) == (2, 2, 0)
    # Two instructions that run, two that copy, and the one that makes the image, of each app.
    assert paid["steps"] == 2 * 5
    assert paid["saved_seconds"] > 0


async def test_without_cache_nothing_is_read_and_a_cache_is_written_all_the_same(
    lab: Lab, engine_containerd: Engine, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"layers-{secrets.token_hex(6)}"
    image, cache = f"{lab.registry}/{name}/{{app}}", f"{lab.registry}/{name}/cache"
    await _run(build, source, image, CACHE_IMAGE=cache, CACHE_MODE="max")

    other = f"docker://{engine_containerd.socket}"
    ran = await _run(build, source, image, "--no-cache", "api", host=other, CACHE_IMAGE=cache, CACHE_MODE="max")
    real_count.record("build", times=3)

    assert not _cached(ran, "api", _INSTALL)
    assert [(each.error, each.executed) for each in _exported(ran).values()] == [(None, 0)]


async def test_a_branch_reads_the_cache_of_main_and_never_writes_it(
    lab: Lab, engine_containerd: Engine, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"layers-{secrets.token_hex(6)}"
    image, cache = f"{lab.registry}/{name}/{{app}}", f"{lab.registry}/{name}/cache"
    said = {"CACHE_IMAGE": cache, "CACHE_MODE": "max"}
    await _run(build, source, image, "api", **said, FLEETPACKS_TRUST_SCOPE="refs/heads/main")
    before = await _tags(lab, f"{name}/cache")

    other = f"docker://{engine_containerd.socket}"
    branch = await _run(
        build, source, image, "api", host=other, **said, FLEETPACKS_TRUST_SCOPE="refs/pull/7/merge,refs/heads/main"
    )
    real_count.record("build", times=2)

    assert len(before) == 1
    assert before.pop().startswith("cache-api-main-")
    assert _cached(branch, "api", _INSTALL)
    (ref,) = (each.ref for each in _exported(branch).values())
    assert ref.startswith(f"{cache}:cache-api-pull-7-merge-")


async def test_a_cache_that_cannot_be_written_is_no_failure_and_is_said(
    lab: Lab, build: Start, source: Path, real_count: RealCount
) -> None:
    image = f"{lab.registry}/layers-{secrets.token_hex(6)}/{{app}}"

    after = await _run(build, source, image, "api", CACHE_IMAGE="127.0.0.1:9/cache")
    (source / "fleetpacks.toml").write_text('[cache]\nexport = "with"\n')
    together = await _run(build, source, image, "web", CACHE_IMAGE="127.0.0.1:9/cache")
    real_count.record("build", times=2)

    (export,) = _exported(after).values()
    assert export.error is not None
    assert "127.0.0.1:9" in export.error
    assert _exported(together) == {}


async def test_an_engine_with_a_graph_driver_keeps_the_cache_in_the_image(
    lab: Lab, engine_graph: Engine, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"layers-{secrets.token_hex(6)}"
    image, cache = f"{lab.registry}/{name}/{{app}}", f"{lab.registry}/{name}/cache"

    ran = await _run(build, source, image, "api", host=f"docker://{engine_graph.socket}", CACHE_IMAGE=cache)
    real_count.record("build")

    assert any("inline" in event.message for event in ran.events if isinstance(event, AppWarning))
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{lab.registry}/v2/{name}/api/") as http:
        manifest = (await http.get("manifests/latest", headers={"Accept": DOCKER_MANIFEST})).json()
        config = (await http.get(f"blobs/{manifest['config']['digest']}")).json()
    # Where BuildKit looks for it (cache/remotecache/inline/inline.go, v0.30.0).
    assert config["moby.buildkit.cache.v0"]
    assert await _tags(lab, f"{name}/cache") == set()
