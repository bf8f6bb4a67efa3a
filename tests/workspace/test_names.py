"""Names of apps: legal by fixed rules, unique, or an error that names both."""

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.registry import reference
from orchestrator.workspace.names import assign, legal


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("api", "api"),
        ("My App", "my-app"),
        ("Café", "cafe"),
        ("a__b", "a__b"),
        ("a--b", "a--b"),
        ("a..b", "a-b"),
        ("a._b", "a-b"),
        ("-x-", "x"),
        ("@scope", "scope"),
        ("a.b", "a.b"),
        ("x\n\x1b[31m", "x-31m"),
        ("日本", "app-cf2abf0c"),
        ("", "app-e3b0c442"),
    ],
)
def test_names_become_legal_by_fixed_rules(text: str, name: str) -> None:
    assert legal(text) == name


@given(st.text(max_size=300))
def test_any_text_becomes_a_legal_component_and_stays_it(text: str) -> None:
    name = legal(text)

    assert reference.parse(f"registry.example/{name}:x").path == name
    assert legal(name) == name


@given(st.text(st.characters(codec="utf-8"), min_size=101, max_size=150))
def test_a_long_name_keeps_its_identity(text: str) -> None:
    assert legal(text + "a") != legal(text + "b") or len(legal(text)) <= 100


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ({"apps/api": None, "apps/web": None}, ["api", "web"]),
        ({"apps/api": None, "old/api": None}, ["apps-api", "old-api"]),
        ({"apps/api": "first", "old/api": None}, ["first", "api"]),
        ({"apps/api": "api", "old/api": None}, ["api", "old-api"]),
        ({".": None}, ["shop"]),
        ({".": None, "services/shop": None}, ["shop", "services-shop"]),
        ({".": "root", "services/shop": None}, ["root", "shop"]),
        ({"a/API": None, "b/api": None}, ["a-api", "b-api"]),
    ],
)
def test_a_name_is_the_last_part_or_the_path_or_what_is_said(paths: dict[str, str | None], names: list[str]) -> None:
    assert list(assign(paths, "shop").values()) == names


@pytest.mark.parametrize(
    "paths",
    [
        {"a/x": "same", "b/y": "same"},
        {"a/api": None, "b/api": None, "c": "a-api"},
        {"a/b-c/x": None, "a-b/c/x": None},
        {"services/Api": None, "services/api": None},
    ],
)
def test_two_apps_with_one_name_are_an_error_that_names_both(paths: dict[str, str | None]) -> None:
    with pytest.raises(ConfigError) as caught:
        assign(paths, "shop")

    assert sum(repr(path) in caught.value.message for path in paths) == 2


@pytest.mark.parametrize(
    "path", ['odd/a"b', "odd/a\\b", "odd/a\x9bb", "odd/a\U000e0041b", "odd/a\x7fb", "odd/a\u202eb"]
)
def test_the_hint_holds_a_table_that_toml_reads_as_that_path(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        assign({"odd/a b": "same", path: "same"}, "shop")

    table, _, rest = caught.value.hint.partition("name = ")
    header = table.removeprefix("Give one of them another: ")
    assert rest
    assert header.isprintable()
    assert tomllib.loads(f"{header}\nname = 'x'\n") == {"apps": {path: {"name": "x"}}}


def test_a_name_that_toml_cannot_hold_is_not_advised_to_stand_in_it() -> None:
    with pytest.raises(ConfigError) as caught:
        assign({"a": "same", os.fsdecode(b"caf\xe9"): "same"}, "shop")

    assert "Rename one of the directories" in caught.value.hint
