"""What was chosen once is kept: no newer release, and no newer default, changes what is built."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import releases, versions
from langs.model import Choice, Releases, Settings
from tests.langs.conftest import Write
from tests.langs.test_apps import CASES, build, settings_of

TABLE = Releases(read="9999-12-31", newest_first=((22, 1, 0), (20, 11, 0), (20, 1, 0), (18, 20, 0)))


def of_another_day() -> Mapping[str, Releases]:
    """All tools with one release more in each of their lines, and a line more."""
    found: dict[str, Releases] = {}
    for name in releases.tools():
        known = releases.shipped(name)
        more = {(*each[:-1], each[-1] + 400) for each in known.newest_first}
        newest = known.newest_first[0]
        more.add((newest[0] + 50, *newest[1:]))
        ordered = tuple(sorted({*known.newest_first, *more}, reverse=True))
        found[name] = msgspec.structs.replace(known, read="9999-12-31", newest_first=ordered)
    return found


@pytest.mark.parametrize("case", CASES)
def test_no_release_that_comes_out_changes_an_app_whose_choices_are_kept(case: str) -> None:
    settings = settings_of(case)
    built = build(case, settings)
    locked = {choice.tool: choice.value for choice in built.chosen}

    later = build(case, msgspec.structs.replace(settings, locked=locked, releases=of_another_day()))

    assert later.dockerfile == built.dockerfile
    assert {choice.tool: choice.value for choice in later.chosen} == locked
    assert all(choice.locked for choice in later.chosen)
    # Whatever no file states is a choice.
    if built.version is not None and built.version.source == "default":
        assert built.language in locked


def test_another_release_is_another_choice_where_nothing_is_kept(write: Write) -> None:
    root = write({"package.json": '{"engines": {"node": ">=20"}}', "server.js": "createServer()"})

    built = langs.build(root, Settings())
    later = langs.build(root, Settings(releases=of_another_day()))

    [first], [second] = built.chosen, later.chosen
    assert first.tool == second.tool == "nodejs"
    assert first.value != second.value
    assert first.value in built.dockerfile
    assert second.value in later.dockerfile


@pytest.mark.parametrize(
    ("said", "locked", "value", "kept"),
    [
        (">=20", "20.1.0", "20.1.0", True),
        ("^20", "20.1.0", "20.1.0", True),
        ("^20", "18.20.0", "20.11.0", False),
        # No release that we know, and it lies inside all the same.
        ("^20", "20.99.7", "20.99.7", True),
        ("*", "18.20.0", "18.20.0", True),
        (None, "18.20.0", "18.20.0", True),
        ("latest", "18.20.0", "18.20.0", True),
        ("lts/*", "20.11.0", "20.11.0", True),
        ("lts/-1", "20", "20", True),
        ("20", "20.1.0", "20", None),
        ("20.11.0", "20.1.0", "20.11.0", None),
        (">=20 18.20.0", "20.1.0", "20.1.0", True),
        (">=18 >=20", "18.20.0", "22.1.0", False),
        (">=18 20.11.0", "18.20.0", "20.11.0", None),
        # Written by others, who may write anything.
        ("^20", "20.1.0 AS builder", "20.11.0", False),
        ("^20", "", "20.11.0", False),
        ("^20", "20.1.0.1", "20.11.0", False),
        ("^20", "²0", "20.11.0", False),
    ],
)
def test_a_choice_is_kept_as_long_as_the_files_leave_it(
    said: str | None,
    locked: str,
    value: str,
    kept: bool | None,  # noqa: FBT001 -- a parameter
) -> None:
    words = (said or "").split()
    stated = [versions.npm(text, source=name) for text, name in zip(words, "abc", strict=False)]
    chosen: dict[str, Choice] = {}
    settings = Settings(releases={"nodejs": TABLE}, locked={"nodejs": locked, "go": "9"}, chosen=chosen)

    version, _ = versions.resolve(stated, settings=settings, table="nodejs", default="22.1.0", line=1)

    assert version.value == value
    assert {tool: (choice.value, choice.locked) for tool, choice in chosen.items()} == (
        {} if kept is None else {"nodejs": (value, kept)}
    )


def test_a_channel_of_rust_stays_at_what_it_meant(write: Write) -> None:
    root = write(
        {
            "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\n',
            "Cargo.lock": "version = 4\n",
            "src/main.rs": "fn main() {}\n",
            "rust-toolchain": "stable\n",
        }
    )

    built = langs.build(root, Settings(locked={"rust": "1.80.0"}))

    assert built.version is not None
    assert (built.version.value, built.version.source) == ("1.80.0", "rust-toolchain")
    assert "rust:1.80.0" in built.dockerfile


@pytest.mark.parametrize("locked", ["21.0.2", "0", "99", "8"])
def test_a_version_that_nobody_reckons_with_is_no_crash(write: Write, locked: str) -> None:
    root = write({"pom.xml": POM, "src/main/java/App.java": "class App { public static void main(String[] a) {} }"})

    built = langs.build(root, Settings(locked={"java": locked}, run_command="java -jar app.jar"))

    assert built.version is not None
    assert built.version.value == (locked if "." not in locked else "21")


POM = """\
<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>app</artifactId><version>1</version></project>
"""


@given(st.text(max_size=30))
def test_whatever_is_kept_is_a_legal_tag(locked: str) -> None:
    settings = Settings(locked={"nodejs": locked})

    version, _ = versions.resolve([], settings=settings, table="nodejs", default="22.16.0", line=1)

    assert set(version.value) <= set("0123456789.")
    assert version.value
