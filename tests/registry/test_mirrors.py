"""What comes from a mirror, what does not, and what is said of that."""

from collections.abc import Mapping

import anyio
import pytest

from orchestrator.errors import FleetpacksError, RegistryBusyError, RegistryError, RegistryUnavailableError
from orchestrator.registry.manifest import Descriptor
from orchestrator.registry.mirrors import Mirrors, at_mirror
from orchestrator.registry.reference import Reference, parse

_DIGEST = "sha256:" + "a" * 64
_SAID = {"docker.io": "m.example:5000/hub", "ghcr.io": "m.example:5000", "dhi.io": "other.example/dhi"}


class Registry:
    """Has some images, and counts what it is asked."""

    def __init__(self, has: Mapping[str, str | FleetpacksError]) -> None:
        self._has = has
        self.asked: list[str] = []

    async def head(self, reference: Reference) -> Descriptor | None:
        self.asked.append(str(reference))
        await anyio.lowlevel.checkpoint()
        found = self._has.get(reference.repository)
        if isinstance(found, FleetpacksError):
            raise found
        return Descriptor(media_type="x", digest=found, size=1) if found else None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("node:22", "m.example:5000/hub/library/node:22"),
        ("docker.io/team/app:1", "m.example:5000/hub/team/app:1"),
        ("registry-1.docker.io/team/app:1", "m.example:5000/hub/team/app:1"),
        (f"node:22@{_DIGEST}", f"m.example:5000/hub/library/node:22@{_DIGEST}"),
        ("ghcr.io/a/b:1", "m.example:5000/a/b:1"),
        ("dhi.io/node:22-dev", "other.example/dhi/node:22-dev"),
        ("m.example:5000/hub/library/node:22", None),
        ("registry.example/a:1", None),
    ],
)
def test_a_mirror_has_an_image_below_its_own_path(name: str, expected: str | None) -> None:
    found = at_mirror(parse(name), _SAID)

    assert (str(found) if found else None) == expected


async def test_each_image_is_asked_for_once_whoever_wants_it() -> None:
    registry = Registry({"m.example:5000/hub/library/node": _DIGEST})
    mirrors = Mirrors(registry, _SAID)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(mirrors.find, "node")
    found = await mirrors.find("node")

    assert found is not None
    assert (str(found.origin), str(found.at), found.digest) == (
        "docker.io/library/node:latest",
        "m.example:5000/hub/library/node:latest",
        _DIGEST,
    )
    assert registry.asked == ["m.example:5000/hub/library/node:latest"]
    assert mirrors.news() == ()


async def test_what_a_mirror_does_not_have_or_refuses_comes_from_where_it_is_from_and_that_is_said_once() -> None:
    registry = Registry({"m.example:5000/hub/library/b": RegistryError("it refuses", hint="")})
    mirrors = Mirrors(registry, _SAID)

    found = [await mirrors.find(name) for name in ("a:1", "b:1", "a:1", "registry.example/c:1", "UPPER")]

    assert found == [None] * 5
    assert mirrors.news() == (
        "a:1 is taken from docker.io: the mirror has no m.example:5000/hub/library/a:1",
        "b:1 is taken from docker.io: it refuses",
    )
    assert mirrors.news() == ()
    assert len(registry.asked) == 2


async def test_a_mirror_that_does_not_answer_is_asked_no_more_and_others_are() -> None:
    away = RegistryUnavailableError("m.example is away", hint="")
    registry = Registry({"m.example:5000/hub/library/a": away, "other.example/dhi/b": _DIGEST})
    mirrors = Mirrors(registry, _SAID)

    found = [await mirrors.find(name) for name in ("a:1", "c:1", "ghcr.io/d:1", "dhi.io/b:1")]

    assert [each is not None for each in found] == [False, False, False, True]
    assert registry.asked == ["m.example:5000/hub/library/a:1", "other.example/dhi/b:1"]
    assert mirrors.news() == (
        "images are taken from docker.io, and not from its mirror m.example:5000: m.example is away",
    )


async def test_a_mirror_that_answers_with_an_error_for_one_image_is_asked_for_the_others() -> None:
    busy = RegistryBusyError("m.example cannot read it now: HTTP 503", hint="")
    images = {f"m.example:5000/hub/library/{name}": _DIGEST for name in ("a", "c")}
    registry = Registry({**images, "m.example:5000/hub/library/b": busy})
    mirrors = Mirrors(registry, _SAID)

    found = [await mirrors.find(name) for name in ("a:1", "b:1", "c:1", "a:1")]

    assert [each is not None for each in found] == [True, False, True, True]
    assert mirrors.news() == ("b:1 is taken from docker.io: m.example cannot read it now: HTTP 503",)


async def test_a_mirror_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Registry):
        async def head(self, reference: Reference) -> Descriptor | None:
            await anyio.sleep_forever()
            return await super().head(reference)

    monkeypatch.setattr("orchestrator.registry.mirrors._SECONDS", 0.01)
    mirrors = Mirrors(Hanging({}), _SAID)

    assert await mirrors.find("a:1") is None
    assert [news.endswith("no answer within 0 s") for news in mirrors.news()] == [True]


@pytest.mark.parametrize(
    ("problem", "unreachable", "left"),
    [
        ("m.example:5000/hub/library/a:1: not found", False, {"b:1"}),
        (f"failed to copy: m.example:5000/hub/library/a@{_DIGEST}: EOF", True, set[str]()),
        ('failed to do request: Head "http://m.example:5000/v2/hub/library/a/manifests/1": EOF', True, set[str]()),
        ("failed to push m.example:5000/hub/library/ab/c: denied", False, {"a:1", "b:1"}),
        ("registry.example/a:1: not found", False, {"a:1", "b:1"}),
    ],
)
async def test_what_a_builder_cannot_have_from_a_mirror_is_not_taken_from_there_again(
    problem: str, left: set[str], *, unreachable: bool
) -> None:
    images = {f"m.example:5000/hub/library/{name}": _DIGEST for name in ("a", "b")}
    mirrors = Mirrors(Registry(images), _SAID)
    for name in ("a:1", "b:1"):
        await mirrors.find(name)

    lost = mirrors.lose(problem, unreachable=unreachable, since=0)

    assert {name for name in ("a:1", "b:1") if await mirrors.find(name)} == left
    assert lost == (left != {"a:1", "b:1"})
    assert [problem in news for news in mirrors.news()] == [True] * lost
    # Who began before may have been sent there, too; who begins now was not.
    assert mirrors.lose(problem, unreachable=unreachable, since=0) == lost
    assert not mirrors.lose(problem, unreachable=unreachable, since=mirrors.lost)
    assert mirrors.news() == ()


async def test_a_mirror_that_has_gone_is_gone_for_the_builds_of_all_its_images() -> None:
    images = {f"m.example:5000/hub/library/{name}": _DIGEST for name in ("a", "b")}
    mirrors = Mirrors(Registry(images), _SAID)
    for name in ("a:1", "b:1"):
        await mirrors.find(name)

    mirrors.lose("m.example:5000/hub/library/a:1: EOF", unreachable=True, since=0)

    assert mirrors.lost == 2
    assert mirrors.lose("m.example:5000/hub/library/b:1: EOF", unreachable=True, since=0)
    assert len(mirrors.news()) == 1


async def test_without_mirrors_nobody_is_asked() -> None:
    registry = Registry({})

    assert await Mirrors(registry, {}).find("node:22") is None
    assert registry.asked == []
