"""In which order `cache warm` pulls: what registries tell of sizes, and what becomes of that."""

import json

import anyio
import anyio.abc
import pytest

from orchestrator.app import sizing
from orchestrator.app.sizing import Wanted, largest_first, sizes
from orchestrator.plan.bases import Base
from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST
from orchestrator.registry.mirrors import Mirrors
from tests.registry.server import Server, running
from tests.registry.test_connections import listening
from tests.registry.test_pull import client

_OWN = "linux/amd64"


def base(name: str, *platforms: str) -> Base:
    return Base(name=name, platforms=platforms, apps=("a",))


def manifest(server: Server, tag: str, **layers: int) -> str:
    """An image with layers of these sizes, by what they hold."""
    described = [{"mediaType": "x/y", "digest": f"sha256:{name * 64}", "size": size} for name, size in layers.items()]
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described[0], "layers": described}
    return server.add_manifest("library/app", tag, json.dumps(body).encode())


def index(server: Server, tag: str, **digests: str) -> None:
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": name}}
        for name, digest in digests.items()
    ]
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    server.add_manifest("library/app", tag, json.dumps(body).encode(), OCI_INDEX)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "abcd"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "dcba"),
        ({"a": 1, "b": 7, "c": 7, "d": 4}, "bcda"),
        # Who is not known may be as large as any.
        ({"a": 1, "b": 2, "d": 4}, "cdba"),
    ],
)
def test_the_largest_is_pulled_first(known: dict[str, int], expected: str) -> None:
    found = largest_first(
        [base(name) for name in "abcd"], {(name, (_OWN,)): size for name, size in known.items()}, own=_OWN
    )

    assert "".join(each.name for each in found) == expected


def test_an_image_is_as_large_as_the_platforms_that_are_wanted() -> None:
    asked: dict[Wanted, int] = {("a", ("linux/amd64",)): 5, ("a", ("linux/arm64",)): 9, ("b", ("linux/amd64",)): 7}

    def order(own: str) -> list[str]:
        return [each.name for each in largest_first([base("a"), base("b", "linux/amd64")], asked, own=own)]

    assert (order("linux/amd64"), order("linux/arm64")) == (["b", "a"], ["a", "b"])


async def test_registries_tell_how_large_images_are_with_each_layer_counted_once() -> None:
    async with running(Server()) as server, client() as registry:
        one = manifest(server, "one", a=100, b=20)
        other = manifest(server, "other", a=100, c=3)
        index(server, "both", amd64=one, arm64=other)
        place = f"{server.host}/library/app"

        found = await sizes(
            {
                (f"{place}:one", (_OWN,)),
                (f"{place}:both", ("linux/arm64",)),
                (f"{place}:both", (_OWN, "linux/arm64")),
                (f"{place}:both", ("linux/s390x",)),
                (f"{place}:none", (_OWN,)),
                ("NONE", (_OWN,)),
            },
            registry,
            Mirrors(registry, {}),
        )

    assert found == {
        (f"{place}:one", (_OWN,)): 120,
        (f"{place}:both", ("linux/arm64",)): 103,
        (f"{place}:both", (_OWN, "linux/arm64")): 123,
    }


async def test_docker_hub_counts_who_asks_and_is_not_asked_but_its_mirror_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody is behind this; who asks would wait.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr(sizing, "_SECONDS", 60.0)
    async with running(Server()) as server, client() as registry:
        manifest(server, "there", a=100)

        found = await sizes(
            [("app:there", (_OWN,)), ("app:elsewhere", (_OWN,))],
            registry,
            Mirrors(registry, {"docker.io": server.host}),
        )

        asked = [(seen.method, seen.path.rpartition("/")[2]) for seen in server.seen if "manifests" in seen.path]
    assert found == {("app:there", (_OWN,)): 100}
    assert sorted(asked) == [("GET", "there"), ("HEAD", "elsewhere"), ("HEAD", "there")]


async def test_a_registry_that_tells_nothing_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    monkeypatch.setattr(sizing, "_SECONDS", 0.05)
    async with listening(silent) as url, client() as registry:
        place = url.removeprefix("http://")

        with anyio.fail_after(10):
            found = await sizes([(f"{place}/library/app:one", (_OWN,))], registry, Mirrors(registry, {}))

    assert found == {}
