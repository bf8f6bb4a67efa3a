"""Chrome's trace events: slices that a viewer can nest."""

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.timeline import timeline
from orchestrator.report.trace import trace
from tests.report.simulated import MadeApp, made_apps, simulate


def slices(document: dict[str, Any]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    threads: defaultdict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in document["traceEvents"]:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append(event)
    return threads


@given(made_apps(), st.integers(1, 3))
def test_no_slice_overlaps_another_of_its_thread(apps: list[MadeApp], jobs: int) -> None:
    document = json.loads(msgspec.json.encode(trace(timeline(simulate(apps, jobs=jobs)))))

    for thread in slices(document).values():
        ordered = sorted(thread, key=lambda event: (event["ts"], event["ts"] + event["dur"]))
        assert all(one["ts"] + one["dur"] <= after["ts"] for one, after in pairwise(ordered))


@given(made_apps(), st.integers(1, 3))
def test_each_app_and_each_step_is_a_slice_of_a_thread_that_has_a_name(apps: list[MadeApp], jobs: int) -> None:
    document = trace(timeline(simulate(apps, jobs=jobs)))

    told = [event for thread in slices(document).values() for event in thread]
    named = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in document["traceEvents"]
        if event["name"] == "thread_name"
    }
    assert sorted(event["name"] for event in told if event["cat"] != "app") == sorted(
        step.name for app in apps for step in app.steps
    )
    assert sum(event["cat"] == "app" for event in told) == len(apps)
    assert all(named[event["pid"], event["tid"]].startswith("app") for event in told)
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in told)
