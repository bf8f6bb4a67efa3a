"""`fleetpacks cache` against real builders. What is pruned there is a test's own."""

import json
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.buildkit import Client
from orchestrator.cache.mounts import Store
from remote.address import parse
from remote.connect import dialer
from tests.buildkit.real import Watched, private_daemon, request
from tests.cache.test_mounts import write
from tests.conftest import RealCount
from tests.docker import real as docker
from tests.docker.real import private_engine
from tests.lab import Lab

Run = Callable[..., Any]
Start = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("age", ["", "168", "1w", "-1h", "1.5h", "h", "1h30m", "१h"])
def test_an_age_that_is_none_is_a_usage_error(run: Run, age: str) -> None:
    ran = run("cache", "prune", "--older-than", age)

    assert ran.code == 2
    assert "expected a number and one of s, m, h, d" in ran.err


@pytest.mark.parametrize("size", ["", "20", "20XB", "-1GB", "1.5GB", "GB", "१GB"])
def test_a_size_that_is_none_is_a_usage_error(run: Run, size: str) -> None:
    ran = run("cache", "prune", "--keep", size)

    assert ran.code == 2
    assert "expected a number and one of B, kB, MB, GB, TB" in ran.err


@pytest.mark.parametrize("words", [("ls",), ("prune",)])
def test_a_builder_that_is_not_there_is_said_to_be(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    for scheme in ("unix", "docker"):
        ran = run("cache", *words, "--host", f"{scheme}://{tmp_path}/none")

        assert ran.code == 75
        assert ran.err.startswith(f"error: {scheme}://{tmp_path}/none: ")
        assert "hint: " in ran.err


async def build(host: str) -> None:
    dial = await dialer(parse(host))
    async with Client(dial, address=host) as client:
        await client.solve(request("FROM scratch\nCOPY a /b\n", context={"a": b"x" * 100_000}), on_status=Watched())


async def look_prune_look(start: Start, host: str) -> None:
    """Build, list, prune what is old, prune all, and list again."""
    await build(host)

    shown = await start("cache", "ls", "--host", host)
    told = await start("cache", "ls", "--host", host, "--json")
    spared = await start("cache", "prune", "--host", host)
    pruned = await start("cache", "prune", "--host", host, "--older-than", "0s", "--json")
    left = await start("cache", "ls", "--host", host, "--json")

    usage, gone, after = (json.loads(ran.out) for ran in (told, pruned, left))
    assert [ran.code for ran in (shown, told, spared, pruned, left)] == [0, 0, 0, 0, 0]
    assert usage["format"] == 1
    assert usage["builder"] == host
    assert usage["size"] == sum(record["size"] for record in usage["records"]) >= 100_000
    assert [record["used"] for record in usage["records"]] == sorted(record["used"] for record in usage["records"])
    assert "local source for context" in shown.out
    assert f"{host}: " in shown.out
    assert f"of cache in {len(usage['records'])} parts" in shown.out
    assert spared.out == f"{host}: 0 B freed, 0 parts of the cache deleted\n"
    assert set(gone["records"]) == {record["id"] for record in usage["records"]}
    assert gone["reclaimed"] >= 100_000
    assert after["records"] == []


async def keep_some(start: Start, host: str) -> None:
    """Build twice, and keep what the second build used."""
    files = {name: {"a": secrets.token_bytes(2_000_000)} for name in ("first", "second")}

    async def copied(name: str) -> bool:
        """Build; whether there was nothing to do."""
        watched = Watched()
        async with Client(await dialer(parse(host)), address=host) as client:
            await client.solve(request(f"FROM scratch\nCOPY a /{name}\n", context=files[name]), on_status=watched)
        return watched.step("COPY").cached

    for name in files:
        assert not await copied(name)

    before = await start("cache", "ls", "--host", host, "--json")
    spared = await start("cache", "prune", "--host", host, "--keep", "1GB", "--older-than", "1h")
    pruned = await start("cache", "prune", "--host", host, "--keep", "5MB", "--json")
    after = await start("cache", "ls", "--host", host, "--json")
    found = [await copied(name) for name in ("second", "first")]
    none = await start("cache", "prune", "--host", host, "--keep", "0B")
    empty = await start("cache", "ls", "--host", host, "--json")

    had, gone, has = (json.loads(ran.out) for ran in (before, pruned, after))
    assert [ran.code for ran in (before, spared, pruned, after, none, empty)] == [0] * 6
    assert had["size"] >= 8_000_000
    assert spared.out == f"{host}: 0 B freed, 0 parts of the cache deleted\n"
    assert 4_000_000 <= has["size"] <= 5_000_000
    assert gone["reclaimed"] == had["size"] - has["size"]
    assert {record["id"] for record in had["records"]} - set(gone["records"]) == {each["id"] for each in has["records"]}
    # What goes is what was not used for longest.
    assert found == [True, False]
    assert json.loads(empty.out)["records"] == []


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_a_buildkitds_cache_no_more_is_kept_than_was_said(
    start: Start, lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_daemon(lab, tmp_path_factory.mktemp("d")) as (_, socket):
        await keep_some(start, f"unix://{socket}")
    real_count.record("build")


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_an_engines_cache_no_more_is_kept_than_was_said_and_all_means_images_with_names_too(
    start: Start, lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_engine(lab, tmp_path_factory.mktemp("e")) as (_, socket):
        host = f"docker://{socket}"
        await keep_some(start, host)
        async with docker.client(socket) as engine:
            await engine.load(docker.chunks(await docker.archive("kept:1")))
        spared = await start("cache", "prune", "--host", host, "--older-than", "0s", "--json")
        pruned = await start("cache", "prune", "--host", host, "--older-than", "0s", "--all", "--json")
    real_count.record("build")

    assert json.loads(spared.out)["images"] == []
    assert "kept:1" in json.loads(pruned.out)["images"]


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_caches_in_directories_are_pruned_too(
    start: Start, lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    caches, packages = tmp_path / "caches", tmp_path / "packages"
    operator = tmp_path / "home/.config/fleetpacks/config.toml"
    operator.parent.mkdir(parents=True)
    operator.write_text(f'[cache]\nlocal = "{caches}"\nmounts = "{packages}"\n')
    root = tmp_path / "repo"
    for app in ("one", "two"):
        (root / app).mkdir(parents=True)
        (root / app / "a").write_bytes(secrets.token_bytes(1_000_000))
        (root / app / "Dockerfile").write_text("FROM scratch\nCOPY a /a\n")

    async with private_daemon(lab, tmp_path_factory.mktemp("d")) as (_, socket):
        host = f"unix://{socket}"
        none = await start("cache", "prune", "--host", host)
        for app in ("one", "two"):
            built = await start("build", "-C", str(root), "--host", host, "--no-push", app)
            assert built.code == 0, built.err + built.out
        # The file's time is when its cache was used last.
        [current] = caches.glob("*one*/current")
        os.utime(current, (0, 0))
        unused, used = Store(packages, "npm", "main"), Store(packages, "pip", "main")
        write(unused, "a" * 100)
        write(used, *(f"{number}" * 200 for number in range(10)))
        os.utime(unused.path / "current", (0, 0))
        spared = await start("cache", "prune", "--host", host, "--keep", "1GB", "--json")
        old = await start("cache", "prune", "--host", host, "--older-than", "1h", "--json")
        much = await start("cache", "prune", "--host", host, "--keep", "1kB")
    real_count.record("build")

    assert none.out == f"{host}: 0 B freed, 0 parts of the cache deleted\n"
    assert json.loads(spared.out)["directory"] == {"path": str(caches), "reclaimed": 0, "caches": []}
    assert json.loads(spared.out)["packages"] == {"path": str(packages), "reclaimed": 0, "caches": []}
    told = json.loads(old.out)["directory"]
    assert (told["path"], told["caches"]) == (str(caches), [current.parent.name])
    assert told["reclaimed"] >= 1_000_000
    assert json.loads(old.out)["packages"] == {"path": str(packages), "reclaimed": 100, "caches": ["npm/main"]}
    layers, rest = much.out.splitlines()[-2:]
    assert layers.startswith(f"{caches}: 1.0 MB freed, 1 layer caches deleted")
    assert rest == (f"{packages}: 1 package caches deleted; 2.0 kB go from the disk when nobody can be reading them")
    assert (unused.source(), used.source()) == (None, None)
    assert list(caches.rglob("blobs")) == []


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_buildkitds_cache_is_listed_and_pruned(
    start: Start, lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_daemon(lab, tmp_path_factory.mktemp("d")) as (_, socket):
        await look_prune_look(start, f"unix://{socket}")
    real_count.record("build")


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_engines_cache_is_listed_and_pruned(
    start: Start, lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_engine(lab, tmp_path_factory.mktemp("e")) as (_, socket):
        host = f"docker://{socket}"
        await look_prune_look(start, host)
        shown = await start("cache", "ls", "--host", host)
    real_count.record("build")

    assert shown.out == f"{host}: 0 B of cache in 0 parts\n0 images: 0 B; containers: 0 B; volumes: 0 B\n"
