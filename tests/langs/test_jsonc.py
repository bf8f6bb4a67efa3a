"""JSON with comments and trailing commas."""

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import jsonc
from langs.errors import LangError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.sampled_from(["// a", "/* b */", ",]", '"']),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NOISE = st.sampled_from(["", " ", "\n", "\r\n\t", '// , ] } "\n', '/* , ] } " */', "/**/", "/***/", "/*//*/ //*/\n"])


def noisy(value: object, draw: st.DataObject) -> str:
    """`value` with comments between all tokens, and commas where they mean nothing."""

    def noise() -> str:
        return draw.draw(NOISE)

    def comma(*, after: bool) -> str:
        return "," if after and draw.draw(st.booleans()) else ""

    if isinstance(value, list):
        values = cast("list[object]", value)
        inner = ",".join(noisy(each, draw) for each in values)
        return f"{noise()}[{inner}{comma(after=bool(values))}{noise()}]{noise()}"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        inner = ",".join(f"{noise()}{json.dumps(key)}{noise()}:{noisy(each, draw)}" for key, each in pairs.items())
        return f"{noise()}{{{inner}{comma(after=bool(pairs))}{noise()}}}{noise()}"
    return f"{noise()}{json.dumps(value)}{noise()}"


@given(VALUES, st.data())
def test_comments_and_trailing_commas_mean_nothing(value: object, draw: st.DataObject) -> None:
    assert jsonc.parse(noisy(value, draw), object, "deno.json") == value


@given(st.text() | st.text('{}[],:"/*\\ \n1a'))
def test_any_text_is_understood_or_an_error(text: str) -> None:
    try:
        plain = jsonc.plain(text, "deno.json")
        jsonc.parse(text, object, "deno.json")
    except LangError:
        return

    assert len(plain) == len(text)
    assert plain.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("{,}", "not valid JSON"),
        ("[1,,]", "not valid JSON"),
        ('{"a": 1 /* ', "does not end"),
        ("[" * 100_000, "nested too deeply"),
        ("/" * 100_000, "not valid JSON"),
        ('"' * 99_999, "not valid JSON"),
        ("/*" * 100_000, "does not end"),
    ],
)
def test_what_is_no_such_json_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(LangError, match=problem) as caught:
        jsonc.parse(text, object, "deno.jsonc")

    assert caught.value.file == "deno.jsonc"


def test_a_comment_that_does_not_end_is_named_by_its_line() -> None:
    with pytest.raises(LangError) as caught:
        jsonc.parse('{\n  "a": 1\n  /* b\n', object, "deno.json")

    assert caught.value.line == 3
