import re
from collections import Counter
from importlib.resources import files

import msgspec
import pytest
from msgspec.structs import replace

from orchestrator.bases import dockerfile
from orchestrator.bases.recipes import Archive, Recipe, Recipes, load
from tests.lab import Lab
from tests.lab.bases import bases, certificates, ensure
from tests.lab.state import Layout


def test_the_recipes_that_ship_are_valid_and_no_name_is_given_twice() -> None:
    recipes = load()

    names = Counter(f"{recipe.name}:{tag}" for recipe in recipes.images for tag in recipe.tags)

    assert {recipe.name for recipe in recipes.images} == {"debian", "node", "python", "golang"}
    assert [name for name, times in names.items() if times > 1] == []


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
        assert re.findall(r"^ADD (\S+)", text, re.MULTILINE) == [f"{archive.sha256}.tar" for archive in recipe.archives]
        assert "://" not in text


def test_a_key_changes_with_its_recipe_and_the_certificates_and_with_nothing_else() -> None:
    recipes = load()

    def keys(recipes: Recipes, port: int, certificates: dict[str, bytes]) -> dict[str, str]:
        wanted = bases(recipes, f"127.0.0.1:{port}", certificates=certificates)
        return {base.recipe.name: base.key for base in wanted}

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
    assert [{name for name in first if first[name] != other[name]} for other in others] == [{"golang"}] * len(others)


def test_a_key_tells_apart_inputs_that_only_join_to_the_same_bytes() -> None:
    one = dockerfile.key("FROM scratch", inputs={"a": b"1", "b": b"2"})
    other = dockerfile.key("FROM scratch", inputs={"a": b"1\nb\n1\n2"})

    assert one != other


def test_values_of_env_and_command_are_quoted() -> None:
    recipe = Recipe(name="x", tags=("1",), env={"A": 'b "c" d'}, command=("sh", "-c", 'echo "x"'))

    text = dockerfile.for_image(recipe, base="debian")

    assert text.splitlines() == ["FROM debian", 'ENV A="b \\"c\\" d"', 'CMD ["sh", "-c", "echo \\"x\\""]']


@pytest.mark.real
async def test_a_filled_registry_is_left_as_it_is(lab: Lab) -> None:
    said: list[str] = []

    await ensure(lab, Layout(root=lab.state), installed=True, say=said.append)

    assert said == []
    assert len(bases(load(), lab.registry, certificates=certificates())) == 4
