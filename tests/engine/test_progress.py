"""From status updates to events."""

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import Log, StatusUpdate, Vertex, VertexStatus
from orchestrator.engine.progress import Progress
from orchestrator.events import StepCompleted, StepContinued, StepLog, StepStarted


def vertex(name: str, *, completed: bool = True, cached: bool = False, digest: str = "") -> Vertex:
    return Vertex(
        digest=digest or f"sha256:{name}",
        name=name,
        inputs=(),
        started=1.0,
        completed=3.5 if completed else None,
        cached=cached,
        error=None,
    )


def test_a_vertex_that_is_repeated_is_told_once() -> None:
    progress = Progress("api")
    running, done = vertex("[1/2] RUN a", completed=False), vertex("[1/2] RUN a")

    events = [
        *progress.feed(StatusUpdate(vertexes=(running, running))),
        *progress.feed(StatusUpdate(vertexes=(done, done))),
    ]

    assert [type(event) for event in events] == [StepStarted, StepCompleted]
    assert isinstance(events[1], StepCompleted)
    assert events[1].seconds == 2.5


def test_only_instructions_of_the_dockerfile_are_counted_as_steps() -> None:
    progress = Progress("api")
    names = [
        "[internal] load build context",
        "[builder 1/3] FROM docker.io/library/golang:1.25",
        "[1/2] FROM docker.io/library/debian:bookworm-slim",
        "exporting to image",
        "[builder 2/3] RUN make",
        "[2/2] COPY . .",
    ]

    list(progress.feed(StatusUpdate(vertexes=tuple(vertex(name, cached="COPY" in name) for name in names))))

    assert (progress.steps, progress.cached) == (2, 1)


def test_a_push_that_begins_when_the_export_is_done_is_a_step_of_its_own() -> None:
    progress = Progress("api")
    export = vertex("exporting to image")
    again = msgspec.structs.replace(export, started=3.5, completed=None)
    pushing = VertexStatus(
        vertex=export.digest, id="pushing layers", current=0, total=0, completed=True, began=3.5, ended=5.0
    )

    events = [
        *progress.feed(StatusUpdate(vertexes=(export,))),
        *progress.feed(StatusUpdate(vertexes=(again,), statuses=(pushing,))),
        *progress.feed(StatusUpdate(vertexes=(export,))),
        *progress.feed(StatusUpdate(vertexes=(msgspec.structs.replace(again, completed=5.0),))),
    ]

    done = [event for event in events if isinstance(event, StepCompleted)]
    assert [(event.name, event.started, event.seconds, event.push_seconds) for event in done] == [
        ("exporting to image", 1.0, 2.5, 0.0),
        ("pushing image", 3.5, 1.5, 1.5),
    ]
    assert done[0].step != done[1].step
    assert sum(isinstance(event, StepStarted) for event in events) == 2


def test_a_step_that_goes_on_after_its_end_is_told_of_once_more_with_what_it_moved() -> None:
    progress = Progress("api")
    found = vertex("[1/2] FROM x")
    again = msgspec.structs.replace(found, started=4.0, completed=None)
    pulled = VertexStatus(vertex=found.digest, id="sha256:layer", current=9, total=9, completed=True)
    done = msgspec.structs.replace(again, completed=6.0)

    events = [
        *progress.feed(StatusUpdate(vertexes=(found,))),
        *progress.feed(StatusUpdate(vertexes=(again,), statuses=())),
        *progress.feed(StatusUpdate(statuses=(pulled,))),
        *progress.feed(StatusUpdate(vertexes=(done,))),
        *progress.feed(StatusUpdate(vertexes=(found, done))),
    ]

    told = [(type(event), event.seconds) for event in events if isinstance(event, StepCompleted | StepContinued)]
    assert told == [(StepCompleted, 2.5), (StepContinued, 2.0)]
    [continued] = [event for event in events if isinstance(event, StepContinued)]
    assert (continued.started, continued.moved_bytes, continued.cached) == (4.0, 9, False)


def test_a_step_that_goes_on_for_nothing_is_told_of_only_if_it_turns_out_to_be_cached() -> None:
    progress = Progress("api")
    found = vertex("[1/2] FROM x")
    nothing = msgspec.structs.replace(found, started=4.0, completed=4.0001)
    cached = msgspec.structs.replace(found, started=5.0, completed=5.0001, cached=True)

    events = [
        event
        for update in (found, nothing, cached, cached)
        for event in progress.feed(StatusUpdate(vertexes=(update,)))
    ]

    assert [type(event) for event in events] == [StepStarted, StepCompleted, StepContinued]


def test_a_push_within_the_export_is_a_part_of_it() -> None:
    progress = Progress("api")
    export = vertex("exporting to image")
    pushes = tuple(
        VertexStatus(vertex=export.digest, id=name, current=0, total=0, completed=True, began=began, ended=ended)
        for name, began, ended in [("pushing layers", 2.0, 3.0), ("pushing manifest for x", 2.5, 3.25)]
    )

    events = list(progress.feed(StatusUpdate(vertexes=(export,), statuses=pushes)))

    [done] = [event for event in events if isinstance(event, StepCompleted)]
    assert (done.seconds, done.push_seconds) == (2.5, 1.25)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_output_cut_anywhere_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\r", b"")
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[low:high] for low, high in itertools.pairwise(edges)]
    progress = Progress("api")

    events = [
        event
        for piece in pieces
        for event in progress.feed(StatusUpdate(logs=(Log(vertex="v", data=piece, stream=1),)))
    ]
    events += progress.close()

    expected = data.decode(errors="replace").split("\n")
    expected = expected[:-1] if expected[-1] == "" else expected
    got = [event.text for event in events if isinstance(event, StepLog)]
    assert "\n".join(got).encode() == "\n".join(line for line in expected).encode()


def test_output_that_never_ends_its_line_is_not_kept_for_ever() -> None:
    progress = Progress("api")

    events = [
        event
        for _ in range(100)
        for event in progress.feed(StatusUpdate(logs=(Log(vertex="v", data=b"x" * 1000, stream=1),)))
    ]

    assert sum(len(event.text) for event in events if isinstance(event, StepLog)) >= 80_000
