"""The index over package caches in a registry: ours is read as it was written, nobody else's is taken for one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cache.artifact import Artifact, Packages, decode, encode
from orchestrator.errors import UsageError

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CREATED = "2026-11-22T00:00:00Z"
_PACKAGES = st.builds(
    Packages,
    tool=st.from_regex(r"[a-z0-9]{1,20}(-[a-z0-9]{1,20})?", fullmatch=True),
    digest=st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    size=st.integers(1, 4 * 1024 * 1024),
    media_type=st.just(_MANIFEST),
)


def packages(tool: str, digit: str = "a") -> Packages:
    return Packages(tool=tool, digest=f"sha256:{digit * 64}", size=500, media_type=_MANIFEST)


def written(*tools: str) -> dict[str, Any]:
    """An index as JSON, to be spoiled."""
    artifact = Artifact(cache_key="team", packages=tuple(map(packages, tools)))
    document: dict[str, Any] = json.loads(encode(artifact, media_type=_INDEX, created=_CREATED))
    return document


def read(document: object) -> Artifact:
    return decode(json.dumps(document).encode(), "r.example/p:1")


@given(st.lists(_PACKAGES, max_size=20, unique_by=lambda each: each.tool), st.text(max_size=100))
def test_what_is_written_is_read(every: list[Packages], key: str) -> None:
    artifact = Artifact(cache_key=key, packages=tuple(every))

    body = encode(artifact, media_type=_INDEX, created=_CREATED)

    assert decode(body, "r.example/p:1") == artifact
    assert encode(artifact, media_type=_INDEX, created=_CREATED) == body


def test_it_is_an_index_of_nothing_that_runs() -> None:
    index = written("npm")

    assert (index["schemaVersion"], index["mediaType"]) == (2, _INDEX)
    assert index["artifactType"] == "application/vnd.fleetpacks.packages.v1+json"
    assert [entry["platform"] for entry in index["manifests"]] == [{"architecture": "unknown", "os": "unknown"}]
    assert index["annotations"]["org.opencontainers.image.created"] == _CREATED


_OTHERS: dict[str, object] = {
    "an image": {"schemaVersion": 2, "mediaType": _MANIFEST, "config": {}, "layers": []},
    "an image's index": {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []},
    "somebody's artifact": {**written("npm"), "artifactType": "application/vnd.example.packages.v1+json"},
    "a type with more behind it": {**written("npm"), "artifactType": written()["artifactType"] + "+x"},
    "version 0": {**written("npm"), "artifactType": "application/vnd.fleetpacks.packages.v0+json"},
    "other digits": {**written("npm"), "artifactType": "application/vnd.fleetpacks.packages.v\u0661+json"},
    "a type that is none": {**written("npm"), "artifactType": 7},
    "no object": [],
}


@pytest.mark.parametrize("what", _OTHERS)
def test_what_is_nobodys_packages_is_refused(what: str) -> None:
    with pytest.raises(UsageError, match=r"r\.example/p:1: expected packages that `fleetpacks cache push`"):
        read(_OTHERS[what])


def test_another_format_is_named() -> None:
    newer = {**written("npm"), "artifactType": "application/vnd.fleetpacks.packages.v12+json", "manifests": 7}

    with pytest.raises(UsageError, match="of format 12, and this fleetpacks knows format 1"):
        read(newer)


def spoiled(**fields: object) -> dict[str, Any]:
    index = written("npm")
    index["manifests"][0] |= fields
    return index


_ABSURD: dict[str, tuple[dict[str, Any], str]] = {
    "no tool": (spoiled(annotations={}), "'' is no tool"),
    "a path": (spoiled(annotations={"dev.fleetpacks.tool": "../x"}), "'../x' is no tool"),
    "an option": (spoiled(annotations={"dev.fleetpacks.tool": "npm,from=x"}), "'npm,from=x' is no tool"),
    "a line": (spoiled(annotations={"dev.fleetpacks.tool": "npm\n"}), r"'npm\\n' is no tool"),
    "a long name": (spoiled(annotations={"dev.fleetpacks.tool": "n" * 65}), "is no tool"),
    "annotations that are none": (spoiled(annotations=[1]), "cannot be understood: "),
    "no digest": (spoiled(digest="latest"), "no digest that can be verified"),
    "a weak digest": (spoiled(digest="md5:" + "a" * 32), "no digest that can be verified"),
    "no bytes": (spoiled(size=0), "named with 0 bytes"),
    "fewer": (spoiled(size=-5), "named with -5 bytes"),
    "absurdly many": (spoiled(size=1 << 60), "is the size of no manifest"),
    "more than any number": (spoiled(size=1 << 200), "cannot be understood: "),
    "a platform that is none": (spoiled(platform="x"), "cannot be understood: "),
    "twice": (written("npm", "npm"), "a tool twice"),
    "too many": (written(*(f"t{number}" for number in range(101))), "101 tools"),
    "no list": ({**written(), "manifests": "x"}, "cannot be understood: "),
}


@pytest.mark.parametrize("what", _ABSURD)
def test_absurd_entries_are_refused(what: str) -> None:
    document, reason = _ABSURD[what]

    with pytest.raises(UsageError, match=reason):
        read(document)


def test_a_long_cache_key_is_cut() -> None:
    index = written("npm")
    index["annotations"]["dev.fleetpacks.cache-key"] = "k" * 100_000

    assert read(index).cache_key == "k" * 100


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(msgspec.json.encode))
def test_bytes_of_any_kind_are_refused_in_words(body: bytes) -> None:
    with pytest.raises(UsageError):
        decode(body, "r.example/p:1")


def test_what_is_nested_without_end_is_refused_in_words() -> None:
    with pytest.raises(UsageError):
        decode(b'{"artifactType": ' + b"[" * 100_000, "r.example/p:1")
