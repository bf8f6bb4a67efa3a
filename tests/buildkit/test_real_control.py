"""Control's questions and a frontend's subrequests, asked of a real buildkitd, and a failed step as data."""

import secrets
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import TaskGroup

from orchestrator.buildkit import Client, HistoryEvent, Keep
from orchestrator.errors import BuildFailedError, ProtocolError
from tests.buildkit.real import ROOT, Watched, client, private_daemon, request, shell_root
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real

DOCKERFILE = """\
FROM scratch as base
COPY a /a
FROM base AS last
# NAME is whom to greet
ARG NAME=you
ARG PASSWORD=abc
RUN --mount=type=secret,id=pw,required=true --mount=type=ssh echo $NAME
"""


async def test_what_a_build_left_in_the_cache_is_listed_and_pruned_alone(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    token = secrets.token_hex(8)
    build = request(f"FROM scratch\nCOPY a /{token}\n", context={"a": token.encode()})
    mine = f"description~={token}"

    # One with a cache as large as the lab's takes half a minute to prune.
    async with private_daemon(lab, tmp_path) as (_, socket), client(socket) as builder:
        await builder.solve(build, on_status=Watched())
        [listed] = await builder.disk_usage(filters=[f"{mine},type==regular"])
        kept = await builder.prune(filters=[mine], keep=Keep(used_within=3600))
        gone = await builder.prune(filters=[mine])
        left = await builder.disk_usage(filters=[mine])

    assert token in listed.description
    assert listed.size > 0
    assert listed.created is not None
    assert (kept, left) == ((), ())
    assert [record.id for record in gone] == [listed.id]
    real_count.record("build")


async def test_a_filter_that_cannot_be_is_refused_in_words(lab: Lab) -> None:
    async with client(lab.buildkitd) as builder:
        with pytest.raises(ProtocolError, match="failed to parse diskusage filters") as caught:
            await builder.disk_usage(filters=["what is this"])

    assert "v0.12" not in caught.value.hint


async def test_a_build_is_heard_of_when_it_begins_and_when_it_ends_and_is_remembered(
    lab: Lab, real_count: RealCount
) -> None:
    build = request(ROOT + "RUN exit 9\n", context=await shell_root())
    heard: list[HistoryEvent] = []

    async def solve(builder: Client) -> None:
        with pytest.raises(BuildFailedError):
            await builder.solve(build, on_status=Watched())

    async def listen(builder: Client, tasks: TaskGroup) -> None:
        async with builder.watch_history(active=True) as events:
            tasks.start_soon(solve, builder)
            async for event in events:
                if event.record.ref == build.ref:
                    heard.append(event)
                    if event.kind == "complete":
                        return

    async with client(lab.buildkitd) as builder:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen, builder, tasks)
        remembered = await builder.history(filters=[f"ref=={build.ref},status==error"])
        by_ref = await builder.history(ref=build.ref)

    # Filters leave the builds alone that run now: others' too.
    [record] = [each for each in remembered if each.completed is not None]
    assert [event.kind for event in heard] == ["started", "complete"]
    assert (record.frontend, record.attrs["filename"], record.exporters) == ("dockerfile.v0", "Dockerfile", ())
    assert record.created is not None
    assert record.completed is not None
    assert record.completed >= record.created
    assert record.error is not None
    assert "exit code: 9" in record.error.message
    assert (record.error.at.command, record.error.at.exit_code) == ("exit 9", 9)
    assert record.logs is not None
    assert record.steps.total > record.steps.cached
    assert [each.ref for each in by_ref] == [build.ref]
    real_count.record("build")


async def test_a_dockerfile_is_checked_and_described_without_a_build(lab: Lab) -> None:
    build = request(DOCKERFILE, context={"a": b"a"})

    async with client(lab.buildkitd) as builder:
        lint = await builder.lint(build)
        outline = await builder.outline(build)
        targets = await builder.targets(build)
        described = await builder.describe(build)
        remembered = await builder.history(ref=build.ref)

    assert [(each.rule_name, each.location.line) for each in lint.warnings] == [
        ("FromAsCasing", 1),
        ("SecretsUsedInArgOrEnv", 6),
    ]
    assert all(each.url.startswith("https://") and each.detail for each in lint.warnings)
    assert lint.sources[0].data.decode() == DOCKERFILE
    assert [(each.name, each.value, each.description) for each in outline.args] == [
        ("NAME", "you", "is whom to greet"),
        ("PASSWORD", "abc", ""),
    ]
    assert [(each.name, each.required) for each in outline.secrets] == [("pw", True)]
    assert [(each.name, each.required) for each in outline.ssh] == [("default", False)]
    assert [(each.name, each.base, each.default) for each in targets.targets] == [
        ("base", "scratch", False),
        ("last", "base", True),
    ]
    assert {"frontend.outline", "frontend.targets"} <= {each.name for each in described}
    assert remembered == ()


async def test_a_dockerfile_that_cannot_be_parsed_is_a_finding_of_the_lint(lab: Lab) -> None:
    async with client(lab.buildkitd) as builder:
        lint = await builder.lint(request("FROM scratch\nFOO bar\n", context={"a": b"a"}))

    assert lint.build_error is not None
    assert (lint.build_error.location.line, "FOO" in lint.build_error.message) == (2, True)


async def test_a_lint_without_a_dockerfile_fails_as_a_build_does(lab: Lab) -> None:
    build = msgspec.structs.replace(request("FROM scratch\n", context={"a": b"a"}), attrs={"filename": "other"})

    async with client(lab.buildkitd) as builder:
        with anyio.fail_after(30), pytest.raises(BuildFailedError, match="failed to read dockerfile"):
            await builder.lint(build)


async def test_a_failed_step_comes_with_its_place_its_command_its_code_and_its_last_words(
    lab: Lab, real_count: RealCount
) -> None:
    command = 'i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo "it\'s over" >&2; exit 41'
    build = request(ROOT + f"\nRUN \\\n  {command}\n", context=await shell_root())
    seen = Watched()

    async with client(lab.buildkitd) as builder:
        with anyio.fail_after(30), pytest.raises(BuildFailedError) as caught:
            await builder.solve(build, on_status=seen)

    at = caught.value.at
    assert at is not None
    assert (at.file, at.line, at.source[0]) == ("Dockerfile", 4, "RUN \\")
    assert (at.command, at.exit_code, at.step) == (command, 41, seen.step("exit 41").digest)
    assert len(at.log) == 20
    assert {"it's over", "line 4999"} <= set(at.log)
    real_count.record("build")
