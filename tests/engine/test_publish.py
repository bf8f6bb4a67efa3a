"""Publication through an engine that pushes by itself."""

import pytest

from orchestrator.engine.publish import EnginePublisher, Published, RegistryPublisher
from orchestrator.errors import FleetpacksError, RegistryError
from orchestrator.registry.manifest import Manifest
from orchestrator.registry.reference import Reference

_ID = "sha256:" + "1" * 64
_PUSHED = "sha256:" + "2" * 64


class Recorded:
    """An engine and a registry that write down what is asked of them."""

    def __init__(self, refusal: FleetpacksError | None = None) -> None:
        self.done: list[str] = []
        self._refusal = refusal

    async def tag(self, image: str, reference: str) -> None:
        self.done.append(f"tag {image} {reference}")

    async def push(self, reference: str) -> str:
        self.done.append(f"push {reference}")
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
