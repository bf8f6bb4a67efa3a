"""Lines for GitHub's runner: what it carries out is ours, whatever a build prints."""

from contextlib import closing
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.display.github import GitHub
from orchestrator.display.plain import Plain
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
    StepStarted,
)
from tests.display.runner import Runner

_HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "::error::mine",
            "  ::add-mask::x",
            "\u3000::set-env name=PATH::/evil",
            "echo ##[add-path]/evil",
            "::stop-commands::again",
            "::endgroup::",
            "a\n::warning file=x::y",
            "a\r::error::b",
            "%0A::error::c",
            "x,line=7::y:",
        ]
    ),
)


def run(text: str, *, failed: AppFailed) -> tuple[Event, ...]:
    """A run in which everything foreign is one text."""
    return (
        RunStarted(time=1, apps=("api",), builder="unix:///b"),
        AppStarted(time=1, app="api", host="unix:///b", image="r.example/api"),
        StepStarted(time=1, app="api", step="s", name=text),
        StepLog(time=1, app="api", step="s", text=text),
        AppWarning(time=1, app=None, message=text, hint=text),
        StepCompleted(time=1, app="api", step="s", name=text, cached=False, seconds=1, error=text),
        failed,
        RunCompleted(time=1, exit_code=1, seconds=1, succeeded=0, failed=1, cancelled=0),
    )


def failure(message: str, hint: str = "h", *, file: str | None = None, line: int | None = None) -> AppFailed:
    return AppFailed(
        time=1, app="api", kind="build", message=message, hint=hint, transient=False, seconds=1, file=file, line=line
    )


def read(*events: Event, dockerfiles: dict[str, Path] | None = None) -> Runner:
    runner = Runner()
    with closing(Plain()) as plain:
        display = GitHub(plain, dockerfiles or {})
        for event in events:
            runner.read("".join(display.render(event)).removesuffix("\n"))
    return runner


@given(_HOSTILE)
@example("::error::mine")
@example("## [x] ##[error]mine")
def test_what_a_build_says_is_never_carried_out(text: str) -> None:
    runner = read(*run(text, failed=failure(text or "x", text)))

    assert [command.name for command in runner.commands] == ["group", "endgroup", "error"]
    assert not runner.stopped


def test_the_runner_of_these_tests_obeys_where_nothing_is_stopped() -> None:
    runner = Runner()

    runner.read("  ::error file=a%3Ab::x%0Ay\nsome ##[add-path]/evil\n::nothing::z")

    assert [(command.name, command.properties, command.data) for command in runner.commands] == [
        ("error", {"file": "a:b"}, "x\ny"),
        ("add-path", {}, "/evil"),
    ]
    assert runner.printed == ["::nothing::z"]


def test_a_failure_is_an_annotation_at_the_line_of_its_dockerfile() -> None:
    failed = failure("RUN make: exit code 2, 100%0A\nsecond", "read: it", file="Dockerfile", line=7)

    runner = read(*run("x", failed=failed), dockerfiles={"api": Path("/work/apps/a,b::c%3A/Dockerfile")})

    [annotation] = [command for command in runner.commands if command.name == "error"]
    assert annotation.properties == {"file": "/work/apps/a,b::c%3A/Dockerfile", "line": "7", "title": "api: build"}
    assert annotation.data == "RUN make: exit code 2, 100%0A\nsecond\nread: it"


def test_a_generated_dockerfile_is_no_place_to_point_at() -> None:
    runner = read(*run("x", failed=failure("no", file="Dockerfile", line=7)))

    assert runner.commands[-1].properties == {"title": "api: build"}


def test_the_log_of_a_failed_app_is_in_a_group_of_its_own() -> None:
    events = run("compiling", failed=failure("no"))
    with closing(Plain()) as plain:
        display = GitHub(plain, {})
        text = "".join("".join(display.render(event)) for event in events).splitlines()

    group = text[text.index("::group::the full log of api") : text.index("::endgroup::")]

    assert "api | #1 | compiling" in group


def test_a_run_in_which_all_is_well_has_no_annotation() -> None:
    completed = AppCompleted(
        time=1, app="api", image="r", tags=(), digest="sha256:1", seconds=1, steps=1, cached=1, sent_bytes=1
    )

    runner = read(
        RunStarted(time=1, apps=("api",), builder="b"),
        completed,
        RunCompleted(time=1, exit_code=0, seconds=1, succeeded=1, failed=0, cancelled=0),
    )

    assert runner.commands == []
    assert not runner.stopped
