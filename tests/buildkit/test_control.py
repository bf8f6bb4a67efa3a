"""The questions to a scripted daemon: what is asked, and what is made of every kind of answer."""

import json

import anyio
import msgspec
import pytest
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import (
    BuildRecord,
    Descriptor,
    Exporter,
    HistoryEvent,
    Keep,
    Lint,
    Outline,
    Targets,
    UsageRecord,
    gateway,
    subrequests,
)
from orchestrator.buildkit.grpc import GrpcError, Status
from orchestrator.buildkit.history import build_record
from orchestrator.buildkit.protos import control_pb2, gateway_pb2, status_pb2
from orchestrator.errors import BuildFailedError, ProtocolError
from tests.buildkit.daemon import Daemon, connected, request

USED = control_pb2.UsageRecord(
    id="a",
    parents=["b", "c"],
    record_type="source.local",
    description="local source for context",
    size=12,
    created_at=Timestamp(seconds=5, nanos=500_000_000),
    usage_count=3,
    mutable=True,
)


async def test_disk_usage_is_listed_and_filtered_by_the_daemon() -> None:
    daemon = Daemon(usage=(USED, control_pb2.UsageRecord(id="old", parent_deprecated="p")))

    async with connected(daemon) as builder:
        first, second = await builder.disk_usage(filters=("type==source.local", "shared"))

    assert first == UsageRecord(
        id="a",
        parents=("b", "c"),
        type="source.local",
        description="local source for context",
        size=12,
        created=5.5,
        last_used=None,
        usage_count=3,
        in_use=False,
        mutable=True,
        shared=False,
    )
    assert second.parents == ("p",)
    assert daemon.questions == [control_pb2.DiskUsageRequest(filter=["type==source.local", "shared"])]


async def test_pruning_says_what_is_kept_and_returns_what_is_gone() -> None:
    daemon = Daemon(usage=(USED, USED))
    keep = Keep(used_within=1.5, reserved_space=1, max_used_space=2, min_free_space=3)

    async with connected(daemon) as builder:
        gone = await builder.prune(filters=("private",), keep=keep)
        await builder.prune(everything=True)

    assert [record.id for record in gone] == ["a", "a"]
    assert daemon.questions == [
        control_pb2.PruneRequest(
            filter=["private"], keep_duration=1_500_000_000, reserved_space=1, max_used_space=2, min_free_space=3
        ),
        control_pb2.PruneRequest(all=True),
    ]


def descriptor(digest: str) -> control_pb2.Descriptor:
    return control_pb2.Descriptor(media_type="m", digest=digest, size=1, annotations={"k": "v"})


RECORD = control_pb2.BuildHistoryRecord(
    ref="r",
    frontend="dockerfile.v0",
    frontend_attrs={"filename": "Dockerfile"},
    exporters=[control_pb2.Exporter(type="image", attrs={"push": "true"})],
    exporter_response={"containerimage.digest": "sha256:1"},
    created_at=Timestamp(seconds=1),
    completed_at=Timestamp(seconds=2),
    error=status_pb2.Status(code=2, message="executor failed running [/bin/sh -c x]: exit code: 7"),
    logs=descriptor("log"),
    results={
        "linux/arm64": control_pb2.BuildResultInfo(result_deprecated=descriptor("old")),
        "linux/amd64": control_pb2.BuildResultInfo(
            results={1: descriptor("second"), 0: descriptor("first")}, attestations=[descriptor("attestation")]
        ),
    },
    pinned=True,
    num_total_steps=4,
    num_completed_steps=3,
    num_cached_steps=2,
    num_warnings=1,
)


async def test_a_remembered_build_comes_with_all_that_the_daemon_knows() -> None:
    daemon = Daemon(records=(RECORD,))

    async with connected(daemon) as builder:
        [record] = await builder.history(ref="r", filters=("status==error",), limit=9)

    assert record.exporters == (Exporter(type="image", attrs={"push": "true"}),)
    assert (record.created, record.completed, record.pinned) == (1.0, 2.0, True)
    assert (record.attrs, record.exporter_response) == (
        {"filename": "Dockerfile"},
        {"containerimage.digest": "sha256:1"},
    )
    assert record.error is not None
    assert (record.error.status, record.error.at.exit_code) == ("UNKNOWN", 7)
    assert record.logs == Descriptor(media_type="m", digest="log", size=1, annotations={"k": "v"})
    assert sorted(each.digest for each in record.results) == ["first", "old", "second"]
    assert [each.digest for each in record.attestations] == ["attestation"]
    assert msgspec.structs.astuple(record.steps) == (4, 3, 2, 1)
    assert daemon.questions == [
        control_pb2.BuildHistoryRequest(early_exit=True, ref="r", filter=["status==error"], limit=9)
    ]


async def test_a_record_that_says_next_to_nothing_can_be_read() -> None:
    async with connected(Daemon(records=(control_pb2.BuildHistoryRecord(ref="r"),))) as builder:
        [record] = await builder.history()

    assert (record.completed, record.error, record.results, record.logs) == (None, None, (), None)


async def test_news_of_builds_come_as_they_happen_until_nobody_listens() -> None:
    daemon = Daemon(records=(RECORD,))
    heard: list[HistoryEvent] = []
    began = control_pb2.BuildHistoryEvent(type=control_pb2.STARTED, record=control_pb2.BuildHistoryRecord(ref="new"))
    gone = control_pb2.BuildHistoryEvent(type=control_pb2.DELETED, record=control_pb2.BuildHistoryRecord(ref="new"))

    async with connected(daemon) as builder:
        with anyio.fail_after(5):
            async with builder.watch_history() as events:
                async for event in events:
                    heard.append(event)
                    if event.record.ref == "r":
                        daemon.tell(began, gone)
                    if event.kind == "deleted":
                        break
            after = await builder.info()

    assert [(event.kind, event.record.ref) for event in heard] == [
        ("complete", "r"),
        ("started", "new"),
        ("deleted", "new"),
    ]
    assert after.version


def answering(answer: object) -> tuple[Daemon, list[gateway_pb2.SolveRequest]]:
    asked: list[gateway_pb2.SolveRequest] = []

    async def frontend(request: gateway_pb2.SolveRequest) -> dict[str, bytes]:
        asked.append(request)
        return {"result.json": json.dumps(answer).encode(), "result.txt": b"for people"}

    return Daemon(frontend=frontend), asked


async def test_a_lint_asks_the_frontend_and_builds_nothing() -> None:
    where = {"ranges": [{"start": {"line": 2}, "end": {"line": 3}}]}
    warning = {"ruleName": "Rule", "description": "d", "url": "u", "detail": "t", "location": where}
    source = {"filename": "Dockerfile", "data": "RlJPTQo=", "language": "Dockerfile"}
    daemon, asked = answering({"warnings": [warning], "sources": [source]})

    async with connected(daemon) as builder:
        lint = await builder.lint(request("mine"))

    [found] = lint.warnings
    assert (found.rule_name, found.detail, found.url, found.location.line) == ("Rule", "t", "u", 2)
    assert [each.data for each in lint.sources] == [b"FROM\n"]
    [sent] = asked
    assert (sent.frontend, sent.allow_result_return) == ("dockerfile.v0", True)
    assert dict(sent.frontend_opt) == {
        "filename": "Dockerfile",
        "requestid": "frontend.lint",
        "frontend.caps": "moby.buildkit.frontend.subrequests",
    }
    [solve] = daemon.requests
    assert (solve.frontend, solve.internal, solve.ref != "mine") == ("", True, True)


async def test_what_go_writes_for_nothing_is_nothing() -> None:
    daemon, _ = answering({"warnings": None, "sources": None, "targets": None, "args": None, "more": [None]})

    async with connected(daemon) as builder:
        answers = (
            await builder.lint(request("a")),
            await builder.outline(request("b")),
            await builder.targets(request("c")),
        )

    assert answers == (Lint(), Outline(), Targets())


async def test_a_question_is_repeated_while_the_daemon_does_not_know_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "_UNKNOWN_PAUSE", 0.01)
    daemon, _ = answering([{"name": "frontend.outline", "version": "1", "opts": None}])
    daemon.unknown_at_first = 3
    async with connected(daemon) as builder:
        with anyio.fail_after(5):
            answers = await builder.describe(request())

    assert [answer.name for answer in answers] == ["frontend.outline"]
    assert daemon.unknown_at_first == 0


async def test_a_frontend_that_refuses_fails_as_a_build_does_with_its_details() -> None:
    source = {"info": {"filename": "Dockerfile", "data": "Rk9PCg=="}, "ranges": [{"start": {"line": 1}}]}
    details = status_pb2.Status(code=2, message="no")
    details.details.add(type_url="github.com/moby/buildkit/errdefs.Source+json", value=json.dumps(source).encode())

    async def frontend(_: gateway_pb2.SolveRequest) -> dict[str, bytes]:
        raise GrpcError(Status.UNKNOWN, "dockerfile parse error on line 1: no", details.SerializeToString())

    async with connected(Daemon(frontend=frontend)) as builder:
        with anyio.fail_after(5), pytest.raises(BuildFailedError, match="parse error") as caught:
            await builder.lint(request())

    assert caught.value.at is not None
    assert (caught.value.at.line, caught.value.at.source) == (1, ("FOO",))


@pytest.mark.parametrize("answer", [{}, {"result.json": b"["}, {"result.json": b'{"warnings": 1}'}])
async def test_an_answer_that_is_none_is_a_breach_of_protocol(answer: dict[str, bytes]) -> None:
    async def frontend(_: gateway_pb2.SolveRequest) -> dict[str, bytes]:
        return answer

    async with connected(Daemon(frontend=frontend)) as builder:
        with anyio.fail_after(5), pytest.raises(ProtocolError) as caught:
            await builder.lint(request())

    assert caught.value.hint


async def test_a_daemon_without_a_gateway_says_so_and_the_build_is_cancelled() -> None:
    daemon = Daemon()

    async with connected(daemon) as builder:
        with anyio.fail_after(5), pytest.raises(ProtocolError, match="UNIMPLEMENTED"):
            await builder.lint(request("mine"))
        assert await builder.active_builds() == ()

    assert len(daemon.cancelled) == 1


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda each: st.lists(each) | st.dictionaries(
    st.sampled_from(["warnings", "sources", "location", "ranges", "data", "ruleName"]), each)))  # fmt: skip
def test_no_answer_of_a_frontend_raises_anything_foreign(answer: object) -> None:
    for kind in (Lint, Outline, Targets):
        try:
            found = subrequests.decode(json.dumps(answer).encode(), kind, name="x")
        except ProtocolError:
            continue
        assert isinstance(found, kind)


@given(st.binary(max_size=200))
def test_no_record_is_so_odd_that_it_cannot_be_told(data: bytes) -> None:
    try:
        record = control_pb2.BuildHistoryRecord.FromString(data)
    except DecodeError:
        return

    assert isinstance(build_record(record), BuildRecord)
