"""Pictures of the table, for any events in any order, any text and any terminal."""

import re
from contextlib import closing

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyte.modes import LNM
from rich.cells import cell_len

from orchestrator.display.table.board import Board
from orchestrator.display.table.frame import Look, frame
from orchestrator.display.table.screen import Table
from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepProgress,
    StepStarted,
)
from orchestrator.text import duration, inline, size

FLAGS = "\N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}" * 60
"""Two columns each for rich, four for pyte: terminals differ, too."""
_SGR = re.compile(r"\x1b\[[\d;]*m")
_SEQUENCES = re.compile(r"\r|\n|\x1b\[(?:\?7[lh]|\d+A|K|J|[\d;]*m)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "[builder 2/6] RUN make",
            "[1/6] FROM x",
            "\x1b[2J\x1b]0;title\x07",
            "\x9b31m",
            "[bold red]x[/bold red]",
            "\u202egnp.exe",
            "日本語" * 20,
            "e" + "\u0301" * 200,
            FLAGS,
            "👨\u200d👩\u200d👧",
            "a\tb\r\nc",
            "\ud800",
        ]
    ),
)
apps = st.one_of(st.sampled_from(["a", "b", "c"]), texts)
times = st.floats(0, 4e9)
counts = st.integers(0, 2**70)
plain_look = Look(colour=False, unicode=True)


def events() -> st.SearchStrategy[Event]:
    common = {"time": times, "app": apps}
    step = {**common, "step": texts, "name": texts}
    return st.one_of(
        st.builds(RunStarted, time=times, apps=st.lists(apps).map(tuple), builder=texts),
        st.builds(AppStarted, **common, host=texts, image=texts, language=texts),
        st.builds(StepStarted, **step),
        st.builds(StepProgress, **step, activity=texts, current=counts, total=counts),
        st.builds(StepCompleted, **step, cached=st.booleans(), seconds=times, error=st.none() | texts),
        st.builds(StepLog, **common, step=texts, text=texts),
        st.builds(AppWarning, time=times, app=st.none() | apps, message=texts, hint=st.none() | texts),
        st.builds(
            AppCompleted,
            **common,
            image=texts,
            tags=st.lists(texts, max_size=2).map(tuple),
            digest=texts,
            seconds=times,
            steps=counts,
            cached=counts,
            sent_bytes=counts,
        ),
        st.builds(AppFailed, **common, kind=texts, message=texts, hint=texts, transient=st.booleans(), seconds=times),
        st.builds(AppCancelled, **common, reason=st.just("interrupted")),
        st.builds(
            RunCompleted,
            time=times,
            exit_code=st.just(1),
            seconds=times,
            succeeded=counts,
            failed=counts,
            cancelled=counts,
        ),
    )


@given(
    st.lists(events(), max_size=20),
    st.integers(1, 200),
    st.integers(1, 30),
    times,
    st.builds(Look, colour=st.booleans(), unicode=st.booleans()),
)
@settings(max_examples=50, deadline=None)
def test_a_picture_fits_its_terminal_and_steers_nothing(
    happened: list[Event], columns: int, lines: int, now: float, look: Look
) -> None:
    board = Board()
    for event in happened:
        board.apply(event)

    picture = frame(board.view(), columns=columns, lines=lines, now=now, look=look)

    bare = [_SGR.sub("", line) for line in picture]
    assert look.colour or bare == list(picture)
    assert len(picture) <= max(0, lines - 1)
    assert all(_CONTROL.search(line) is None for line in bare)
    assert all(cell_len(line) <= columns - 1 for line in bare)
    assert "\u202e" not in "".join(bare)


@given(st.lists(events(), max_size=12), st.integers(2, 60), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_pictures_stay_in_their_place_whatever_another_program_thinks_of_a_character(
    happened: list[Event], columns: int, lines: int
) -> None:
    screen = pyte.HistoryScreen(columns, lines)
    screen.set_mode(LNM)
    stream = pyte.Stream(screen)
    written = ""
    with closing(Table(plain_look, lambda: (columns, lines))) as table:
        for event in happened:
            table.take(event)
            text = table.picture()
            written += text
            stream.feed(text)
            # Nothing was scrolled away, and the cursor is where the next picture expects it.
            assert not screen.history.top
            assert screen.cursor.x == 0
            assert screen.cursor.y == text.count("\n") or not text
        written += "".join(table.ending())

    assert _CONTROL.search(_SEQUENCES.sub("", written)) is None


def test_a_line_that_is_wider_than_we_think_is_cut_by_the_terminal() -> None:
    screen = pyte.HistoryScreen(80, 8)
    screen.set_mode(LNM)
    with closing(Table(plain_look, lambda: (80, 8))) as table:
        table.take(RunStarted(time=1, apps=("a",), builder="b"))
        table.take(AppStarted(time=1, app="a", host="b", image="i"))
        table.take(StepStarted(time=1, app="a", step="s", name=FLAGS))

        pyte.Stream(screen).feed(table.picture())

    assert screen.cursor.y == 4
    assert screen.display[3].startswith("1 running")


def test_nothing_is_taken_for_markup_of_rich() -> None:
    board = Board()
    name = "[bold red]make[/bold red] :smile: [link=https://x]"
    board.apply(RunStarted(time=1, apps=("a",), builder="b"))
    board.apply(AppStarted(time=1, app="a", host="b", image="i"))
    board.apply(StepStarted(time=1, app="a", step="s", name=name))

    picture = frame(board.view(), columns=120, lines=24, now=2, look=Look(colour=True, unicode=True))

    assert name in "".join(picture)


def test_a_cut_is_marked_as_the_terminal_can_show_it() -> None:
    assert Look(colour=False, unicode=True).fit("abcdef", 4) == "abc…"
    assert Look(colour=False, unicode=False).fit("abcdef", 4) == "abc~"
    assert Look(colour=False, unicode=False).fit("日本語", 4) == "日~"


def test_steps_are_the_instructions_of_all_stages_without_their_base_images() -> None:
    board = Board()
    board.apply(AppStarted(time=1, app="a", host="b", image="i"))
    for name in ("[builder 1/3] FROM x", "[builder 2/3] RUN a", "[stage-1 1/2] FROM y", "[stage-1 2/2] COPY . ."):
        board.apply(StepStarted(time=1, app="a", step=name, name=name))
        board.apply(StepCompleted(time=1, app="a", step=name, name=name, cached=True, seconds=0))

    [row] = board.view().running

    assert (row.cached, row.total) == (2, 3)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[b 6/6] RUN --mount=type=cache,id=x,target=/y --network=none go build -o x", "[b 6/6] RUN go build -o x"),
        ("[2/2] COPY --from=builder --chown=1000:1000 /app ./", "[2/2] COPY /app ./"),
        ("[2/2] RUN make --jobs 2", "[2/2] RUN make --jobs 2"),
        ("exporting to image", "exporting to image"),
    ],
)
def test_a_row_shows_the_command_and_not_the_flags_before_it(name: str, shown: str) -> None:
    board = Board()
    board.apply(AppStarted(time=1, app="a", host="b", image="i"))
    board.apply(StepStarted(time=1, app="a", step="s", name=name))

    [row] = board.view().running

    assert row.step == shown


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_340_000, "12.3 MB"),
        (10**30, "1000000000000.0 EB"),
    ],
)
def test_bytes_are_counted_in_thousands(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0s"), (59.9, "59s"), (127, "2m07s"), (3720, "1h02m")])
def test_time_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_tab_is_a_blank_and_what_cannot_be_seen_is_left_out() -> None:
    assert inline("a\tb\u200b\u202ec\x1bd\ud800", 100) == "a bcd"
