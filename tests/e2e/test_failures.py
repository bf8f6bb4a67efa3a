"""What can go wrong in one app: a clear error with a hint within seconds, and the other apps are none the worse."""

import os
import secrets
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.events import AppWarning, RunCompleted, StepCompleted, StepLog
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.proxy import refusing
from tests.lab import Lab

pytestmark = pytest.mark.real

_SOON = 60
"""Seconds; a daemon retries a failing registry for about 8 of them."""


def app(root: Path, name: str, dockerfile: str) -> Path:
    """An app with its own Dockerfile, unlike any that was built before."""
    directory = root / name
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(dockerfile)
    (directory / "token.txt").write_text(secrets.token_hex(8))
    return directory


async def ran(build: Start, root: Path, *words: str, image: str, before: tuple[str, ...] = ()) -> Ran:
    with anyio.fail_after(_SOON):
        async with build(root, *words, image=image, before=before) as running:
            return await running.end()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    dockerfile: str
    kind: str
    message: str


@pytest.mark.parametrize(
    "case",
    [
        Case(
            dockerfile="FROM debian:bookworm-slim\nCOPY token.txt /\nRUN echo about to fail && exit 3\n",
            kind="build",
            message="exit code: 3",
        ),
        Case(dockerfile="FROM 127.0.0.1:1/none:1\n", kind="registry-unavailable", message="127.0.0.1:1"),
        Case(dockerfile="FROM nothing-like-this:9\nCOPY token.txt /\n", kind="image", message="nothing-like-this:9"),
        Case(dockerfile="FROM scratch\nCOPPY token.txt /\n", kind="build", message="COPPY"),
        Case(dockerfile="FROM scratch\nCOPY not-there.txt /\n", kind="build", message="not-there.txt"),
    ],
    ids=["failing step", "unreachable base image", "unknown base image", "unknown instruction", "missing file"],
)
async def test_one_apps_failure_says_why_and_stops_no_other(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path, case: Case
) -> None:
    root = tmp_path / "source"
    app(root, "bad", case.dockerfile)
    app(root, "good", "FROM scratch\nCOPY token.txt /\n")

    result = await ran(build, root, image=f"{lab.registry}/failures/{{app}}")

    failure = result.failed()["bad"]
    assert (failure.kind, set(result.completed())) == (case.kind, {"good"})
    assert case.message in failure.message
    assert failure.hint
    assert result.code == (75 if failure.transient and len(result.failed()) == 1 else 1)
    assert result.left == ()
    real_count.record("build")


async def test_a_failed_step_is_told_with_its_line_its_code_and_its_last_words(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    app(root, "bad", "FROM debian:bookworm-slim\nCOPY token.txt /\nRUN echo so far && echo no further >&2 && exit 3\n")

    result = await ran(build, root, image=f"{lab.registry}/failures/{{app}}")

    failure = result.failed()["bad"]
    assert (failure.file, failure.line, failure.exit_code) == ("Dockerfile", 3, 3)
    assert failure.command == "echo so far && echo no further >&2 && exit 3"
    assert failure.source == (f"RUN {failure.command}",)
    assert failure.log == ("so far", "no further")
    assert failure.step in {event.step for event in result.events if isinstance(event, StepCompleted)}
    real_count.record("build")


async def test_a_registry_that_refuses_one_push_takes_the_others(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    app(root, "denied", "FROM scratch\nCOPY token.txt /\n")
    app(root, "good", "FROM scratch\nCOPY token.txt /\n")

    def refuse(method: str, path: str) -> int | None:
        return 403 if "/denied/" in path and method != "GET" else None

    async with refusing(lab, refuse) as registry:
        result = await ran(build, root, image=f"{registry}/refused/{{app}}")

    assert (result.failed()["denied"].kind, set(result.completed())) == ("registry", {"good"})
    assert result.failed()["denied"].hint
    assert result.code == 1
    real_count.record("build")


async def test_a_registry_that_is_away_for_a_while_costs_no_step_a_second_run(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root, refused = tmp_path / "source", [0]
    app(root, "one", "FROM debian:trixie-slim\nCOPY token.txt /\nRUN echo executed\n")

    def refuse(method: str, path: str) -> int | None:
        # More often than the daemon itself tries: it sends again five times, and at once (BuildKit v0.30.0).
        if method == "PUT" and "/manifests/" in path and refused[0] < 8:
            refused[0] += 1
            return 429
        return None

    async with refusing(lab, refuse) as registry:
        result = await ran(build, root, "--no-cache", image=f"{registry}/away/{{app}}")

    assert (result.code, result.failed()) == (0, {}), result.err
    assert any("trying again" in event.message for event in result.events if isinstance(event, AppWarning))
    assert [event.text for event in result.events if isinstance(event, StepLog)] == ["executed"]
    real_count.record("build")


async def test_an_app_that_takes_too_long_is_given_up(lab: Lab, build: Start, tmp_path: Path) -> None:
    root = tmp_path / "source"
    app(root, "slow", "FROM debian:trixie-slim\nRUN sleep 300\n")
    app(root, "good", "FROM scratch\nCOPY token.txt /\n")
    (root / "slow/fleetpacks.toml").write_text('timeout = "3s"\n')

    result = await ran(build, root, image=f"{lab.registry}/failures/{{app}}")

    failure = result.failed()["slow"]
    assert (result.code, failure.kind, set(result.completed())) == (1, "timeout", {"good"})
    assert failure.seconds < 60
    assert "timeout" in failure.hint


async def test_a_registry_that_refuses_the_tag_leaves_the_app_unpublished_and_says_so(
    lab: Lab, build: Start, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    app(root, "only", "FROM scratch\nCOPY token.txt /\n")

    def refuse(method: str, path: str) -> int | None:
        return 403 if method == "PUT" and path.endswith("/manifests/v1") else None

    async with refusing(lab, refuse) as registry:
        result = await ran(build, root, "--tag", "v1", image=f"{registry}/untagged/{{app}}")

    failure = result.failed()["only"]
    assert (result.code, failure.kind) == (1, "registry")
    assert "v1" in failure.message


async def test_an_unreadable_file_of_the_context_is_named(lab: Lab, build: Start, tmp_path: Path) -> None:
    root = tmp_path / "source"
    bad = app(root, "bad", "FROM scratch\nCOPY . /\n")
    app(root, "good", "FROM scratch\nCOPY token.txt /\n")
    (bad / "locked.txt").write_text("nobody may read this")
    (bad / "locked.txt").chmod(0)
    # Root reads everything unless it has given up the right to.
    before = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()

    result = await ran(build, root, image=f"{lab.registry}/failures/{{app}}", before=before)

    failure = result.failed()["bad"]
    assert (result.code, failure.kind, set(result.completed())) == (1, "context", {"good"})
    assert "locked.txt" in failure.message
    assert failure.hint


async def test_an_unreadable_directory_is_the_problem_of_the_app_that_holds_it(
    lab: Lab, build: Start, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    bad = app(root, "bad", "FROM scratch\nCOPY . /\n")
    app(root, "good", "FROM scratch\nCOPY token.txt /\n")
    for directory in (bad / "locked", root / "loose"):
        directory.mkdir()
        directory.chmod(0)
    before = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()

    result = await ran(build, root, image=f"{lab.registry}/failures/{{app}}", before=before)

    failure = result.failed()["bad"]
    assert (result.code, failure.kind, set(result.completed())) == (1, "context", {"good"})
    assert "bad/locked cannot be read" in failure.message
    assert {event.message.split(":")[0] for event in result.events if isinstance(event, AppWarning)} == {
        "bad/locked/",
        "loose/",
    }


async def test_a_builder_that_is_not_there_is_one_transient_error_and_still_a_result_file(
    build: Start, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    app(root, "one", "FROM scratch\n")
    app(root, "two", "FROM scratch\n")
    document = tmp_path / "result.json"

    async with build(root, "--result-file", str(document), host=f"unix://{tmp_path}/none.sock") as running:
        result = await running.end()

    assert (result.code, [type(event) for event in result.events]) == (75, [RunCompleted])
    assert result.err.count("error: ") == 1
    assert "hint: " in result.err
    written = msgspec.json.decode(document.read_bytes())
    assert (written["status"], written["exit_code"]) == ("failed", 75)
