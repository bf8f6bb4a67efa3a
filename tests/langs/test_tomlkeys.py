"""Keys of TOML with more parts than the parser bears."""

import time
import tomllib

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langs import documents, tomlkeys
from langs.errors import LangError

DEEP = "a" + ".a" * tomlkeys.MAX_PARTS
MOST_SECONDS = 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{DEEP} = 1", 1),
        (f"x = 1\n[{DEEP}]", 2),
        (f"x = 1\n\n[[ {DEEP} ]]", 3),
        (f"x = {{ {DEEP} = 1 }}", 1),
        ("'a b'" + ' . "a.b"' * tomlkeys.MAX_PARTS + " = 1", 1),
        (f'x = """\n"a\\"""{"." * 30}""""", \n{DEEP} = 1', 3),
        (f"x = ['''a'''', {{{DEEP} = 1}}, '']", 1),
        (f"x = '\\' # '''\n{DEEP} = 1", 2),
        (f"x = 1 # it's \"{'.' * 30}\n{DEEP} = 1", 2),
    ],
)
def test_a_key_of_many_parts_is_found_before_it_is_parsed(text: str, line: int) -> None:
    assert tomlkeys.too_deep(text) == line


@pytest.mark.parametrize(
    "text",
    [
        DEEP.removesuffix(".a") + " = 1",
        f'x = "{DEEP}"',
        f"x = '{DEEP}'",
        f'x = """\n{DEEP}\n"""',
        f'x = """\n"" {DEEP} "\n"""""\ny = 1',
        f"x = '''{DEEP}'''",
        f"# {DEEP}",
        f"x = [{'1.5, ' * 100}]",
        f'"{DEEP}" = 1',
        f'x = "\\" {DEEP}"',
    ],
)
def test_dots_in_strings_comments_and_numbers_are_no_parts(text: str) -> None:
    tomllib.loads(text)

    assert tomlkeys.too_deep(text) is None


@pytest.mark.parametrize("text", ["a" + ".a" * 100_000 + " = 1", "[a" + ".a" * 100_000 + "]"])
def test_such_a_file_is_an_error_with_its_line_and_takes_no_time(text: str) -> None:
    began = time.monotonic()

    with pytest.raises(LangError, match="a key is nested too deeply") as caught:
        documents.toml_as(f"x = 1\n{text}", dict[str, object], "Cargo.toml")

    assert (caught.value.file, caught.value.line) == ("Cargo.toml", 2)
    assert time.monotonic() - began < MOST_SECONDS


@pytest.mark.parametrize("unit", ['"', "'", "'\"", '\\"""', "a ", "a" + ".a" * 11 + " ", "a . ", "#", "a.\t"])
def test_no_text_makes_the_look_slow(unit: str) -> None:
    text = '"""' + unit * (1_000_000 // len(unit)) + "." * 30
    began = time.monotonic()

    tomlkeys.too_deep(text)
    tomlkeys.too_deep(text[3:])

    assert time.monotonic() - began < MOST_SECONDS


_PARTS = st.lists(st.sampled_from(["a", "'.'", '"."', '"\\""', "1-_"]), min_size=1, max_size=16)
_VALUES = st.text(alphabet="ab.\"'\\#\n{}[]=, ", max_size=30)


@given(parts=_PARTS, before=_VALUES, dot=st.sampled_from([".", " . ", "\t."]))
@example(parts=["a"] * 13, before='"""a""""', dot=".")
def test_no_key_of_a_file_that_can_be_parsed_is_overlooked(parts: list[str], before: str, dot: str) -> None:
    text = f"before = {before}\n{dot.join(parts)} = 1"
    try:
        parsed = tomllib.loads(text)
    except ValueError:
        return
    deepest = max(_depths(parsed))

    found = tomlkeys.too_deep(text)

    assert (found is not None) == (deepest > tomlkeys.MAX_PARTS)


def _depths(value: object) -> list[int]:
    table = msgspec.convert(value, dict[str, object]) if isinstance(value, dict) else {}
    return [0, *(1 + depth for below in table.values() for depth in _depths(below))]
