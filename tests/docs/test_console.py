"""The reader of console blocks: what it would let pass, no document would ever fail for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs import console
from tests.docs.console import Step


def test_a_block_is_a_sequence_of_commands_with_their_output() -> None:
    block = "$ one\n$ two \\\n  --more\nprinted\n\nmore\n"

    assert console.steps_of(block) == (
        Step(command="one", shown=""),
        Step(command="two \\\n  --more", shown="printed\n\nmore"),
    )


def test_a_block_that_begins_with_output_is_refused() -> None:
    with pytest.raises(ValueError, match=r"begins with `\$ `"):
        console.steps_of("printed\n$ one\n")


@pytest.mark.parametrize(
    ("shown", "printed", "agreed"),
    [
        ("one\ntwo", "one\ntwo\n", True),
        ("one", "one\ntwo\n", False),
        ("one\n...\nfour", "one\ntwo\nthree\nfour\n", True),
        ("one\n...", "two\nthree", False),
        ("sha256:b1de6bea...", f"sha256:{'ab' * 32}", True),
        ("sha256:b1de6bea... end", f"sha256:{'ab' * 32} other", False),
        ("done in 0.4s: 127.0.0.1:5000/api", "done in 13.0s: 127.0.0.1:41605/api", True),
        ("api | #5 DONE 0.4s", "api | #12 DONE 0.0s", True),
        ("api | #5 DONE 0.4s", "api | #5 CACHED", False),
        ("(8 of 8 steps cached)", "(7 of 8 steps cached)", False),
        ("a.c", "abc", False),
    ],
)
def test_output_agrees_but_for_what_differs_from_run_to_run(shown: str, printed: str, *, agreed: bool) -> None:
    assert console.agrees(shown, printed) is agreed


@given(st.text())
def test_any_output_agrees_with_itself(text: str) -> None:
    assert console.agrees(text, text)


def test_a_command_has_a_status_and_an_output_of_both_streams() -> None:
    assert console.run("echo out; echo err >&2; exit 3", {}) == (3, "out\nerr\n")
