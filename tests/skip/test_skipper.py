"""Skipping: what is asked of a registry, what is put there, and what is said of it."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.from_thread
import msgspec
import pytest

from orchestrator.engine.publish import Published, RegistryPublisher
from orchestrator.engine.skipping import Changed, Unchanged
from orchestrator.errors import ImageNotFoundError, RegistryError, RegistryUnavailableError
from orchestrator.model import AppPlan
from orchestrator.registry.manifest import OCI_INDEX, Descriptor, Manifest, digest_of
from orchestrator.registry.mirrors import Mirrors
from orchestrator.registry.reference import Reference
from orchestrator.skip.bases import BaseImages, UnknownBaseError
from orchestrator.skip.contents import Contents, Read
from orchestrator.skip.memory import Memory
from orchestrator.skip.reading import Reader
from orchestrator.skip.skipper import Policy, RegistrySkipper
from tests.skip.test_inputs import plan

_PLATFORMS = ("linux/amd64",)
_DIGEST = "sha256:" + "a" * 64


class Registry:
    """Tags of repositories, and a list of all requests."""

    def __init__(self) -> None:
        self.tags: dict[str, Manifest] = {}
        self.bases: dict[str, str | Exception] = {"docker.io/library/a": _DIGEST}
        self.asked: list[str] = []
        self.refuses: Exception | None = None
        self.answers_no_head = False

    async def head(self, reference: Reference) -> Descriptor | None:
        self.asked.append(f"HEAD {reference}")
        if self.answers_no_head:
            raise RegistryError("405", hint="")
        if str(reference) in self.tags:
            return Descriptor(media_type="x", digest=self.tags[str(reference)].digest, size=1)
        found = self.bases.get(reference.repository)
        if isinstance(found, Exception):
            raise found
        return Descriptor(media_type="x", digest=found, size=1) if found else None

    async def get_manifest(self, reference: Reference) -> Manifest:
        self.asked.append(f"GET {reference.repository}:{(reference.tag or '')[:3]}")
        if str(reference) not in self.tags:
            raise ImageNotFoundError("none", hint="")
        return self.tags[str(reference)]

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        self.asked.append(f"PUT {reference}")
        if self.refuses is not None:
            raise self.refuses
        self.tags[str(reference)] = manifest

    def keep(self, name: str) -> None:
        self.tags[name] = Manifest(media_type="x", body=b"{}", digest=_DIGEST)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def app(tmp_path: Path) -> AppPlan:
    directory = tmp_path / "source/api"
    directory.mkdir(parents=True)
    (directory / "main.go").write_text("package main")
    each = plan()
    return msgspec.structs.replace(each, app=msgspec.structs.replace(each.app, directory=directory))


def skipper(registry: Registry, tmp_path: Path, **policy: object) -> RegistrySkipper:
    said: dict[str, object] = {"scope": "main", "max_age": 7 * 86_400.0, "platform": "linux/amd64", "revision": "r1"}
    return RegistrySkipper(
        registry,
        bases=BaseImages(registry),
        reader=Reader(Contents(tmp_path / "contents")),
        memory=Memory(tmp_path / "memory", tmp_path / "source"),
        policy=msgspec.convert(said | policy, Policy),
    )


async def test_what_is_recorded_gets_its_tags_in_two_requests(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    first = await skipper(registry, tmp_path).look(app)
    assert isinstance(first, Changed)
    registry.keep(f"r.example/api:{first.record}")
    registry.asked.clear()

    again = await skipper(registry, tmp_path).look(app)

    assert again == Unchanged(
        published=Published(digest=_DIGEST, references=("r.example/api:latest",)), platforms=_PLATFORMS
    )
    assert registry.asked == ["HEAD docker.io/library/a", "GET r.example/api:fp-", "PUT r.example/api:latest"]
    assert registry.tags["r.example/api:latest"].digest == _DIGEST


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ("nothing", ["GET r.example/api:fp-", "HEAD r.example/api:latest"]),
        ("moved", ["GET r.example/api:fp-", "HEAD r.example/api:latest", "PUT r.example/api:latest"]),
        ("gone", ["GET r.example/api:fp-", "HEAD r.example/api:latest", "PUT r.example/api:latest"]),
        ("no answer", ["GET r.example/api:fp-", "HEAD r.example/api:latest", "PUT r.example/api:latest"]),
        ("other image", ["GET r.example/api:fp-", "PUT r.example/api:latest"]),
        ("other tag", ["GET r.example/api:fp-", "PUT r.example/api:2"]),
    ],
)
async def test_a_tag_that_was_put_before_is_put_again_only_when_it_is_not_there(
    registry: Registry, tmp_path: Path, app: AppPlan, change: str, asked: list[str]
) -> None:
    looking = skipper(registry, tmp_path)
    first = await looking.look(app)
    assert isinstance(first, Changed)
    record = f"r.example/api:{first.record}"
    registry.keep(record)
    await looking.look(app)
    other = Manifest(media_type="x", body=b"{ }", digest="sha256:" + "b" * 64)
    match change:
        case "moved":
            registry.tags["r.example/api:latest"] = other
        case "gone":
            del registry.tags["r.example/api:latest"]
        case "no answer":
            registry.answers_no_head = True
        case "other image":
            registry.tags[record] = other
        case "other tag":
            app = msgspec.structs.replace(app, tags=("2",))
        case _:
            pass
    registry.asked.clear()

    again = await looking.look(app)

    expected = registry.tags[record].digest
    references = (f"r.example/api:{app.tags[0]}",)
    assert again == Unchanged(published=Published(digest=expected, references=references), platforms=_PLATFORMS)
    assert registry.asked == asked
    assert registry.tags[references[0]].digest == expected


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        ("r.example/api", "its record is gone"),
        ("r.example/other", "it was not published to r.example/other yet"),
        ("r.example/ap", "it was not published to r.example/ap yet"),
    ],
)
async def test_the_reason_tells_a_lost_record_from_another_repository(
    registry: Registry, tmp_path: Path, app: AppPlan, repository: str, reason: str
) -> None:
    looking = skipper(registry, tmp_path)
    await looking.look(app)
    looking.built(app, Published(digest=_DIGEST, references=("r.example/api:latest",)))

    look = await looking.look(msgspec.structs.replace(app, repository=repository))

    assert isinstance(look, Changed)
    assert look.reason == reason


async def test_what_is_not_recorded_is_built_and_the_reason_named(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    built = skipper(registry, tmp_path)
    first = await built.look(app)
    built.built(app, Published(digest=_DIGEST, references=()))
    (app.app.directory / "main.go").write_text("package other")

    second = await built.look(app)
    same = await built.look(app)

    assert isinstance(first, Changed)
    assert first.reason == "no image of these inputs is recorded"
    assert isinstance(second, Changed)
    assert second.reason == "changed: files"
    assert second == same
    assert second.record != first.record


async def test_a_revision_is_remembered(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    built = skipper(registry, tmp_path)
    first = await built.look(app)
    assert isinstance(first, Changed)
    built.built(app, Published(digest=_DIGEST, references=()))
    registry.keep(f"r.example/api:{first.record}")

    again = await built.look(app)

    assert isinstance(again, Unchanged)
    assert again.revision == "r1"


async def test_what_was_built_elsewhere_has_the_revision_of_its_record_and_the_images_own_manifest(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    body = b'{"schemaVersion": 2}'
    image = Manifest(media_type=OCI_INDEX, body=body, digest=digest_of(body, "sha256:"))
    registry.tags[f"r.example/api@{image.digest}"] = image
    first = await skipper(registry, tmp_path / "there").look(app)
    assert isinstance(first, Changed)
    publisher = RegistryPublisher(registry, revision="c1-dirty")
    await publisher.publish("r.example/api", image.digest, ("1",), record=first.record)
    registry.asked.clear()
    looking = skipper(registry, tmp_path / "here", revision="c2")

    look = await looking.look(app)
    again = await looking.look(app)

    expected = Published(digest=image.digest, references=("r.example/api:latest",))
    assert look == again == Unchanged(published=expected, revision="c1-dirty", platforms=_PLATFORMS)
    assert registry.tags["r.example/api:latest"] == registry.tags["r.example/api:1"] == image
    assert registry.tags[f"r.example/api:{first.record}"] != image
    assert registry.asked == [
        "HEAD docker.io/library/a",
        *("GET r.example/api:fp-", "PUT r.example/api:latest"),
        *("GET r.example/api:fp-", "HEAD r.example/api:latest"),
    ]


async def test_another_scopes_record_counts_only_where_it_is_trusted(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    main = await skipper(registry, tmp_path).look(app)
    pull_request = await skipper(registry, tmp_path, scope="pull request 7").look(app)
    assert isinstance(main, Changed)
    assert isinstance(pull_request, Changed)
    registry.keep(f"r.example/api:{pull_request.record}")

    of_main = await skipper(registry, tmp_path).look(app)
    registry.tags.clear()
    registry.keep(f"r.example/api:{main.record}")
    of_pull_request = await skipper(registry, tmp_path, scope="pull request 7", trusted=("main",)).look(app)

    assert isinstance(of_main, Changed)
    assert isinstance(of_pull_request, Unchanged)


async def test_a_base_that_cannot_be_told_means_a_build_without_a_record(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    registry.bases = {"docker.io/library/a": RegistryUnavailableError("docker.io is away", hint="")}

    looked = await skipper(registry, tmp_path).look(app)

    assert looked == Changed(reason="a: docker.io is away")


async def test_a_file_that_is_no_input_as_it_cannot_be_read_means_a_build(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    gone = msgspec.structs.replace(app.app, directory=tmp_path / "gone")

    looked = await skipper(registry, tmp_path).look(msgspec.structs.replace(app, app=gone))

    assert isinstance(looked, Changed)
    assert looked.record is None


async def test_a_record_that_cannot_be_put_means_a_build(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    first = await skipper(registry, tmp_path).look(app)
    assert isinstance(first, Changed)
    registry.keep(f"r.example/api:{first.record}")
    registry.refuses = RegistryError("a blob is gone", hint="")

    again = await skipper(registry, tmp_path).look(app)

    assert again == Changed(
        reason="its record cannot be used: a blob is gone", record=first.record, bases={"a": _DIGEST}
    )


async def test_a_change_during_the_build_is_seen(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    looking = skipper(registry, tmp_path)
    await looking.look(app)
    before = await looking.is_as_it_was(app)

    (app.app.directory / "main.go").write_text("package late")

    assert before
    assert not await looking.is_as_it_was(app)


async def test_what_was_never_looked_at_is_not_vouched_for(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    assert not await skipper(registry, tmp_path).is_as_it_was(app)


async def test_the_ignore_file_beside_the_dockerfile_counts(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    (app.app.directory / ".dockerignore").write_text("")
    (app.app.directory / "Dockerfile.dockerignore").write_text("notes\n")
    (app.app.directory / "Dockerfile").write_text(app.build.dockerfile)
    build = msgspec.structs.replace(app.build, dockerfile_path="Dockerfile", dockerignore=None)
    own = msgspec.structs.replace(app, build=build)
    first = await skipper(registry, tmp_path).look(own)

    (app.app.directory / "notes").write_text("x")
    second = await skipper(registry, tmp_path).look(own)

    assert isinstance(first, Changed)
    assert first.record is not None
    assert first == second


@pytest.mark.parametrize("text", ["FROM other\n", "FROM a\n"])
async def test_a_dockerfile_outside_of_what_is_hashed_that_was_touched_costs_the_record(
    registry: Registry, tmp_path: Path, app: AppPlan, text: str
) -> None:
    file = app.app.directory / "Dockerfile"
    file.write_text(app.build.dockerfile)
    build = msgspec.structs.replace(app.build, dockerfile_path="Dockerfile", dockerignore="Dockerfile\n")
    own = msgspec.structs.replace(app, build=build)
    looking = skipper(registry, tmp_path)
    first = await looking.look(own)
    before = await looking.is_as_it_was(own)

    file.unlink()
    file.write_text("FROM late\n")
    os.utime(file, (1, 1))
    file.write_text(text)
    after = await looking.is_as_it_was(own)
    again = await skipper(registry, tmp_path).look(own)

    assert isinstance(first, Changed)
    assert first.record is not None
    assert (before, after) == (True, False)
    assert isinstance(again, Changed)
    # The plan is what counts: with another text than it has, nothing can be said of the image.
    assert (again.record is None) == (text != app.build.dockerfile)


async def test_hashing_ends_with_the_run(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    class Endless(Contents):
        def read(self, root: Path, ignore: str, *, check: Callable[[], None] = lambda: None) -> Read:  # noqa: ARG002 -- the one that it replaces
            anyio.from_thread.run_sync(began.set)
            while True:
                check()

    began = anyio.Event()
    looking = RegistrySkipper(
        registry,
        bases=BaseImages(registry),
        reader=Reader(Endless(tmp_path / "contents")),
        memory=Memory(tmp_path / "memory", tmp_path / "source"),
        policy=Policy(scope="main", max_age=1.0, platform="linux/amd64"),
    )

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(looking.look, app)
            await began.wait()
            tasks.cancel_scope.cancel()


async def test_a_memory_outlives_the_run(registry: Registry, tmp_path: Path, app: AppPlan) -> None:
    memory = Memory(tmp_path / "memory", tmp_path / "source")
    built = RegistrySkipper(
        registry,
        bases=BaseImages(registry),
        reader=Reader(Contents(tmp_path / "contents")),
        memory=memory,
        policy=Policy(scope="main", max_age=1e6, platform="linux/amd64"),
    )
    await built.look(app)
    built.built(app, Published(digest=_DIGEST, references=()))
    memory.save()
    (app.app.directory / "main.go").write_text("package other")

    looked = await skipper(registry, tmp_path, max_age=1e6).look(app)

    assert isinstance(looked, Changed)
    assert looked.reason == "changed: files"


async def test_a_context_that_is_an_image_is_a_base_and_that_of_another_app_is_known_by_its_digest(
    registry: Registry, tmp_path: Path, app: AppPlan
) -> None:
    registry.bases["r.example/tools"] = "sha256:" + "c" * 64
    contexts = {"tools": "docker-image://r.example/tools:1", "base": f"docker-image://r.example/base@{_DIGEST}"}
    app = msgspec.structs.replace(app, build=msgspec.structs.replace(app.build, contexts=contexts))

    first = await skipper(registry, tmp_path).look(app)
    asked = list(registry.asked)
    registry.bases["r.example/tools"] = "sha256:" + "d" * 64
    second = await skipper(registry, tmp_path).look(app)

    assert isinstance(first, Changed)
    assert isinstance(second, Changed)
    assert first.record != second.record
    assert [each for each in asked if each.startswith("HEAD r.example")] == ["HEAD r.example/tools:1"]


async def test_each_base_is_asked_for_once_and_a_silent_registry_not_again(registry: Registry) -> None:
    registry.bases |= {
        "r.example/b": RegistryUnavailableError("away", hint=""),
        "r.example/c": "sha256:" + "c" * 64,
    }
    bases = BaseImages(registry)

    await bases.digests(("a", f"x@{_DIGEST}"))
    await bases.digests(("a",))
    for name in ("r.example/b", "r.example/c", "r.example/b"):
        with pytest.raises(UnknownBaseError, match="away") as raised:
            await bases.digests((name,))
        assert raised.value.transient

    assert registry.asked == ["HEAD docker.io/library/a", "HEAD r.example/b"]


async def test_a_mirror_of_docker_hub_is_asked_first(registry: Registry) -> None:
    registry.bases = {"m.example/hub/library/a": "sha256:" + "b" * 64, "docker.io/team/c": _DIGEST}
    bases = BaseImages(registry, mirrors=Mirrors(registry, {"docker.io": "m.example/hub"}))

    found = await bases.digests(("a:1", "team/c"))

    assert found == {"a:1": "sha256:" + "b" * 64, "team/c": _DIGEST}
    assert registry.asked == [
        "HEAD m.example/hub/library/a:1",
        "HEAD m.example/hub/team/c:latest",
        "HEAD docker.io/team/c",
    ]


@pytest.mark.parametrize("name", ["UPPER", "a b", "x@sha256:1", "$V"])
async def test_what_is_no_reference_cannot_be_told(registry: Registry, name: str) -> None:
    with pytest.raises(UnknownBaseError) as raised:
        await BaseImages(registry).digests((name,))

    assert not raised.value.transient
