"""Publication through an engine that pushes by itself."""

from contextlib import suppress

import anyio
import pytest

from orchestrator.buildkit import StatusUpdate
from orchestrator.docker import OnProgress
from orchestrator.docker import Progress as EngineProgress
from orchestrator.engine.progress import Progress
from orchestrator.engine.publish import EnginePublisher, Published, RegistryPublisher
from orchestrator.errors import FleetpacksError, ImageNotFoundError, RegistryError
from orchestrator.events import Event, StepCompleted, StepProgress, StepStarted
from orchestrator.registry.manifest import Manifest
from orchestrator.registry.reference import Reference

_ID = "sha256:" + "1" * 64
_PUSHED = "sha256:" + "2" * 64
_PUSH = (
    ("aaa", "Preparing", None, None),
    ("bbb", "Preparing", None, None),
    ("bbb", "Layer already exists", None, None),
    ("aaa", "Pushing", 2_000_000, 8_000_000),
    ("aaa", "Pushing", 8_200_000, 8_000_000),
    ("aaa", "Pushed", None, None),
)
"""As an Engine 20.10.24 tells of a push: layer, status, bytes so far, bytes in all."""


class Recorded:
    """An engine and a registry that write down what is asked of them."""

    def __init__(self, refusal: FleetpacksError | None = None) -> None:
        self.done: list[str] = []
        self._refusal = refusal

    async def tag(self, image: str, reference: str) -> None:
        self.done.append(f"tag {image} {reference}")

    async def push(self, reference: str, *, progress: OnProgress | None = None) -> str:
        self.done.append(f"push {reference}")
        for layer, status, current, total in _PUSH if progress else ():
            assert progress is not None
            await progress(
                EngineProgress(reference=reference, layer=layer, status=status, current=current, total=total)
            )
        if self._refusal:
            raise self._refusal
        return _PUSHED

    async def get_manifest(self, reference: Reference) -> Manifest:
        self.done.append(f"get {reference}")
        return Manifest(media_type="application/vnd.oci.image.manifest.v1+json", body=b"{}", digest=_PUSHED)

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        self.done.append(f"put {reference} {manifest.digest}")


async def test_the_engine_pushes_the_first_tag_and_the_registry_gets_the_others() -> None:
    seen = Recorded()

    published = await EnginePublisher(seen, RegistryPublisher(seen)).publish("r.example/a", _ID, ("v1", "v2", "v3"))

    assert seen.done == [
        f"tag {_ID} r.example/a:v1",
        "push r.example/a:v1",
        f"get r.example/a@{_PUSHED}",
        f"put r.example/a:v2 {_PUSHED}",
        f"put r.example/a:v3 {_PUSHED}",
    ]
    # What the engine calls the image is its id; what the registry has is a manifest.
    assert published == Published(digest=_PUSHED, references=tuple(f"r.example/a:v{each}" for each in (1, 2, 3)))


async def test_one_tag_asks_nothing_of_the_registry() -> None:
    seen = Recorded()

    published = await EnginePublisher(seen, RegistryPublisher(seen)).publish("r.example/a", _ID, ("v1",))

    assert seen.done[-1] == "push r.example/a:v1"
    assert published.references == ("r.example/a:v1",)


async def test_no_other_tag_is_written_when_the_engine_cannot_push() -> None:
    seen = Recorded(RegistryError("denied", hint="log in"))

    with pytest.raises(RegistryError):
        await EnginePublisher(seen, RegistryPublisher(seen)).publish("r.example/a", _ID, ("v1", "v2"))

    assert seen.done[-1] == "push r.example/a:v1"


@pytest.mark.parametrize("refusal", [None, RegistryError("denied", hint="log in")])
async def test_an_engines_push_is_told_of_as_a_step_of_the_build(refusal: FleetpacksError | None) -> None:
    seen = Recorded(refusal)
    progress = Progress("a")
    events: list[Event] = []

    async def told(update: StatusUpdate) -> None:
        events.extend(progress.feed(update))

    with suppress(RegistryError):
        await EnginePublisher(seen, RegistryPublisher(seen)).publish("r.example/a", _ID, ("v1",), on_status=told)

    started, *moved, ended = events
    assert isinstance(started, StepStarted)
    assert isinstance(ended, StepCompleted)
    assert started.name == ended.name == "pushing r.example/a:v1"
    assert ended.error == (refusal.message if refusal else None)
    assert [(each.current, each.total) for each in moved if isinstance(each, StepProgress)][-1] == (
        8_000_000,
        8_000_000,
    )
    assert (progress.steps, progress.cached) == (0, 0)


async def test_what_is_published_is_told_although_the_run_is_interrupted_at_its_record() -> None:
    published: Published | None = None

    class Interrupted(Recorded):
        async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
            if reference.tag == "fp-1":
                scope.cancel()
                await anyio.lowlevel.checkpoint()
            await super().put_manifest(reference, manifest)

    seen = Interrupted()
    with anyio.CancelScope() as scope:
        published = await RegistryPublisher(seen).publish("r.example/a", _PUSHED, ("v1",), record="fp-1")

    assert published == Published(digest=_PUSHED, references=("r.example/a:v1",))
    assert seen.done[-1] == f"put r.example/a:fp-1 {_PUSHED}"


async def test_a_record_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Recorded):
        async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
            await (anyio.sleep_forever() if reference.tag == "fp-1" else super().put_manifest(reference, manifest))

    monkeypatch.setattr("orchestrator.engine.publish._RECORD_SECONDS", 0.0)

    published = await RegistryPublisher(Silent()).publish("r.example/a", _PUSHED, ("v1",), record="fp-1")

    assert published.references == ("r.example/a:v1",)
    assert published.unrecorded == "it was not put within 0 s"


async def test_what_an_engine_has_pushed_is_published_although_there_is_no_record() -> None:
    class Away(Recorded):
        async def get_manifest(self, reference: Reference) -> Manifest:
            raise ImageNotFoundError(f"{reference.repository} is not there", hint="")

    seen = Away()

    published = await EnginePublisher(seen, RegistryPublisher(seen)).publish("r.example/a", _ID, ("v1",), record="fp-1")

    assert published.references == ("r.example/a:v1",)
    assert published.unrecorded == "r.example/a is not there"
