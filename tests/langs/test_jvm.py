"""The Java release: every spelling that its files and the version managers know, and the order of the sources."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import jvm
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from tests.langs.conftest import Write


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("21", "21"),
        ("1.8", "8"),
        ("1.8.0_292", "8"),
        ("17.0.9", "17"),
        ("17.0.9-tem", "17"),
        ("temurin-21.0.2+13.0.LTS", "21"),
        ("openjdk64-11.0.2", "11"),
        ("zulu-17", "17"),
        ("temurin@1.11.0", "11"),
        ("graalvm-22.3.0+java17", "17"),
        ("22.3.r17-grl", "17"),
        ("semeru-openj9-17.0.5+8_openj9-0.35.0", "17"),
        ("JavaVersion.VERSION_17", "17"),
        ("VERSION_1_8", "8"),
        ("25-ea", "25"),
        ("lts", "21"),
        # No image of these was ever published: the next long-term release compiles for them.
        ("7", "8"),
        ("10", "11"),
        ("15", "17"),
    ],
)
def test_every_spelling_is_a_feature_release(text: str, release: str) -> None:
    assert jvm.statement(text, source="x").exact == release


@pytest.mark.parametrize("text", ["", "java", "17 ; rm -rf /", "17\nRUN x", "$(id)", "٢١", "-17", "210", "1" * 100])
def test_what_is_no_release_names_file_and_text(text: str) -> None:
    with pytest.raises(LangError, match="is not understood") as caught:
        jvm.statement(text, source=".java-version", file=".java-version")

    assert caught.value.file == ".java-version"
    assert "21" in caught.value.hint


@given(st.one_of(st.text(), st.text("0123456789.-_+avzj@"), st.from_regex(r"\A[a-z]{0,9}-?[0-9]{1,2}\.[0-9.]*\Z")))
def test_whatever_is_stated_the_release_is_a_legal_tag(text: str) -> None:
    try:
        found = jvm.statement(text, source="x")
    except LangError:
        return

    assert re.fullmatch(r"[0-9]{1,2}", found.exact or "", re.ASCII)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ("21", "default")),
        ({"mise.toml": '[tools]\njava = "temurin-17"\n'}, ("17", "mise.toml")),
        ({".tool-versions": "java zulu-11.0.1\n"}, ("11", ".tool-versions")),
        (
            {"system.properties": "java.runtime.version=17\n", ".tool-versions": "java 17\n"},
            ("17", "system.properties"),
        ),
        ({".sdkmanrc": "# c\njava=21.0.2-tem\n", "system.properties": "java.runtime.version=21"}, ("21", ".sdkmanrc")),
        ({".java-version": "11.0\n", ".sdkmanrc": "java=11.0.2-tem\n"}, ("11", ".java-version")),
    ],
)
def test_the_first_source_wins(write: Write, files: Mapping[str, str], expected: tuple[str, str]) -> None:
    version, warnings = jvm.java_version(AppFiles(write(files)), Settings())

    assert (version.value, version.source) == expected
    assert not warnings


def test_configuration_forces_the_release_of_every_language_of_the_jvm(write: Write) -> None:
    settings = Settings(versions={"java": Version(value="17", source="$JAVA_VERSION")})

    version, warnings = jvm.java_version(AppFiles(write({".java-version": "21"})), settings)

    assert (version.value, version.source) == ("17", "$JAVA_VERSION")
    assert len(warnings) == 1


def test_a_compilers_target_below_the_chosen_release_is_no_contradiction(write: Write) -> None:
    files = AppFiles(write({".java-version": "21"}))

    _, agreed = jvm.java_version(files, Settings(), [jvm.level("17", source="pom.xml")])
    _, warned = jvm.java_version(files, Settings(), [jvm.level("25", source="pom.xml")])

    assert not agreed
    assert len(warned) == 1
    assert "pom.xml" in warned[0]


def test_a_release_without_an_image_is_replaced_with_a_warning(write: Write) -> None:
    version, warnings = jvm.java_version(AppFiles(write({".java-version": "15"})), Settings())

    assert version.value == "17"
    assert "Java 15" in warnings[0]
