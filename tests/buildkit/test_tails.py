"""The end of a step's output: bounded, of both streams, and only of steps that did not end well."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import Log, StatusUpdate, Vertex
from orchestrator.buildkit.tails import LINES, LogTails

OUT, ERR = 1, 2


def log(data: bytes, stream: int = OUT, vertex: str = "v") -> StatusUpdate:
    return StatusUpdate(logs=(Log(vertex=vertex, data=data, stream=stream),))


def ended(digest: str, error: str | None = None) -> StatusUpdate:
    vertex = Vertex(digest=digest, name="", inputs=(), started=1, completed=2, cached=False, error=error)
    return StatusUpdate(vertexes=(vertex,))


@pytest.mark.parametrize(
    ("output", "error", "shown"),
    [
        (3, 2, ["out 0", "out 1", "out 2", "err 0", "err 1"]),
        (100, 0, [f"out {number}" for number in range(80, 100)]),
        (0, 100, [f"err {number}" for number in range(80, 100)]),
        (100, 1, [*(f"out {number}" for number in range(81, 100)), "err 0"]),
        (100, 100, [*(f"out {number}" for number in range(90, 100)), *(f"err {number}" for number in range(90, 100))]),
        (1, 100, ["out 0", *(f"err {number}" for number in range(81, 100))]),
    ],
)
def test_the_last_lines_are_of_both_streams(output: int, error: int, shown: list[str]) -> None:
    tails = LogTails()

    tails.feed(log("".join(f"err {number}\n" for number in range(error)).encode(), ERR))
    tails.feed(log("".join(f"out {number}\n" for number in range(output)).encode(), OUT))

    assert list(tails.of("v")) == shown


def test_a_step_that_ended_well_is_forgotten_and_a_failed_one_is_not() -> None:
    tails = LogTails()

    for vertex, error in (("good", None), ("bad", "exit code: 1")):
        tails.feed(log(b"words", vertex=vertex))
        tails.feed(ended(vertex, error))

    assert (tails.of("good"), tails.of("bad")) == ((), ("words",))


def test_a_step_is_found_by_the_error_that_the_build_repeats() -> None:
    tails = LogTails()
    tails.feed(ended("other", "context canceled"))
    tails.feed(ended("mine", "exit code: 7"))

    assert tails.step_behind("executor failed: exit code: 7") == "mine"
    assert tails.step_behind("something else") is None


def test_a_log_of_many_pieces_costs_next_to_nothing() -> None:
    tails = LogTails()
    piece = log(b"x" * 199 + b"\n")

    began = time.process_time()
    for _ in range(100_000):
        tails.feed(piece)

    assert time.process_time() - began < 1
    assert len(tails.of("v")) == LINES


@given(st.lists(st.tuples(st.binary(max_size=3000), st.integers(0, 3)), max_size=20))
def test_whatever_is_printed_little_is_kept(pieces: list[tuple[bytes, int]]) -> None:
    tails = LogTails()

    for data, stream in pieces:
        tails.feed(log(data, stream))

    assert len(tails.of("v")) <= LINES
    assert sum(map(len, tails.of("v"))) <= 2 * 4096
