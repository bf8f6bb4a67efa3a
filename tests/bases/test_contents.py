"""The SBOM that is attested of a base image, and the lock file that is made of it."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bases import contents
from orchestrator.bases.contents import Lock, LockedImage
from orchestrator.bases.recipes import Archive, Recipe, Recipes, Root, load
from orchestrator.errors import ConfigError, ProtocolError

_RECIPE = Recipe(name="node", tags=("22",), packages=("git", "curl"), command=("node",))
_IMAGE = LockedImage(
    name="library/node",
    tags=("22",),
    digest="sha256:" + "a" * 64,
    on="debian:trixie",
    packages={"git": "1:2.47", "zlib1g": "1.3"},
    archives={"yarn@1.22.22": "b" * 64},
)
_NAMELESS = contents.encode(Lock(suite="trixie", images=(msgspec.structs.replace(_IMAGE, tags=()),)))


def statement(kind: str, *packages: tuple[str, str, str]) -> bytes:
    listed = [
        {"name": name, "versionInfo": version, "externalRefs": [{"referenceType": "purl", "referenceLocator": purl}]}
        for name, version, purl in packages
    ]
    return json.dumps({"predicateType": kind, "predicate": {"packages": listed}}).encode()


def test_the_lock_has_the_distributions_packages_of_what_is_attested() -> None:
    deb, npm = ("git", "1:2.47", "pkg:deb/debian/git@1%3A2.47?arch=amd64"), ("yarn", "1.22.22", "pkg:npm/yarn@1.22.22")

    spdx = contents.document(statement(contents.PREDICATE, deb, npm), "x")

    assert contents.packages(spdx or b"", "x") == {"git": "1:2.47"}
    assert contents.document(statement("https://slsa.dev/provenance/v1"), "x") is None


@pytest.mark.parametrize("text", [b"", b"[]", b'{"predicateType": 1}', b"[" * 100_000])
def test_what_is_no_statement_is_an_error(text: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^x: "):
        contents.document(text, "x")


@given(st.binary(max_size=60))
def test_no_sbom_is_taken_for_one(text: bytes) -> None:
    try:
        found = contents.packages(text, "x")
    except ProtocolError:
        return
    assert found == {}


def test_every_archive_of_the_recipes_is_listed_with_its_registry_its_version_and_its_digest() -> None:
    archives = tuple(archive for recipe in load().images for archive in recipe.archives)

    lines = [line.split("\t") for line in contents.listed(archives).decode().splitlines()]

    assert {kind for kind, *_ in lines} == {"pypi", "npm", "go", "maven"}
    assert all(len(line) == 5 and all((line[1], line[2])) and len(line[4]) == 64 for line in lines)
    assert not any(set(part) & set('"\\') for line in lines for part in line)
    assert ["npm", "yarn", "1.22.22", "", archives[1].sha256] in lines


def test_an_archives_name_has_no_version() -> None:
    fields = {"sha256": "0" * 64, "file": "x", "into": "/x"}
    archives = (
        msgspec.convert({**fields, "npm": "@oven/bun-linux-x64@1.3.4"}, Archive),
        msgspec.convert({**fields, "maven": "org.a:b:1.0:jar"}, Archive),
    )

    assert [line.split("\t")[1:3] for line in contents.listed(archives).decode().splitlines()] == [
        ["@oven/bun-linux-x64", "1.3.4"],
        ["org.a:b", "1.0"],
    ]


def test_a_lock_file_is_the_same_after_it_was_read() -> None:
    lock = Lock(suite="trixie", images=(_IMAGE,))

    text = contents.encode(lock)

    assert contents.decode(text, "bases.lock") == lock
    assert contents.encode(contents.decode(text, "bases.lock")) == text
    assert lock.of(_RECIPE) == _IMAGE
    assert lock.of(msgspec.structs.replace(_RECIPE, tags=("24",))) is None


@pytest.mark.parametrize("text", [b"", b"{}", b'{"format": 2, "suite": "x", "images": []}', _NAMELESS, b"[" * 100_000])
def test_what_is_no_lock_file_is_an_error_that_names_it(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^bases\.lock: "):
        contents.decode(text, "bases.lock")


def test_a_recipe_asks_for_the_versions_of_the_lock_file_and_for_what_it_has_none_of_as_before() -> None:
    assert contents.pinned(_RECIPE, _IMAGE).packages == ("git=1:2.47", "curl")


def test_an_image_of_other_packages_than_the_lock_file_has_is_an_error_that_names_some() -> None:
    other = msgspec.structs.replace(_IMAGE, packages={"git": "1:2.48", "libc6": "2.41"})
    many = msgspec.structs.replace(_IMAGE, packages={f"p{number}": "1" for number in range(9)})

    contents.check(_IMAGE, _IMAGE)
    with pytest.raises(ConfigError, match=r"git 1:2\.47 -> 1:2\.48, libc6 absent -> 2\.41, zlib1g 1\.3 -> absent$"):
        contents.check(other, _IMAGE)
    with pytest.raises(ConfigError, match=r" and 6 more$"):
        contents.check(many, _IMAGE)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("archives", {"yarn@1.22.22": "c" * 64}, r"yarn@1\.22\.22 bbb[b]+ -> ccc[c]+$"),
        ("archives", {}, r"yarn@1\.22\.22 bbb[b]+ -> absent$"),
        ("on", "debian:bookworm", "on debian:trixie -> debian:bookworm$"),
    ],
)
def test_an_image_of_other_archives_or_on_another_image_is_an_error(field: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        contents.check(msgspec.structs.replace(_IMAGE, **{field: value}), _IMAGE)


def test_a_lock_file_has_every_image_that_is_to_be_what_it_says() -> None:
    root = Recipe(name="debian", tags=("trixie",), command=("sh",))
    recipes = Recipes(root=Root(suite="trixie", include=(), exclude=(), env={}), images=(root, _RECIPE))
    below = msgspec.structs.replace(_IMAGE, name="library/debian", tags=("trixie",), on=None)
    lock = Lock(suite="trixie", images=(_IMAGE, below))

    contents.require(lock, recipes)
    with pytest.raises(ConfigError, match=r"does not have library/debian:trixie$"):
        contents.require(Lock(suite="trixie", images=(_IMAGE,)), recipes)
    with pytest.raises(ConfigError, match=r"is of bookworm, and images are made of trixie$"):
        contents.require(msgspec.structs.replace(lock, suite="bookworm"), recipes)


def test_what_was_not_made_stays_in_the_lock_file_and_what_was_made_is_replaced() -> None:
    other = msgspec.structs.replace(_IMAGE, name="library/golang")
    anew = msgspec.structs.replace(_IMAGE, digest="sha256:" + "c" * 64)
    earlier, made = Lock(suite="trixie", images=(_IMAGE, other)), Lock(suite="trixie", images=(anew,))

    assert contents.merged(earlier, made).images == (other, anew)
    assert contents.merged(None, made) == made
    assert contents.merged(msgspec.structs.replace(earlier, suite="bookworm"), made) == made
