"""Spans: a tree of the run, its apps and their steps, as OTLP's JSON has them."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report import otlp
from orchestrator.report.analysis import of_timeline
from orchestrator.report.record import Record
from orchestrator.report.timeline import timeline
from tests.report.simulated import BEGAN, MadeApp, MadeStep, made_apps, simulate

_RESOURCE = {"service.name": "fleetpacks", "ci": "yes"}


def documents(record: Record, parent: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    timed = timeline(record)
    made = otlp.requests(timed, of_timeline(record, timed, running=False), resource=_RESOURCE, parent=parent)
    return [json.loads(msgspec.json.encode(each)) for each in made]


def spans_of(record: Record, parent: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    return [
        span
        for document in documents(record, parent)
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


@given(made_apps(delays=True), st.integers(1, 3))
def test_spans_are_one_tree_whose_branches_lie_within_their_stem(apps: list[MadeApp], jobs: int) -> None:
    root, *others = spans_of(simulate(apps, jobs=jobs))

    by_id = {span["spanId"]: span for span in (root, *others)}
    assert len(by_id) == 1 + len(others) == 1 + len(apps) + sum(len(app.steps) for app in apps)
    assert root["parentSpanId"] == ""
    for span in others:
        stem = by_id[span["parentSpanId"]]
        assert int(stem["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        # Seconds since the epoch have no more digits.
        assert int(span["endTimeUnixNano"]) <= int(stem["endTimeUnixNano"]) + 1000
    for span in (root, *others):
        assert re.fullmatch(r"[0-9a-f]{16}", span["spanId"])
        assert re.fullmatch(r"[0-9a-f]{32}", span["traceId"])
        assert span["traceId"] == root["traceId"]


def test_a_trace_that_goes_on_here_keeps_its_ids() -> None:
    parent = ("a" * 32, "b" * 16)

    root, app = spans_of(simulate([MadeApp(before=1.0)], jobs=1), parent)

    assert (root["traceId"], root["parentSpanId"], app["traceId"]) == ("a" * 32, "b" * 16, "a" * 32)


def test_spans_say_what_was_built_and_where_and_how_long() -> None:
    step = MadeStep(name="[2/2] RUN make -j 8 all", seconds=2.0, cached=True)

    root, app, made = spans_of(simulate([MadeApp(steps=(step,), before=1.0)], jobs=1))

    assert root["name"] == "fleetpacks build"
    assert int(root["startTimeUnixNano"]) == int(BEGAN * 1e9)
    assert attributes(root)["process.exit.code"] == "0"
    assert attributes(app)["container.image.name"] == "r.example/app0"
    assert attributes(app)["oci.manifest.digest"] == f"sha256:{0:064x}"
    assert (made["name"], attributes(made)["fleetpacks.kind"], attributes(made)["fleetpacks.cached"]) == (
        "[2/2] RUN make",
        "build",
        True,
    )
    assert int(made["endTimeUnixNano"]) - int(made["startTimeUnixNano"]) == 2 * 10**9
    assert {span["status"]["code"] for span in (root, app, made)} == {1}


def test_a_large_run_is_sent_in_parts() -> None:
    steps = tuple(MadeStep(name="[1/1] RUN make", seconds=1.0) for _ in range(20))

    made = documents(simulate([MadeApp(steps=steps)] * 200, jobs=4))

    counts = [len(each["resourceSpans"][0]["scopeSpans"][0]["spans"]) for each in made]
    assert sum(counts) == 1 + 200 + 4000
    assert max(counts) <= 2000
    assert all(attributes(each["resourceSpans"][0]["resource"]) == _RESOURCE for each in made)


@pytest.mark.parametrize("events", [0, 1, 2])
def test_a_run_that_ended_early_is_an_error(events: int) -> None:
    record = simulate([MadeApp(before=1.0)], jobs=1)

    root, *_ = spans_of(msgspec.structs.replace(record, events=record.events[:events]))

    assert root["status"] == {"code": 2, "message": "unfinished"}
