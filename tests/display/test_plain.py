"""Plain lines and JSON lines."""

import io
import json
import re
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.display import jsonlines
from orchestrator.display.output import show
from orchestrator.display.plain import Plain
from orchestrator.events import (
    AppCompleted,
    AppFailed,
    AppStarted,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepStarted,
)
from orchestrator.text import inert, printable

_RUN: tuple[Event, ...] = (
    RunStarted(time=1, apps=("api", "billing"), builder="unix:///b.sock"),
    AppStarted(time=2, app="api", host="unix:///b.sock", image="r.example/api"),
    AppStarted(time=2, app="billing", host="unix:///b.sock", image="r.example/billing"),
    StepStarted(time=3, app="billing", step="sha256:1", name="RUN make"),
    StepLog(time=3, app="billing", step="sha256:1", text="cc -o \x1b[31mmain\x07"),
    StepCompleted(
        time=4, app="billing", step="sha256:1", name="RUN make", cached=False, seconds=1, error="exit code: 2"
    ),
    StepStarted(time=4, app="api", step="sha256:2", name="COPY . ."),
    StepCompleted(time=4, app="api", step="sha256:2", name="COPY . .", cached=True, seconds=0),
    AppFailed(
        time=5, app="billing", kind="build", message="RUN make: exit code 2", hint="read it", transient=False, seconds=3
    ),
    AppCompleted(
        time=6,
        app="api",
        image="r.example/api",
        tags=("r.example/api:latest",),
        digest="sha256:3",
        seconds=4,
        steps=5,
        cached=4,
        sent_bytes=10,
    ),
    RunCompleted(time=7, exit_code=1, seconds=6, succeeded=1, failed=1, cancelled=0),
)


def _rendered(display: Plain, *events: Event) -> list[str]:
    """The text of each event."""
    return ["".join(display.render(event)) for event in events]


def test_every_line_of_a_step_carries_its_app_and_failures_show_their_log_at_the_end() -> None:
    with closing(Plain()) as display:
        text = "".join(_rendered(display, *_RUN))

    live, _, end = text.partition("--- the full log of billing ---\n")
    assert "billing | #1 | cc -o [31mmain\n" in live
    assert "api     | #1 COPY . .\napi     | #1 CACHED\n" in live
    assert "api     | done in 4.0s (4 of 5 steps cached): r.example/api:latest sha256:3\n" in live
    assert end.startswith("billing | #1 RUN make\nbilling | #1 | cc -o [31mmain\nbilling | #1 ERROR exit code: 2\n")
    assert "error: billing: RUN make: exit code 2\nhint: read it\n" in end
    assert end.endswith("\n1 succeeded, 1 failed, 0 cancelled in 6.0s\n")


def test_a_log_that_cannot_be_kept_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    long = StepLog(time=3, app="billing", step="sha256:1", text="x" * 300_000)

    with closing(Plain()) as display:
        shown = _rendered(display, long, long, *_RUN)

    assert long.text in shown[1]
    assert "--- the full log of billing ---\n(it could not be kept" in shown[-1]
    assert shown[-1].endswith("1 succeeded, 1 failed, 0 cancelled in 6.0s\n")


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b]0;title\x07\tb\x9b2Jc\r\n\x7f") == "a]0;title\tb2Jc"


def test_json_lines_are_one_object_per_event_with_its_name_and_the_format() -> None:
    lines = [json.loads("".join(jsonlines.render(event))) for event in _RUN]

    assert [line["event"] for line in lines][:3] == ["run-started", "app-started", "app-started"]
    assert lines[0]["format"] == 1
    assert lines[-1] == {
        "event": "run-completed", "time": 7, "exit_code": 1, "seconds": 6, "succeeded": 1,
        "skipped": 0, "failed": 1, "cancelled": 0,
        "error": None,
    }  # fmt: skip


async def test_a_display_shows_all_events_and_ends_with_their_stream() -> None:
    out = io.StringIO()
    send, receive = anyio.create_memory_object_stream[Event](len(_RUN))
    async with send:
        for event in _RUN:
            await send.send(event)

    await show(receive, jsonlines.render, out)

    assert len(out.getvalue().splitlines()) == len(_RUN)


async def test_events_in_a_row_are_gathered_for_each_write() -> None:
    class Counted(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    out = Counted()
    send, receive = anyio.create_memory_object_stream[Event](len(_RUN) * 20)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show, receive, jsonlines.render, out)
        async with send:
            for event in _RUN * 20:
                await send.send(event)

    assert len(out.getvalue().splitlines()) == len(_RUN) * 20
    assert out.writes < len(_RUN) * 10


async def test_a_reader_that_has_gone_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    send, receive = anyio.create_memory_object_stream[Event](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show, receive, jsonlines.render, Gone())
        async with send:
            for event in _RUN:
                await send.send(event)


async def test_a_failed_apps_log_is_shown_whole_however_long_it_is(tmp_path: Path) -> None:
    lines = [StepLog(time=1, app="api", step="s", text=f"line {number} " + "x" * 40) for number in range(20_000)]
    failed = AppFailed(time=5, app="api", kind="build", message="no", hint="h", transient=False, seconds=3)

    with closing(Plain()) as display:
        *_, end = _rendered(display, _RUN[0], *lines, failed, _RUN[-1])

    assert end.count("line ") == 20_000


@pytest.mark.parametrize("text", ["", "one", "two\nlines"])
def test_a_message_of_several_lines_is_prefixed_on_each(text: str) -> None:
    with closing(Plain()) as display:
        _, lines = _rendered(
            display, RunStarted(time=1, apps=("a",), builder="b"), StepLog(time=1, app="a", step="s", text=text)
        )

    assert all(line.startswith("a | ") for line in lines.splitlines())


def test_a_hint_of_several_lines_keeps_them_apart() -> None:
    failed = AppFailed(
        time=5,
        app="api",
        kind="build",
        message="no\n::error::x",
        hint="do this\nor that\x1b[1m",
        transient=False,
        seconds=3,
    )

    with closing(Plain()) as display:
        *_, end = _rendered(display, failed, _RUN[-1])

    assert "error: api: no\n  ::error::x\nhint: do this\n  or that[1m\n" in end


def test_the_log_of_a_failed_app_is_never_held_whole() -> None:
    lines = [StepLog(time=1, app="api", step="s", text="x" * 10_000)] * 1000
    failed = AppFailed(time=5, app="api", kind="build", message="no", hint="h", transient=False, seconds=3)
    with closing(Plain()) as display:
        _rendered(display, *lines, failed)

        pieces = list(map(len, display.render(_RUN[-1])))

    assert sum(pieces) > 10_000_000
    assert max(pieces) < 1_000_000


def test_a_failure_shows_the_dockerfiles_lines_and_the_steps_last_words() -> None:
    failed = AppFailed(
        time=5,
        app="api",
        kind="build",
        message="Dockerfile:3: no",
        hint="h",
        transient=False,
        seconds=3,
        file="Dockerfile",
        line=3,
        source=("RUN make \\", "  all\x1b[2J"),
        command="make all",
        exit_code=2,
        log=("make: *** Error 2",),
    )

    with closing(Plain()) as display:
        *_, end = _rendered(display, failed, _RUN[-1])

    assert (
        "error: api: Dockerfile:3: no\n"
        "  Dockerfile:3 | RUN make \\\n"
        "  Dockerfile:4 |   all[2J\n"
        "  the step's last lines:\n"
        "  | make: *** Error 2\n"
        "hint: h\n"
    ) in end


@given(st.text())
def test_json_of_any_text_is_seen_as_it_is_and_means_the_same(text: str) -> None:
    document = msgspec.json.encode({text: [text]}).decode("utf-8")

    shown = inert(document)

    assert shown.isprintable()
    assert json.loads(shown) == {text: [text]}


def test_output_of_a_step_cannot_steer_a_terminal_through_json() -> None:
    event = StepLog(time=1, app="a", step="s", text="\x9b31m\u202e")

    line = "".join(jsonlines.render(event))

    assert line.removesuffix("\n").isprintable()
    assert json.loads(line)["text"] == "\x9b31m\u202e"


async def test_a_silent_build_says_which_steps_go_on_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.display.output.SILENCE", 0.05)
    send, receive = anyio.create_memory_object_stream[Event](10)
    stream = io.StringIO()

    with closing(Plain()) as plain, anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(show, receive, plain.render, stream, silent=plain.silent))
            async with send:
                for event in _RUN[:5]:
                    await send.send(event)
                while stream.getvalue().count("still at RUN make") < 2:  # noqa: ASYNC110 -- StringIO tells no one
                    await anyio.sleep(0.01)
                for event in _RUN[5:]:
                    await send.send(event)

    said = [line for line in stream.getvalue().splitlines() if "still at" in line]
    assert all(re.fullmatch(r"billing \| #1 still at RUN make, for \d+s", line) for line in said)
    assert stream.getvalue().endswith("1 succeeded, 1 failed, 0 cancelled in 6.0s\n")


def test_what_has_ended_goes_on_no_more() -> None:
    with closing(Plain()) as plain:
        for event in _RUN:
            list(plain.render(event))

        assert list(plain.silent()) == []
