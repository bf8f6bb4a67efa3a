"""Compose's variables: the table of its specification, and texts made to be slow."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import interpolation
from langs.errors import LangError
from langs.files import AppFiles
from tests.langs.conftest import Write

GIVEN = {"SET": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$SET/${SET}", "value/value"),
        ("${NONE}|$NONE", "|"),
        ("${SET:-x}|${EMPTY:-x}|${NONE:-x}", "value|x|x"),
        ("${SET-x}|${EMPTY-x}|${NONE-x}", "value||x"),
        ("${SET:+x}|${EMPTY:+x}|${NONE:+x}", "x||"),
        ("${SET+x}|${EMPTY+x}|${NONE+x}", "x|x|"),
        ("${SET:?no}|${EMPTY?no}", "value|"),
        ("${NONE:-${SET}}", "value"),
        ("${NONE:-${ALSO_NONE:-x}}", "x"),
        ("$$SET costs $$5", "$SET costs $5"),
        ("${NONE:-a:b/c-d}", "a:b/c-d"),
    ],
)
def test_a_reference_is_what_the_specification_says(text: str, result: str) -> None:
    assert interpolation.substitute(text, GIVEN) == result


@pytest.mark.parametrize(
    "text", ["${NONE:?}", "${EMPTY:?needed}", "${NONE?needed}", "$5", "${", "${a b}", "$(id)", "$"]
)
def test_what_is_no_reference_or_lacks_its_value_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"needed|begins no variable"):
        interpolation.substitute(text, GIVEN)


def test_keys_and_what_is_no_text_stay() -> None:
    value = {"$SET": ["$SET", 1, None, {"a": "${NONE:-b}"}]}

    assert interpolation.interpolate(value, GIVEN) == {"$SET": ["value", 1, None, {"a": "b"}]}


def test_a_env_file_is_read_as_compose_reads_it(write: Write) -> None:
    files = AppFiles(
        write(
            {
                ".env": "# a\nA=1\nexport B='$A x' # y\nC=\"${A}2\"\nD=a b # c\nE=\nnothing\n F = g\nG=${NONE:-h}\n",
            }
        )
    )

    found = interpolation.read_env(files, ".env")

    assert found == {"A": "1", "B": "$A x", "C": "12", "D": "a b", "E": "", "F": "g", "G": "h"}


def test_a_env_file_that_demands_what_is_not_there_is_an_error(write: Write) -> None:
    with pytest.raises(LangError, match="NONE") as caught:
        interpolation.read_env(AppFiles(write({".env": "A=${NONE:?gone}\n"})), ".env")

    assert caught.value.file == ".env"


@pytest.mark.parametrize("text", ["${A:-" * 5000, "${A:-{" * 5000, "${A:-" * 5000 + "}" * 5000, "$" * 100_000])
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    began = time.process_time()

    with suppress(ValueError):
        interpolation.substitute(text, {})

    assert time.process_time() - began < 1


@given(st.one_of(st.text(), st.text("${}:-?+AB ")))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        interpolation.substitute(text, GIVEN)
    except ValueError:
        return
