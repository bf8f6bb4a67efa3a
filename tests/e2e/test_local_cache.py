"""Layer caches in directories, on real daemons."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.events import AppCompleted, AppWarning, CacheExported, StepCompleted
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.lab import Engine, Lab
from tests.tiers import FULL

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


@pytest.fixture
def image(lab: Lab) -> str:
    return f"{lab.registry}/local-{secrets.token_hex(6)}/{{app}}"


@pytest.fixture
def other(engine_containerd: Engine) -> str:
    """Another builder, which has nothing of what the first one has."""
    return f"docker://{engine_containerd.socket}"


@pytest.fixture
def extra(tmp_path: Path) -> dict[str, str]:
    """What a runner says."""
    place = f"{tmp_path}/cache/${{CONTAINER_NAME}}"
    return {
        "CONTAINER_NAME": "shop",
        "CI_IMAGE_BUILD_EXTRA_ARGS": (
            f"--cache-from type=local,src={place} --cache-to type=local,dest={place},mode=max"
        ),
    }


async def _run(build: Start, source: Path, image: str, *words: str, host: str = "", **variables: str) -> Ran:
    async with build(source, "--force", *words, image=image, host=host, variables=variables) as running:
        ran = await running.end()
    assert (ran.code, ran.failed()) == (0, {}), ran.err
    return ran


def _cached(ran: Ran, app: str, part: str) -> bool:
    found = [step for name, step in ran.steps(app).items() if f"RUN {part}" in name]
    assert len(found) == 1
    return found[0].cached


def _exports(ran: Ran) -> dict[str, tuple[str | None, int]]:
    return {event.app: (event.error, event.executed) for event in ran.events if isinstance(event, CacheExported)}


def _warnings(ran: Ran) -> list[str]:
    return [event.message for event in ran.events if isinstance(event, AppWarning)]


def _stores(tmp_path: Path) -> Iterator[Path]:
    return (path.parent for path in tmp_path.glob("cache/shop/*/current"))


async def test_another_builder_finds_all_steps_in_the_directory_that_the_first_one_filled(
    build: Start, source: Path, image: str, *, other: str, extra: dict[str, str], tmp_path: Path, real_count: RealCount
) -> None:
    first = await _run(build, source, image, **extra)
    second = await _run(build, source, image, host=other, **extra)
    (source / "api/main").write_text("changed")
    third = await _run(build, source, image, "api", host=other, **extra)
    real_count.record("build", times=5)

    for ran in (first, second):
        assert _exports(ran) == {"api": (None, 0), "web": (None, 0)}
        assert _warnings(ran) == []
    for app in ("api", "web"):
        assert not _cached(first, app, _INSTALL)
        assert (_cached(second, app, _INSTALL), _cached(second, app, _BUILD)) == (True, True)
    assert (_cached(third, "api", _INSTALL), _cached(third, "api", _BUILD)) == (True, False)
    stores = list(_stores(tmp_path))
    assert len(stores) == 2
    for store in stores:
        assert len(list((store / "generations").iterdir())) == 1
        assert list((store / "readers").iterdir()) == []


async def test_a_damaged_cache_is_a_miss_and_the_build_that_meets_it_mends_it(
    build: Start, source: Path, image: str, *, other: str, extra: dict[str, str], tmp_path: Path, real_count: RealCount
) -> None:
    await _run(build, source, image, "api", **extra)
    (store,) = _stores(tmp_path)
    (index,) = store.glob("generations/*/index.json")
    index.write_bytes(b"{")
    for blob in store.glob("generations/*/blobs/sha256/*"):
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.write_bytes(bytes(blob.stat().st_size))

    (source / "api/main").write_text("changed")
    met = await _run(build, source, image, "api", host=other, **extra)
    real_count.record("build", times=2)

    assert any("damaged blob" in message for message in _warnings(met))
    assert f"{index} is damaged: the cache was used, but other tools cannot read it" in _warnings(met)
    assert _exports(met) == {"api": (None, 0)}


async def test_the_operator_names_the_directory_and_it_is_written_with_the_build(
    build: Start, source: Path, image: str, *, other: str, tmp_path: Path, real_count: RealCount
) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text(f'[cache]\nlocal = "{tmp_path}/cache/shop"\n')
    (source / "fleetpacks.toml").write_text('[cache]\nmode = "max"\nexport = "with"\n')

    first = await _run(build, source, image, FLEETPACKS_CONFIG=str(operator))
    second = await _run(build, source, image, host=other, FLEETPACKS_CONFIG=str(operator))
    real_count.record("build", times=4)

    assert _exports(first) == {}
    assert (_warnings(first), _warnings(second)) == ([], [])
    assert (_cached(second, "api", _INSTALL), _cached(second, "web", _BUILD)) == (True, True)
    assert len(list(_stores(tmp_path))) == 2


@pytest.mark.parametrize("export", ["with", "after"])
async def test_a_cache_without_room_is_no_failure_of_the_build(
    build: Start, source: Path, image: str, export: str, *, tmp_path: Path, real_count: RealCount
) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text(f'[cache]\nlocal = "{tmp_path}/cache/shop"\nlocal_size = "1kB"\n')
    (source / "fleetpacks.toml").write_text(f'[cache]\nexport = "{export}"\n')

    ran = await _run(build, source, image, "api", FLEETPACKS_CONFIG=str(operator))
    real_count.record("build")

    said = [error or "" for error, _ in _exports(ran).values()] if export == "after" else _warnings(ran)
    assert any("larger than 1000 bytes" in each for each in said), said
    assert list(_stores(tmp_path)) == []
    assert list((tmp_path / "cache/shop").glob("*/generations/*")) == []


_RUNNERS, _BUILDS_EACH = 4, 25 if FULL else 3


async def test_builds_that_replace_one_cache_at_the_same_time_never_fail_and_leave_one_generation(
    lab: Lab, build: Start, image: str, *, other: str, extra: dict[str, str], tmp_path: Path, real_count: RealCount
) -> None:
    manifest = secrets.token_hex(8)
    mains = [secrets.token_hex(8) for _ in range(3)]
    ran: list[Ran] = []

    async def runner(number: int) -> None:
        """One of several machines with a volume in common, each with a checkout of its own."""
        app = tmp_path / f"checkout-{number}/api"
        app.mkdir(parents=True)
        (app / "manifest").write_text(manifest)
        (app / "Dockerfile").write_text(_DOCKERFILE.replace("REGISTRY", lab.registry))
        for round_ in range(_BUILDS_EACH):
            (app / "main").write_text(mains[(number + round_) % len(mains)])
            host = other if (number + round_) % 2 else ""
            if number == 0 and round_ % 3 == 1:
                async with build(app.parent, "--force", image=image, host=host, variables=extra) as running:
                    await running.until(lambda event: isinstance(event, AppCompleted | StepCompleted))
                    # It reads its cache, or writes it.
                    running.process.kill()
                    await running.process.wait()
            ran.append(await _run(build, app.parent, image, host=host, **extra))

    async with anyio.create_task_group() as tasks:
        for number in range(_RUNNERS):
            tasks.start_soon(runner, number)
    last = await _run(build, tmp_path / "checkout-1", image, **extra)
    real_count.record("build", times=len(ran) + 1)

    # A builder may have made room meanwhile, so that a step ran again.
    # BuildKit writes a layer once for all that want it at a time: what ended with the killed client was written again.
    assert [_exports(each)["api"][0] for each in ran] == [None] * len(ran)
    assert [_warnings(each) for each in ran] == [[]] * _RUNNERS * _BUILDS_EACH
    assert _cached(last, "api", _INSTALL)
    (store,) = _stores(tmp_path)
    assert len(list((store / "generations").iterdir())) == 1
    assert list((store / "readers").iterdir()) == []
