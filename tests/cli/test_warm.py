"""`fleetpacks cache warm`: what builds stand on is on the builder's disk before they begin, on every kind of it."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.throttled import throttled
from orchestrator.buildkit import Client, StatusUpdate
from remote.address import EngineAddress, UnixAddress, parse
from remote.connect import dialer
from tests.buildkit.real import Watched, client, private_daemon, push_to, request
from tests.conftest import RealCount
from tests.docker import real as docker
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

Start = Callable[..., Awaitable[Any]]

_BALLAST = 2_000_000
"""Bytes of a base image that do not compress."""


@pytest.fixture(params=["graph", "containerd"])
def lab_engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"engine_{request.param}")
    return engine


class Transfers(Watched):
    """The bytes that a build's steps say they move, but for our own Dockerfile's."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[tuple[str, str], int] = {}

    async def __call__(self, update: StatusUpdate) -> None:
        await super().__call__(update)
        self._counts |= {(each.vertex, each.id): max(each.current, each.total) for each in update.statuses}

    @property
    def of_images(self) -> int:
        return sum(
            count
            for (vertex, _), count in self._counts.items()
            if not self.vertexes[vertex].name.startswith("[internal] ")
        )


async def published(lab: Lab) -> str:
    """A new base image that nobody has seen."""
    name = f"warm-{secrets.token_hex(6)}"
    build = request(
        "FROM scratch\nCOPY a /a\n",
        context={"a": secrets.token_bytes(_BALLAST)},
        exporter=push_to(lab.registry, name),
    )
    async with client(lab.buildkitd) as builder:
        return f"{lab.registry}/{name}@{(await builder.solve(build, on_status=Watched())).digest}"


def monorepo(root: Path, **dockerfiles: str) -> Path:
    for app, text in dockerfiles.items():
        (root / app).mkdir(parents=True)
        (root / app / "Dockerfile").write_text(text)
    return root


async def transferred(host: str, base: str) -> int:
    """What a build moves that needs every file of the base."""
    dial = await dialer(parse(host))
    heard = Transfers()
    async with Client(dial, address=host) as builder:
        text = f"FROM {base}\nCOPY b /{secrets.token_hex(4)}\n"
        await builder.solve(request(text, context={"b": b""}), on_status=heard)
    # Else the sum below is one over nothing.
    assert heard.step(f"FROM {base}").completed is not None
    return heard.of_images


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_warm_is_not_pulled_again_and_one_missing_image_stops_no_other(
    start: Start, lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    shared, other, cold = [await published(lab) for _ in range(3)]
    missing = f"{lab.registry}/there-is-none-{secrets.token_hex(4)}:1"
    root = monorepo(
        tmp_path / "repo",
        one=f"FROM {shared} AS a\nFROM scratch\nCOPY --from=a /a /a\n",
        two=f"ARG BASE={shared}\nFROM $BASE\nCOPY --from={other} /a /b\n",
        three=f"FROM {missing}\n",
    )

    async with private_daemon(lab, tmp_path_factory.mktemp("d")) as (_, socket):
        host = f"unix://{socket}"
        first = await start("cache", "warm", "-C", str(root), "--host", host, "--json")
        again = await start("cache", "warm", "-C", str(root), "--host", host, "one", "two")
        moved = {base: await transferred(host, base) for base in (shared, other, cold)}
    real_count.record("build")

    told = json.loads(first.out)
    assert (first.code, again.code) == (1, 0), first.err + again.err
    assert (told["format"], told["builder"]) == (1, host)
    images = {image["name"]: image for image in told["images"]}
    assert set(images) == {shared, other, missing}
    assert {name: sorted(image["apps"]) for name, image in images.items()} == {
        shared: ["one", "two"],
        other: ["two"],
        missing: ["three"],
    }
    assert all(images[name]["size"] >= _BALLAST and images[name]["error"] is None for name in (shared, other))
    assert missing in images[missing]["error"]
    assert f"error: {missing}: " in first.err
    assert sorted(again.out.splitlines()[:-1]) == sorted(f"{name}: was there" for name in (shared, other))
    assert again.out.splitlines()[-1] == f"{host}: 2 of 2 base images are there, 0 B pulled"
    assert moved[shared] == moved[other] == 0
    # A build that needs what is not there says so: the sums above can be something else than 0.
    assert moved[cold] >= _BALLAST


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_how_far_an_image_is_that_comes_slowly_is_told(
    start: Start, lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    name = (await published(lab)).partition("/")[2]

    async with throttled(lab.registry, rate=_BALLAST / 3) as through:
        base = f"{through.address}/{name}"
        root = monorepo(tmp_path / "repo", one=f"FROM {base}\n")
        plain = f'[registry."{through.address}"]\nhttp = true\n'
        async with private_daemon(lab, tmp_path_factory.mktemp("d"), config=plain) as (_, socket):
            ran = await start("cache", "warm", "-C", str(root), "--host", f"unix://{socket}")
    real_count.record("build")

    assert ran.code == 0, ran.err
    assert re.search(r": \d\S* [kM]B of 2\.0 MB\n", ran.err)
    assert through.blobs.total() >= _BALLAST


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_engine_is_warmed_in_its_own_way(
    start: Start, lab: Lab, lab_engine: Engine, tmp_path: Path, real_count: RealCount
) -> None:
    warm, cold = [await published(lab) for _ in range(2)]
    root = monorepo(tmp_path / "repo", one=f"FROM {warm}\n", two=f"FROM {warm}\nCMD x\n")
    host = str(EngineAddress(at=UnixAddress(path=str(lab_engine.socket))))

    first = await start("cache", "warm", "-C", str(root), "--host", host)
    moved = {base: await transferred(host, base) for base in (warm, cold)}
    if lab_engine.kind == "graph":
        async with docker.client(lab_engine.socket) as opened:
            await docker.remove(opened, warm)
    real_count.record("build")

    assert first.code == 0, first.err
    assert first.out.startswith(f"{warm}: 2.0 MB in ")
    assert first.out.splitlines()[-1] == f"{host}: 1 of 1 base images are there, 2.0 MB pulled"
    assert moved[warm] == 0
    assert moved[cold] >= _BALLAST
