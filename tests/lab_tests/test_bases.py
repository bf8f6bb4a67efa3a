import re
from collections import Counter

import msgspec
import pytest

from orchestrator.bases import dockerfile
from orchestrator.bases.recipes import Archive, Recipe, load
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
        {"url": "http://registry.npmjs.org/a.tgz"},
        {"url": "https://registry.npmjs.org/a b.tgz"},
        {"into": "usr/local"},
        {"into": "/usr; true"},
        {"executable": ["bin/$(id)"]},
        {"md5": "0"},
    ],
)
def test_an_archive_that_is_not_pinned_and_plain_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "url": "https://registry.npmjs.org/a.tgz",
        "sha256": "0" * 64,
        "strip": 1,
        "into": "/usr/local",
    }
    msgspec.convert(good, type=Archive)

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, **change}, type=Archive)


def test_every_archive_is_fetched_by_digest_and_no_toolchain_comes_from_elsewhere() -> None:
    for recipe in load().images[1:]:
        text = dockerfile.for_image(recipe, base="debian:trixie-slim")

        assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) in (["debian:trixie-slim"], ["debian:trixie-slim"] * 2)
        assert len(re.findall(r"^ADD --checksum=sha256:[0-9a-f]{64} https://", text, re.MULTILINE)) == len(
            recipe.archives
        )
        assert text.count("ADD ") == len(recipe.archives)


def test_a_key_changes_with_its_recipe_and_the_certificates_and_with_nothing_else() -> None:
    def keys(port: int, certificates: dict[str, bytes]) -> dict[str, str]:
        return {base.recipe.name: base.key for base in bases(f"127.0.0.1:{port}", certificates=certificates)}

    first = keys(1001, {})
    elsewhere = keys(1002, {})
    intercepted = keys(1001, {"ca.crt": b"certificate"})

    assert first == elsewhere
    assert all(first[name] != intercepted[name] for name in first)
    assert len(set(first.values())) == len(first)


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
    assert len(bases(lab.registry, certificates=certificates())) == 4
