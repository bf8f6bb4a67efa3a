"""The revision in a record: it is there, and the image's manifest is what it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.revision import with_revision, without_revision
from orchestrator.registry.manifest import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest, digest_of

_REVISION = "6e193e554ca6" + "0" * 28
_BODY = b'{\n  "schemaVersion": 2,\n  "mediaType": "application/vnd.oci.image.index.v1+json",\n  "manifests": []\n}'

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def manifest(body: bytes = _BODY, media_type: str = OCI_INDEX) -> Manifest:
    return Manifest(media_type=media_type, body=body, digest=digest_of(body, "sha256:"))


@given(
    extra=st.dictionaries(st.text().filter(lambda key: key != "annotations"), _JSON),
    indent=st.sampled_from([None, 0, 2]),
    media_type=st.sampled_from([OCI_INDEX, OCI_MANIFEST]),
    revision=st.from_regex(r"[0-9a-f]{7,64}(-dirty)?", fullmatch=True),
)
def test_a_record_says_the_revision_and_gives_the_images_own_bytes_back(
    extra: dict[str, object], indent: int | None, media_type: str, revision: str
) -> None:
    own = manifest(json.dumps({**extra, "schemaVersion": 2}, indent=indent).encode(), media_type)

    record = with_revision(own, revision)

    assert json.loads(record.body)["annotations"] == {"dev.fleetpacks.revision": revision}
    assert record.digest == digest_of(record.body, "sha256:")
    assert without_revision(record) == (own, revision)


@pytest.mark.parametrize(
    ("own", "revision"),
    [
        (manifest(), None),
        (manifest(), ""),
        (manifest(), 'x"y'),
        (manifest(), "x\n"),
        (manifest(), "x" * 101),
        (manifest(media_type=DOCKER_INDEX), _REVISION),
        (manifest(media_type=DOCKER_MANIFEST), _REVISION),
        (manifest(b'{"schemaVersion": 2, "annotations": {"a": "b"}}'), _REVISION),
        (manifest(b' {"schemaVersion": 2}'), _REVISION),
        (manifest(b"{}"), _REVISION),
        (manifest(b'{"a":' * 100_000), _REVISION),
    ],
)
def test_what_cannot_say_it_is_recorded_as_it_is_and_as_all_were_before(own: Manifest, revision: str | None) -> None:
    record = with_revision(own, revision)

    assert record == own
    assert without_revision(record) == (own, None)


@given(body=st.binary() | st.binary().map(lambda rest: b'{"annotations":{"dev.fleetpacks.revision":"' + rest))
def test_whatever_a_registry_has_there_is_read(body: bytes) -> None:
    found, revision = without_revision(manifest(body))

    assert revision is None or revision.isprintable()
    assert found.digest == digest_of(found.body, "sha256:")
