"""The live table on a real pseudo-terminal, as another program's emulator shows it."""

import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.memory import MemoryObjectSendStream

from orchestrator.display.table.screen import show_table, table_on
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
from tests.display.terminal import Terminal, terminal

MB = 1_000_000
BUILDER = "unix:///run/buildkit/buildkitd.sock"


def run_of(*apps: str) -> RunStarted:
    return RunStarted(time=time.time(), apps=apps, builder=BUILDER)


def started(app: str, host: str = BUILDER) -> AppStarted:
    return AppStarted(time=time.time(), app=app, host=host, image=f"r.example/{app}", language="nodejs")


def step(app: str, name: str) -> StepStarted:
    return StepStarted(time=time.time(), app=app, step=name, name=name)


def stepped(app: str, name: str, *, cached: bool = False) -> StepCompleted:
    return StepCompleted(time=time.time(), app=app, step=name, name=name, cached=cached, seconds=1)


def moved(app: str, name: str, current: int, total: int = 0, activity: str = "") -> StepProgress:
    return StepProgress(
        time=time.time(), app=app, step=name, name=name, activity=activity, current=current, total=total
    )


def done(app: str) -> AppCompleted:
    return AppCompleted(
        time=time.time(),
        app=app,
        image=f"r.example/{app}",
        tags=(f"r.example/{app}:latest",),
        digest=f"sha256:{'d' * 64}",
        seconds=4,
        steps=5,
        cached=4,
        sent_bytes=1,
    )


def failed(app: str, message: str = "RUN make: exit code 2") -> AppFailed:
    return AppFailed(
        time=time.time(), app=app, kind="build", message=message, hint="read\nit", transient=False, seconds=3
    )


def over(*, succeeded: int = 0, failures: int = 0, cancelled: int = 0) -> RunCompleted:
    return RunCompleted(
        time=time.time(),
        exit_code=min(1, failures),
        seconds=9,
        succeeded=succeeded,
        failed=failures,
        cancelled=cancelled,
    )


@asynccontextmanager
async def shown(screen: Terminal, *, colour: bool = False) -> AsyncGenerator[MemoryObjectSendStream[Event]]:
    """A table on a terminal, until the block ends."""
    send, receive = anyio.create_memory_object_stream[Event](10_000)
    with closing(table_on(screen.stream, colour=colour)) as table:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show_table, receive, table, screen.stream)
            async with send:
                yield send


def tell(send: MemoryObjectSendStream[Event], *events: Event) -> None:
    for event in events:
        send.send_nowait(event)


async def test_an_app_that_is_built_has_a_row_with_its_step_and_what_moves() -> None:
    name = "[builder 2/6] RUN npm ci"
    async with terminal(120, 24) as screen, shown(screen) as send:
        tell(send, run_of("api", "web"), started("api"), step("api", "[builder 1/6] FROM node"))
        tell(send, stepped("api", "[builder 1/6] FROM node"), step("api", "[builder 5/6] COPY . ."))
        tell(send, stepped("api", "[builder 5/6] COPY . .", cached=True))
        tell(send, step("api", name), moved("api", name, 12_340_000, 45_600_000, "extracting"))

        text = await screen.until(lambda text: "extracting" in text)

    lines = text.splitlines()
    assert lines[0] == f"building 2 apps on {BUILDER}"
    assert lines[1].split() == ["APP", "LANGUAGE", "TIME", "CACHED", "MOVED", "STEP"]
    assert lines[2].startswith("api  nodejs")
    assert re.search(r"  \d+s +1/5 +12\.3 MB / 45\.6 MB  \[builder 2/6\] RUN npm ci: extracting$", lines[2])
    assert re.fullmatch(r"1 running  1 waiting  \d+s", lines[3])


async def test_the_host_is_shown_where_apps_are_built_on_several() -> None:
    async with terminal(160, 24) as screen, shown(screen) as send:
        tell(send, run_of("api", "web"), started("api", "tcp://one:1234"), started("web", "tcp://two:1234"))

        text = await screen.until(lambda text: "web" in text)

    assert "tcp://one:1234" in text
    assert "tcp://two:1234" in text


async def test_rows_that_ended_fold_into_the_counts_and_into_what_stays() -> None:
    async with terminal(100, 24) as screen:
        async with shown(screen) as send:
            tell(send, run_of("a", "b", "c"), started("a"), started("b"), started("c"))
            await screen.until(lambda text: "3 running" in text)
            tell(send, done("a"), failed("b"))
            live = await screen.until(lambda text: "1 done" in text)
            tell(send, AppCancelled(time=1, app="c", reason="fail-fast"), over(succeeded=1, failures=1, cancelled=1))
        end = await screen.until(lambda text: "1 succeeded" in text)

    assert "\nb  FAILED: RUN make: exit code 2\n" in live
    assert re.search(r"\n1 running  1 done  1 failed  \d+s$", live)
    assert not re.search(r"^a ", live, re.MULTILINE)
    # The table is gone; nothing of it is left above.
    assert "running" not in screen.everything
    assert "APP" not in screen.everything
    assert f"r.example/a:latest sha256:{'d' * 64}" in end.replace("\n", "")
    assert "c | cancelled (fail-fast)\n" in end
    assert end.endswith("\n1 succeeded, 1 failed, 1 cancelled in 9.0s")
    assert screen.clean


async def test_the_whole_log_of_a_failed_app_stands_at_the_end() -> None:
    name = "[2/2] RUN make"
    async with terminal(80, 10) as screen:
        async with shown(screen) as send:
            tell(send, run_of("api"), started("api"), step("api", name))
            tell(send, *(StepLog(time=1, app="api", step=name, text=f"line {n}") for n in range(500)))
            tell(send, AppWarning(time=1, app="api", message="old syntax"), failed("api"), over(failures=1))
        await screen.until(lambda text: "0 succeeded" in text)

    everything = screen.everything
    assert [line for line in everything.splitlines() if " | line " in line] == [
        f"api | #1 | line {n}" for n in range(500)
    ]
    assert everything.index("line 499") < everything.index("error: api: RUN make: exit code 2\nhint: read\n  it\n")
    assert "api | warning: old syntax\n" in everything


@pytest.mark.parametrize(("columns", "lines"), [(1, 1), (9, 4), (40, 24), (80, 2), (80, 24), (80, 70), (300, 70)])
async def test_a_hundred_apps_fit_every_terminal(columns: int, lines: int) -> None:
    apps = [f"service-with-a-long-name-{number}" for number in range(100)]
    async with terminal(columns, lines) as screen, shown(screen) as send:
        tell(send, run_of(*apps))
        for app in apps[:60]:
            tell(send, started(app), step(app, "[builder 2/6] RUN pip install --no-cache -r requirements.txt " * 3))
        tell(send, *(moved(app, f"x{app}", MB) for app in apps))
        tell(send, failed(apps[0]))
        text = await screen.until(lambda text: columns < 40 or lines < 2 or "59 running" in text)
        tell(send, *(done(app) for app in apps[1:50]))
        # Drawn over, never scrolled.
        await screen.until(lambda text: columns < 40 or lines < 2 or "10 running" in text)

        above = screen.everything.removesuffix(screen.text).strip()

    rows = [line for line in text.splitlines() if line.startswith("service")]
    assert above == ""
    assert len(text.splitlines()) <= max(lines - 1, 1)
    if columns >= 40 and lines == 24:
        assert len(rows) == 20
        assert "(39 not shown)" in text
        assert "40 waiting" in text or columns == 40
    if columns >= 80 and lines == 70:
        assert len(rows) == 60
        assert "1 failed" in text


async def test_a_terminal_may_change_its_size_at_any_time() -> None:
    apps = [f"app{number}" for number in range(30)]
    async with terminal(120, 40) as screen:
        async with shown(screen) as send:
            tell(send, run_of(*apps), *map(started, apps))
            wide = await screen.until(lambda text: "30 running" in text)
            screen.resize(40, 12)
            tell(send, done("app0"))
            narrow = await screen.until(lambda text: "29 running" in text)
            screen.resize(100, 50)
            tell(send, done("app1"))
            again = await screen.until(lambda text: "28 running" in text)
            tell(send, over(succeeded=30))
        await screen.until(lambda text: "30 succeeded" in text)

    assert "LANGUAGE" in wide
    assert "LANGUAGE" not in narrow
    assert len(narrow.splitlines()) <= 11
    assert "LANGUAGE" in again
    assert "app29" in again
    assert screen.clean


@pytest.mark.parametrize("colour", [True, False])
async def test_colours_are_there_only_when_they_are_wanted(colour: bool) -> None:  # noqa: FBT001 -- a parameter
    async with terminal(80, 24) as screen:
        async with shown(screen, colour=colour) as send:
            tell(send, run_of("a", "b"), started("a"), started("b"))
            await screen.until(lambda text: "2 running" in text)
            tell(send, done("a"), failed("b"), over(succeeded=1, failures=1))
        await screen.until(lambda text: "1 succeeded" in text)

    assert screen.coloured is colour
    assert screen.clean


async def test_pictures_are_fewer_than_events_and_ten_a_second_at_most() -> None:
    async with terminal(80, 24) as screen, shown(screen) as send:
        tell(send, run_of("a"), started("a"))
        began = time.monotonic()
        number = 0
        pictures = 0
        with anyio.fail_after(60):
            while pictures < 5:
                number += 1
                await send.send(step("a", f"[2/2] RUN {number}"))
                await anyio.lowlevel.checkpoint()
                pictures = screen.written.count("\x1b[?7l")
        seconds = time.monotonic() - began

    assert number > 100
    assert pictures <= seconds * 10 + 2


async def test_a_picture_is_written_over_the_last_one_and_erases_nothing_before() -> None:
    async with terminal(80, 24) as screen, shown(screen) as send:
        tell(send, run_of("a"), started("a"))
        await screen.until(lambda text: "1 running" in text)
        tell(send, step("a", "[2/2] RUN make"))
        await screen.until(lambda text: "RUN make" in text)

    [first, second, *_] = screen.written.split("\x1b[?7l")[1:]
    assert not first.startswith("\r\x1b[")
    assert re.match(r"\r\x1b\[\dA[^\x1b]", second)
    assert all("\x1b[J\x1b[?7h" in picture for picture in (first, second))


async def test_a_line_that_became_shorter_leaves_no_rest() -> None:
    async with terminal(80, 24) as screen, shown(screen) as send:
        tell(send, run_of("a"), started("a"), step("a", "[1/2] RUN a long command with many words"))
        await screen.until(lambda text: "many words" in text)
        tell(send, step("a", "[2/2] RUN b"))
        text = await screen.until(lambda text: "RUN b" in text)

    assert text.splitlines()[2].endswith("[2/2] RUN b")


async def test_a_terminal_that_takes_nothing_holds_up_no_event() -> None:
    apps = [f"app{number}" for number in range(50)]
    shown_meanwhile = "nothing was tried"
    send, receive = anyio.create_memory_object_stream[Event](0)
    async with terminal(80, 24) as screen:
        with closing(table_on(screen.stream, colour=False)) as table:
            async with anyio.create_task_group() as tasks, send:
                with screen.stopped():
                    tasks.start_soon(show_table, receive, table, screen.stream)
                    with anyio.fail_after(20):
                        await send.send(run_of(*apps))
                        for app in apps:
                            await send.send(started(app))
                            for number in range(100):
                                await send.send(step(app, f"[2/2] RUN {number}"))
                    shown_meanwhile = screen.written
                await screen.until(lambda text: "50 running" in text)

    assert shown_meanwhile == ""
