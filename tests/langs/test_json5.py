"""JSON5: the words that it has beside JSON's, and what is none."""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import json5
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
LOCK = "lockfileVersion: '9.0'\n"
FILES = {"pnpm-lock.yaml": LOCK, "server.js": "require('node:http')\n"}
MANIFEST = "// ours\n{name: 'a', type: 'module', scripts: {start: 'node server.js', build: 'tsc'},}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1, $b_1: 2, 'c d': 3, \"e\": 4,}", {"a": 1, "$b_1": 2, "c d": 3, "e": 4}),
        ("['it\\'s', '\"', \"'\", 'a\\\nb', '\\x41\\u0042\\q\\v\\0']", ["it's", '"', "'", "ab", "ABq\v\0"]),
        ("[0x1F, -0xa, +1, .5, 2., -1e3]", [31, -10, 1, 0.5, 2.0, -1000.0]),
        ("[Infinity, -Infinity, NaN, true, false, null]", [None, None, None, True, False, None]),
        ("/* a */ {a /* b */: [1, // c\n 2,],}", {"a": [1, 2]}),
        ("\ufeff{ünïcode: 1, true: 2}", {"ünïcode": 1, "true": 2}),
    ],
)
def test_the_words_of_json5(text: str, value: object) -> None:
    assert json5.parse(text, object, "package.json5") == value


@pytest.mark.parametrize(
    "text",
    ["", "{a}", "{a: b}", "[1,,]", "{,}", "[,]", "{1a: 1}", "'a", "/* a", "{a: 1} b", "[1 2]", "[" * 50_000, "'a\nb'"],
)
def test_what_is_no_json5_is_an_error(text: str) -> None:
    with pytest.raises(LangError) as caught:
        json5.parse(text, object, "package.json5")

    assert caught.value.file == "package.json5"


@given(VALUES)
def test_all_json_is_json5(value: object) -> None:
    assert json5.parse(json.dumps(value), object, "a") == value
    assert json5.parse(json.dumps(value, ensure_ascii=False, indent=1), object, "a") == value


@given(st.text() | st.text(alphabet="{}[]:,'\"/*\\ \nax01.+-e$"))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    with suppress(LangError):
        json5.parse(text, object, "a")


def test_package_json5_is_installed_by_pnpm(write: Write) -> None:
    built = langs.build(write({**FILES, "package.json5": MANIFEST}), Settings())

    assert built.package_manager == "pnpm"
    assert built.start_command == "node server.js"
    assert "COPY package.json5 pnpm-lock.yaml ./" in built.dockerfile
    assert "pnpm install --frozen-lockfile" in built.dockerfile
    assert "pnpm run build" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"package.json5": MANIFEST, "package-lock.json": "{}"}, "pnpm alone"),
        ({"package.json5": MANIFEST, "yarn.lock": ""}, "pnpm alone"),
        ({"package.json5": "{packageManager: 'npm@10.0.0'}", **FILES}, "pnpm alone"),
        ({"package.json5": "{name: }", **FILES}, "not valid JSON"),
    ],
)
def test_what_nobody_could_install_is_an_error(write: Write, files: Mapping[str, str], text: str) -> None:
    with pytest.raises(LangError, match=text) as caught:
        langs.build(write({"server.js": "require('node:http')\n", **files}), Settings())

    assert caught.value.file == "package.json5"


def test_package_json_comes_before_package_json5(write: Write) -> None:
    plain = {"package.json": '{"scripts": {"start": "node server.js"}}', "package-lock.json": "{}"}

    built = langs.build(write({**FILES, **plain, "package.json5": "{scripts: {start: 'x'}}"}), Settings())

    assert built.start_command == "node server.js"
