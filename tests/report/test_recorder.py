"""The record of a run: written while it goes on, readable whenever it ends, without what must not be read."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import environment
from orchestrator.errors import UsageError
from orchestrator.events import (
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
)
from orchestrator.report import record
from orchestrator.report.record import FILE, Header, RecordedApp
from orchestrator.report.recorder import Recorder
from orchestrator.report.redaction import Redactor, of_environment

_RUN = "20261121T205012Z-0123abcd"


def header(run: str = _RUN) -> Header:
    app = RecordedApp(name="api", path="apps/api", language="go")
    return Header(time=1, run=run, version="0", source="/source", apps=(app,))


def step(name: str = "[1/2] RUN make", **said: float) -> StepCompleted:
    return StepCompleted(time=2, app="api", step="sha256:1", name=name, cached=False, seconds=said.get("seconds", 1))


def failed(*log: str, message: str = "make: 2") -> AppFailed:
    return AppFailed(
        time=3, app="api", kind="build", message=message, hint="h", transient=False, seconds=2, log=log, command="make"
    )


_ENDED = RunCompleted(time=4, exit_code=0, seconds=3, succeeded=1, failed=0, cancelled=0)


def written(directory: Path, *events: Event, redactor: Redactor | None = None, largest: int = 1 << 20) -> bytes:
    """What a recorder leaves of events."""
    recorder = Recorder(directory, header(), redactor or Redactor(), ended=lambda: None, largest=largest)
    for event in events:
        recorder.record(event)
    recorder.close(30)
    assert recorder.failure is None
    return recorder.path.read_bytes()


def test_what_is_written_is_what_is_read_and_private(tmp_path: Path) -> None:
    events = (RunStarted(time=1, apps=("api",), builder="b", jobs=2), step(), failed("a", "b"), _ENDED)

    data = written(tmp_path / "runs", *events)

    read = record.decode(data, name="r")
    assert (read.header, read.events, read.torn, read.unknown) == (header(), events, False, 0)
    assert (tmp_path / "runs" / _RUN).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "runs" / _RUN / FILE).stat().st_mode & 0o777 == 0o600


def test_the_output_of_steps_and_their_progress_are_left_out(tmp_path: Path) -> None:
    log = StepLog(time=1, app="api", step="s", text="out")
    progress = StepProgress(time=1, app="api", step="s", name="n", activity="", current=1, total=2)

    data = written(tmp_path, log, progress, _ENDED)

    assert record.decode(data, name="r").events == (_ENDED,)


@given(st.data())
def test_a_record_that_ends_anywhere_is_read_up_to_there(data: st.DataObject) -> None:
    events = (step("a"), step("é\n"), _ENDED)
    lines = [record.encode(each) for each in (header(), *events)]
    whole = b"".join(lines)
    length = data.draw(st.integers(len(lines[0]), len(whole)))

    read = record.decode(whole[:length], name="r")

    kept = sum(length >= len(b"".join(lines[: number + 2])) for number in range(3))
    assert read.events == events[:kept]
    assert read.torn == (whole[:length][-1:] != b"\n")
    assert read.unknown == 0


def test_what_a_later_release_writes_is_passed_over() -> None:
    lines = [record.encode(header()), b'{"event":"app-teleported","time":1}\n', record.encode(_ENDED)]

    read = record.decode(b"".join(lines), name="r")

    assert (read.events, read.unknown) == ((_ENDED,), 1)


@given(st.binary(max_size=300))
def test_what_is_no_record_is_an_error_of_the_user(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        record.decode(data, name="r.jsonl")

    assert caught.value.message.startswith("r.jsonl: ")


def test_another_format_is_named() -> None:
    line = msgspec.json.encode({**msgspec.to_builtins(header()), "format": 9, "source": None})

    with pytest.raises(UsageError, match="has the format 9; only 1"):
        record.decode(line + b"\n", name="r")


_SECRET = "hunter-2/hunter+2"
_TOKEN = "ghp_" + "a1" * 18
_PLACES: dict[str, Callable[[str], Event]] = {
    "a step": step,
    "an error": lambda text: failed(message=text),
    "a log": lambda text: failed("before", text, "after"),
    "a warning": lambda text: AppWarning(time=1, app="api", message=text, hint=text),
    "a builder": lambda text: RunStarted(time=1, apps=(), builder=text),
    "an image": lambda text: AppStarted(time=1, app="api", host=text, image=text),
    "an output": lambda text: AppCompleted(
        time=1, app="api", image="i", tags=(text,), digest=None, seconds=1, steps=1, cached=1, sent_bytes=1,
        outputs=(text,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", list(_PLACES))
@pytest.mark.parametrize(
    "text",
    [
        f"npm login {_SECRET} failed",
        "index at https://x/?token=hunter-2%2Fhunter%2B2",
        f"cloning with {_TOKEN}XYZ.",
        "https://robot:hunter-2/hunter+2@git.example/x",
        f"-----BEGIN RSA PRIVATE KEY-----\n{_SECRET}\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_no_secret_is_written_wherever_it_stands(
    tmp_path_factory: pytest.TempPathFactory, place: str, text: str
) -> None:
    redactor = of_environment({"NPM_TOKEN": _SECRET, "HOME": "/root", "LANG": "C.UTF-8"})

    data = written(tmp_path_factory.mktemp("runs"), _PLACES[place](text), redactor=redactor).decode()

    assert "***" in data
    for forbidden in (_SECRET, "hunter-2%2F", _TOKEN, "a1XYZ", "MIIEow", "robot:"):
        assert forbidden not in data
    assert len(record.decode(data.encode(), name="r").events) == 1


def test_a_private_key_over_the_lines_of_a_log_is_masked(tmp_path: Path) -> None:
    key = ("-----BEGIN PRIVATE KEY-----", "MIIEow", "-----END PRIVATE KEY-----")

    data = written(tmp_path, failed("before", *key, "after"))

    [event] = record.decode(data, name="r").events
    assert isinstance(event, AppFailed)
    assert event.log == ("before", "***", "after")


def test_a_secret_that_is_learned_later_is_masked_from_then_on_also_line_by_line(tmp_path: Path) -> None:
    redactor = Redactor()
    recorder = Recorder(tmp_path, header(), redactor, ended=lambda: None)
    redactor.learn("first line\nsecond line\n", "tiny")

    recorder.record(failed("it says: second line", "tiny"))
    recorder.close(30)

    [event] = record.read(recorder.path).events
    assert isinstance(event, AppFailed)
    assert event.log == ("it says: ***", "tiny")


@given(st.text(max_size=60))
def test_harmless_text_is_written_as_it_is(text: str) -> None:
    redactor = Redactor(["correct horse"])

    assert redactor.line(step(text))["name"] == text or "://" in text or "-----BEGIN" in text


def test_a_record_grows_no_further_than_it_may_but_tells_how_all_ended(tmp_path: Path) -> None:
    data = written(tmp_path, *[step("x" * 1000)] * 100, failed("a"), _ENDED, largest=10_000)

    read = record.decode(data, name="r")
    assert len(data) < 13_000
    assert isinstance(read.events[-3], AppWarning)
    assert "full" in read.events[-3].message
    assert read.events[-2:] == (failed("a"), _ENDED)


def test_a_disk_that_is_full_costs_the_record_and_nothing_else(tmp_path: Path, device: Callable[[str], Path]) -> None:
    recorder = Recorder(tmp_path / "runs", header(), Redactor(), ended=lambda: None)
    full = os.open(device("full"), os.O_WRONLY)
    os.dup2(full, _handle_of(recorder.path))
    os.close(full)

    recorder.record(_ENDED)
    recorder.record(_ENDED)
    recorder.close(30)

    assert recorder.failure is not None
    assert recorder.failure.strerror == "No space left on device"


def _handle_of(path: Path) -> int:
    return next(int(each.name) for each in Path("/proc/self/fd").iterdir() if each.readlink() == path)


_KILLED = """
import sys, time
from pathlib import Path
from tests.report.test_recorder import header, step
from orchestrator.report.recorder import Recorder
from orchestrator.report.redaction import Redactor

recorder = Recorder(Path(sys.argv[1]), header(), Redactor(), ended=lambda: None)
for number in range(10**9):
    recorder.record(step(str(number)))
    if number == 100:
        print("going", flush=True)
    time.sleep(0.0001)
"""


@pytest.mark.parametrize("skipped", [True, False])
def test_the_disk_is_waited_for_only_for_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, skipped: bool
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    recorder = Recorder(tmp_path, header(), Redactor(), ended=lambda: None)
    before = recorder.path.stat().st_size
    for _ in range(20):
        recorder.record(
            AppCompleted(
                time=1,
                app="api",
                image="i",
                tags=(),
                digest=None,
                seconds=1,
                steps=0,
                cached=0,
                sent_bytes=0,
                skipped=skipped,
            )
        )
    recorder.close(30)

    assert recorder.path.stat().st_size > before
    assert bool(synced) is not skipped


async def test_a_run_that_is_killed_leaves_what_it_wrote(tmp_path: Path) -> None:
    checkout = Path(__file__).parents[2]
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]

    with anyio.fail_after(60):
        async with await anyio.open_process(command, cwd=checkout, env=environment.read()) as process:
            assert process.stdout is not None
            await process.stdout.receive()
            process.send_signal(signal.SIGKILL)

    read = record.read(tmp_path / _RUN / FILE)
    numbers = [int(event.name) for event in read.events if isinstance(event, StepCompleted)]
    assert read.unknown == 0
    assert numbers == list(range(len(numbers)))
    assert numbers


def test_each_line_is_json_by_itself(tmp_path: Path) -> None:
    data = written(tmp_path, step("two\nlines"), _ENDED)

    assert [json.loads(line)["event"] for line in data.splitlines()] == ["record", "step-completed", "run-completed"]
