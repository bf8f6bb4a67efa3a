import re
from importlib.resources import files

import msgspec
import pytest
from msgspec.structs import replace

from orchestrator.bases import dockerfile
from orchestrator.bases.recipes import Archive, Recipe, Recipes, load
from tests.lab import Lab
from tests.lab.bases import COMMON, bases, certificates, ensure, everything, repositories
from tests.lab.errors import LabError
from tests.lab.state import Layout


def recipe_of(name: str = "x", tag: str = "1", **more: object) -> Recipe:
    return msgspec.convert({"name": name, "tags": [tag], "command": ["x"], **more}, type=Recipe)


def test_what_an_image_stands_on_comes_before_it_and_no_name_is_given_twice() -> None:
    root = load().root
    first, second = recipe_of(), recipe_of("y", on="x:1")

    Recipes(root=root, images=(first, second))

    with pytest.raises(ValueError, match="y:1 stands on x:1, which no image before it is called"):
        Recipes(root=root, images=(second, first))
    with pytest.raises(ValueError, match="two images are called x:1"):
        Recipes(root=root, images=(first, recipe_of(tag="2", aliases=["1"], holds="x 2")))
    with pytest.raises(msgspec.ValidationError, match="does not say what it holds"):
        recipe_of(aliases=["2"])


def test_what_is_chosen_comes_with_what_it_stands_on_and_nothing_else() -> None:
    chosen = load().only({"maven"})

    assert [recipe.names[0] for recipe in chosen.images] == [
        *("debian:trixie-slim", "eclipse-temurin:21-jre", "eclipse-temurin:21-jdk"),
        "maven:3-eclipse-temurin-21",
    ]


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("node", "library/node"),
        ("oven/bun", "oven/bun"),
        ("mcr.microsoft.com/dotnet/sdk", "dotnet/sdk"),
    ],
)
def test_an_image_lies_where_a_mirror_of_its_registry_has_it(name: str, repository: str) -> None:
    assert recipe_of(name).repository == repository


def test_images_are_chosen_by_language_and_by_repository() -> None:
    assert repositories(["go"]) == {"golang", "debian"}
    assert repositories(["oven/bun", "python"]) == {"oven/bun", "python"}
    with pytest.raises(LabError, match="there is no language and no base image cobol, node:22") as caught:
        repositories(["node", "node:22", "cobol"])
    assert "golang" in caught.value.hint
    assert everything() > COMMON


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"pypi": "a"},
        {"pypi": "a>=1"},
        {"pypi": "--index-url==1"},
        {"pypi": "a==1 b"},
        {"pypi": "https://a.example/a.whl"},
        {"pypi": None},
        {"pypi": None, "go": "a.example/a"},
        {"pypi": None, "go": "a.example/a@latest"},
        {"pypi": None, "go": "-x@v1.0.0"},
        {"go": "a.example/a@v1.0.0"},
        {"directory": "/a"},
        {"directory": "../a"},
        {"into": "usr/local"},
        {"into": "/usr; true"},
        {"executable": ["bin/$(id)"]},
        {"file": "a.jar"},
        {"directory": None},
        {"directory": None, "file": "../a.jar"},
        {"pypi": None, "npm": "@a/b"},
        {"pypi": None, "npm": "@a/b@latest"},
        {"pypi": None, "npm": "../b@1.0.0"},
        {"pypi": None, "maven": "a:b:1.0"},
        {"pypi": None, "maven": "a:b:LATEST:jar"},
        {"pypi": None, "maven": "a/../c:b:1.0:jar"},
        {"npm": "a@1.0.0"},
        {"md5": "0"},
    ],
)
def test_an_archive_that_is_not_pinned_and_plain_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {"pypi": "a==1.0", "sha256": "0" * 64, "directory": "a", "into": "/usr/local"}
    msgspec.convert(good, type=Archive)

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, **change}, type=Archive)


def test_no_recipe_says_where_packages_are_served() -> None:
    data = files("orchestrator.bases").joinpath("recipes.toml").read_text()

    assert "://" not in data


def test_every_archive_comes_from_the_context_by_its_digest_and_no_toolchain_from_elsewhere() -> None:
    for recipe in load().images[1:]:
        text = dockerfile.for_image(recipe, base="debian:trixie-slim")

        assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["debian:trixie-slim"]
        assert re.findall(r"^(?:ADD|COPY) --", text, re.MULTILINE) == []
        assert re.findall(r"^ADD (\S+)", text, re.MULTILINE) == [f"{archive.sha256}.tar" for archive in recipe.archives]
        assert "://" not in text


def test_a_key_changes_with_its_recipe_and_the_certificates_and_with_nothing_else() -> None:
    recipes = load()

    def keys(recipes: Recipes, port: int, certificates: dict[str, bytes]) -> dict[str, str]:
        wanted = bases(recipes, f"127.0.0.1:{port}", certificates=certificates)
        return {base.recipe.names[0]: base.key for base in wanted}

    def changed(archive: Archive) -> Recipes:
        return replace(
            recipes,
            images=tuple(
                replace(recipe, archives=tuple(archive if had.go else had for had in recipe.archives))
                for recipe in recipes.images
            ),
        )

    (toolchain,) = (archive for recipe in recipes.images for archive in recipe.archives if archive.go)
    first = keys(recipes, 1001, {})
    elsewhere = keys(recipes, 1002, {})
    intercepted = keys(recipes, 1001, {"ca.crt": b"certificate"})
    others = [
        keys(changed(replace(toolchain, **change)), 1001, {})
        for change in ({"sha256": "0" * 64}, {"directory": "other"}, {"into": "/opt/go"}, {"executable": ()})
    ]

    assert first == elsewhere
    assert all(first[name] != intercepted[name] for name in first)
    assert len(set(first.values())) == len(first)
    changed_names = [{name for name in first if first[name] != other[name]} for other in others]
    assert changed_names == [{"golang:1.25.0"}] * len(others)


def test_a_key_changes_with_what_the_image_stands_on() -> None:
    recipes = load().only({"maven"})
    changed = replace(
        recipes,
        images=tuple(
            replace(recipe, packages=("x",)) if recipe.names[0] == "eclipse-temurin:21-jdk" else recipe
            for recipe in recipes.images
        ),
    )

    first, second = (bases(each, "127.0.0.1:1", certificates={}) for each in (recipes, changed))

    assert [one.key == other.key for one, other in zip(first, second, strict=True)] == [True, True, False, False]


def test_a_key_tells_apart_inputs_that_only_join_to_the_same_bytes() -> None:
    one = dockerfile.key("FROM scratch", inputs={"a": b"1", "b": b"2"})
    other = dockerfile.key("FROM scratch", inputs={"a": b"1\nb\n1\n2"})

    assert one != other


def test_values_of_env_and_command_are_quoted() -> None:
    command = ("sh", "-c", 'echo "x"')
    recipe = Recipe(name="x", tags=("1",), prepare=("mkdir a", "mkdir b"), env={"A": 'b "c" d'}, command=command)

    first, second, third, last = dockerfile.for_image(recipe, base="debian").splitlines()

    assert (first, second) == ("FROM debian", "RUN mkdir a && mkdir b")
    assert (third, last) == ('ENV A="b \\"c\\" d"', 'CMD ["sh", "-c", "echo \\"x\\""]')


@pytest.mark.real
async def test_a_filled_registry_is_left_as_it_is(lab: Lab) -> None:
    said: list[str] = []

    await ensure(lab, Layout(root=lab.state), installed=True, say=said.append)

    assert said == []
    assert len(bases(load().only(COMMON), lab.registry, certificates=certificates())) == 4
