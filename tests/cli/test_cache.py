"""`fleetpacks cache` against real builders. What is pruned there is a test's own."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.buildkit import Client
from remote.address import parse
from remote.connect import dialer
from tests.buildkit.real import Watched, private_daemon, request
from tests.conftest import RealCount
from tests.docker.real import private_engine
from tests.lab import Lab

Run = Callable[..., Any]
Start = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("age", ["", "168", "1w", "-1h", "1.5h", "h", "1h30m", "१h"])
def test_an_age_that_is_none_is_a_usage_error(run: Run, age: str) -> None:
    ran = run("cache", "prune", "--older-than", age)

    assert ran.code == 2
    assert "expected a number and one of s, m, h, d" in ran.err


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


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_buildkitds_cache_is_listed_and_pruned(
    start: Start, lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_daemon(lab, tmp_path_factory.mktemp("d")) as (_, socket):
        await look_prune_look(start, f"unix://{socket}")
    real_count.record("build")


@pytest.mark.real
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
