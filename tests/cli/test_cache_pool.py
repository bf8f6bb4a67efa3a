"""`fleetpacks cache` over a pool: every builder is asked, all at once, and one that gives no answer stops no other."""

import json
import secrets
from pathlib import Path

import pytest

from orchestrator.buildkit import Client
from remote.address import parse
from remote.connect import dialer
from tests.buildkit.real import Watched, client, private_daemon, push_to, request
from tests.cli.conftest import Run, Start
from tests.conftest import RealCount
from tests.lab import Lab

_SIZE = 2_000_000


def test_of_builders_that_are_all_away_each_is_said_to_be(run: Run, tmp_path: Path) -> None:
    hosts = [f"unix://{tmp_path}/{name}" for name in ("one", "two")]

    for words in (("ls",), ("prune",)):
        ran = run("cache", *words, "--host", hosts[0], "--host", hosts[1])

        assert ran.code == 75
        said = ran.err.splitlines()[::2]
        assert [line.startswith(f"error: {host}: ") for host, line in zip(hosts, said, strict=True)] == [True, True]
        assert ran.out.splitlines()[-1].startswith("0 of 2 builders: 0 B ")


async def _publish(lab: Lab) -> str:
    """A new base image that nobody has seen."""
    name = f"warm-{secrets.token_hex(6)}"
    files = {"a": secrets.token_bytes(_SIZE)}
    image = request("FROM scratch\nCOPY a /a\n", context=files, exporter=push_to(lab.registry, name))
    async with client(lab.buildkitd) as builder:
        return f"{lab.registry}/{name}@{(await builder.solve(image, on_status=Watched())).digest}"


async def _build(host: str) -> None:
    async with Client(await dialer(parse(host)), address=host) as builder:
        files = {"a": secrets.token_bytes(_SIZE)}
        await builder.solve(request("FROM scratch\nCOPY a /b\n", context=files), on_status=Watched())


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_builder_of_a_pool_is_warmed_listed_and_pruned_whoever_else_is_away(
    start: Start, lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    base = await _publish(lab)
    (tmp_path / "repo/app").mkdir(parents=True)
    (tmp_path / "repo/app/Dockerfile").write_text(f"FROM {base}\n")
    away = f"unix://{tmp_path}/away"
    folders = [tmp_path_factory.mktemp("d") for _ in range(2)]

    async with private_daemon(lab, folders[0]) as (_, one), private_daemon(lab, folders[1]) as (_, two):
        hosts = [f"unix://{one}", f"unix://{two}"]
        pool = [word for host in (hosts[0], away, hosts[1]) for word in ("--host", host)]
        await _build(hosts[0])
        warmed = await start("cache", "warm", "-C", str(tmp_path / "repo"), *pool, "--json")
        again = await start("cache", "warm", "-C", str(tmp_path / "repo"), *pool)
        listed = await start("cache", "ls", *pool, "--json")
        pruned = await start("cache", "prune", *pool, "--older-than", "0s", "--json")
        after = await start("cache", "ls", *pool)
    real_count.record("build")

    assert [ran.code for ran in (warmed, again, listed, pruned, after)] == [75] * 5, [warmed.err, again.err]
    assert all(f"error: {away}: " in ran.err for ran in (warmed, again, after))
    told = {each["builder"]: each for each in json.loads(warmed.out)["hosts"]}
    assert [[image["name"] for image in told[host]["images"]] for host in hosts] == [[base], [base]]
    assert all(told[host]["images"][0]["size"] >= _SIZE for host in hosts)
    assert told[away]["transient"]
    assert sorted(again.out.splitlines()) == sorted(
        line
        for host in hosts
        for line in (f"{host}: {base}: was there", f"{host}: 1 of 1 base images are there, 0 B pulled")
    )
    document = json.loads(listed.out)
    first, gone, second = document["hosts"]
    assert [each["builder"] for each in document["hosts"]] == [hosts[0], away, hosts[1]]
    assert (gone["error"].startswith(f"{away}: "), gone["hint"] != "") == (True, True)
    assert document["size"] == first["size"] + second["size"]
    # What one has built is its own.
    assert first["size"] - second["size"] >= _SIZE
    freed = json.loads(pruned.out)
    assert [
        set(each.get("records", ())) >= {part["id"] for part in of["records"]}
        for each, of in zip(freed["hosts"][::2], (first, second), strict=True)
    ] == [True, True]
    assert freed["reclaimed"] == sum(each.get("reclaimed", 0) for each in freed["hosts"]) >= document["size"]
    assert after.out.splitlines() == [
        *(f"{host}: 0 B of cache in 0 parts" for host in hosts),
        "2 of 3 builders: 0 B of cache",
    ]
