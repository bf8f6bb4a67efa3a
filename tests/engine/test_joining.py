"""The index over what several hosts have built, against manifests in the forms that builders push."""

from typing import Any

import msgspec
import pytest

from orchestrator.engine.joining import joined
from orchestrator.engine.publish import RegistryPublisher
from orchestrator.errors import ProtocolError
from orchestrator.registry.manifest import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    Platform,
    digest_of,
    select,
)
from orchestrator.registry.reference import Reference

_AMD, _ARM = "linux/amd64", "linux/arm64"


def image(word: str, media_type: str = OCI_MANIFEST) -> Manifest:
    body = msgspec.json.encode({"schemaVersion": 2, "mediaType": media_type, "word": word})
    return Manifest(media_type=media_type, body=body, digest=digest_of(body, "sha256:"))


def entry(manifest: Manifest, platform: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    os, architecture = platform.split("/")
    its = {"architecture": architecture, "os": os}
    return {
        "mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.body), "platform": its, **more
    }  # fmt: skip


def index(*entries: dict[str, Any]) -> Manifest:
    body = msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    return Manifest(media_type=OCI_INDEX, body=body, digest=digest_of(body, "sha256:"))


def attested(word: str, of: Manifest) -> dict[str, Any]:
    """An entry as BuildKit writes it."""
    said = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.digest}
    return entry(image(word), "unknown/unknown", annotations=said)


def test_the_images_of_all_platforms_come_first_and_what_is_attested_of_them_is_kept_as_it_was() -> None:
    one, two = image("one"), image("two")
    of_one, of_two = attested("of one", one), attested("of two", two)

    made = joined(
        [(_AMD, index(entry(one, _AMD), of_one)), (_ARM, index(entry(two, _ARM), of_two))], source="r.example/a"
    )

    said = msgspec.json.decode(made.body)
    assert said == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry(one, _AMD), entry(two, _ARM), of_one, of_two],
    }
    assert made.digest == digest_of(made.body, "sha256:")
    found = select(made, Platform(os="linux", architecture="arm64"), "r.example/a")
    assert found.digest == two.digest


@pytest.mark.parametrize(("media_type", "expected"), [(OCI_MANIFEST, OCI_INDEX), (DOCKER_MANIFEST, DOCKER_INDEX)])
def test_a_part_that_is_no_index_is_of_the_platform_that_was_asked_for(media_type: str, expected: str) -> None:
    one, two = image("one", media_type), image("two", media_type)

    made = joined([(_AMD, one), ("linux/arm/v7", two)], source="r.example/a")

    said = msgspec.json.decode(made.body)
    assert (made.media_type, said["mediaType"]) == (expected, expected)
    assert [each["platform"] for each in said["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
    ]
    assert [each["size"] for each in said["manifests"]] == [len(one.body), len(two.body)]


@pytest.mark.parametrize(
    "wrong",
    [
        index(entry(image("other"), _AMD)),
        Manifest(media_type=OCI_INDEX, body=b"[]", digest=digest_of(b"[]", "sha256:")),
        Manifest(media_type=OCI_INDEX, body=b"{", digest=digest_of(b"{", "sha256:")),
        index({"mediaType": OCI_MANIFEST, "digest": "sha256:0", "size": 1}),
        index({"platform": "linux/arm64"}),
    ],
    ids=["the same platform", "a list", "no JSON", "no platform", "a platform in words"],
)
def test_what_cannot_be_a_part_is_refused(wrong: Manifest) -> None:
    with pytest.raises(ProtocolError, match=r"^r\.example/a: "):
        joined([(_AMD, index(entry(image("one"), _AMD))), (_ARM, wrong)], source="r.example/a")


class _Store:
    def __init__(self, *there: Manifest) -> None:
        self._there = {each.digest: each for each in there}
        self.put: list[tuple[str, str]] = []

    async def get_manifest(self, reference: Reference) -> Manifest:
        assert reference.digest is not None
        return self._there[reference.digest]

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        self.put.append((str(reference), manifest.digest))


async def test_an_index_gets_all_tags_and_its_record() -> None:
    one, two = index(entry(image("one"), _AMD)), index(entry(image("two"), _ARM))
    store = _Store(one, two)

    published = await RegistryPublisher(store).join(
        "r.example/a", [(_AMD, one.digest), (_ARM, two.digest)], ("1", "2"), record="fp-x"
    )

    assert store.put == [(f"r.example/a:{tag}", published.digest) for tag in ("1", "2", "fp-x")]
    assert published.references == ("r.example/a:1", "r.example/a:2")
    assert published.unrecorded is None
