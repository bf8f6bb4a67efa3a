"""YAML of untrusted files: what it says, and that nothing in it is dangerous."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import yamltext
from langs.errors import LangError

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: yes\nb: 1.10\nc: 08:30\nd: 0o17", {"a": "yes", "b": "1.10", "c": "08:30", "d": "0o17"}),
        ("a:\nb: ~\nc: null\nd: ''\ne: 'null'", {"a": None, "b": None, "c": None, "d": "", "e": "null"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": "1", "c": "2"}, "d": {"b": "1", "c": "3"}}),
        (
            "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}",
            {"x": {"a": "1"}, "y": {"a": "2", "b": "2"}, "z": {"a": "1", "b": "2"}},
        ),
        ("'<<': a", {"<<": "a"}),
        ("a: !!python/object/apply:os.system ['id']", {"a": ["id"]}),
    ],
)
def test_a_scalar_is_the_text_that_was_written(text: str, value: object) -> None:
    assert yamltext.load(text, "f.yaml") == value


@pytest.mark.parametrize(
    ("text", "match", "line"),
    [
        (BOMB, "aliases counted", 5),
        ("- " * 100, "nested too deeply", 1),
        ("[" * 100_000, "nested too deeply", 1),
        ("{a: " * 1000, "nested too deeply", 1),
        ("a: 1\nb: &b [*b]", "stands for nothing", 2),
        ("a: *nobody", "stands for nothing", 1),
        ("a: 1\na: 2", "twice", 2),
        ("? [a]\n: b", "a key is no text", 1),
        ("a: {<<: b}", "merge key", None),
        ("a: b: c", "not valid YAML", 1),
        ("--- a\n--- b\n", "several documents", 2),
        ("a: \x00", "not valid YAML", None),
        ("x\n" * 60_000 + "a: b", "not valid YAML", None),
    ],
)
def test_what_is_wrong_or_dangerous_is_an_error(text: str, match: str, line: int | None) -> None:
    with pytest.raises(LangError, match=match) as caught:
        yamltext.load(text, "f.yaml")

    assert caught.value.file == "f.yaml"
    assert line is None or caught.value.line == line


def test_a_shape_that_was_not_expected_is_an_error() -> None:
    with pytest.raises(LangError, match="expected: Expected `object`") as caught:
        yamltext.yaml_as("services: [a]", dict[str, dict[str, str]], "f.yaml")

    assert caught.value.hint


@given(st.one_of(st.text(), st.text("ab:-?&*!|>%@[]{},#'\" \n\t<~")))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        value = yamltext.load(text, "f.yaml")
    except LangError:
        return

    assert value is None or isinstance(value, str | list | dict)


@given(
    st.recursive(
        st.none() | st.text(st.characters(codec="ascii", min_codepoint=32)),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert yamltext.load(json.dumps(value), "f.yaml") == value
