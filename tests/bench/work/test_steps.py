"""Where the time of a build went, from what a daemon says."""

import pytest

from orchestrator.bench.work import dockerfile, rounds
from orchestrator.bench.work.clock import Clock
from orchestrator.bench.work.dockerfile import Base
from orchestrator.bench.work.doing import fault
from orchestrator.bench.work.steps import Steps, called
from orchestrator.buildkit import StatusUpdate, Vertex

DEBS = '[app 3/8] RUN --mount=type=bind,source=packages/debs ["python3", "/fleetpacks-bench.py", "debs"]'


def vertex(name: str, started: float | None, completed: float | None, *, cached: bool = False) -> Vertex:
    return Vertex(digest=name, name=name, inputs=(), started=started, completed=completed, cached=cached, error=None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (DEBS, "debs"),
        ("[internal] load build context", "context"),
        ("[internal] load .dockerignore", "reading"),
        ("[context fleetpacks-bench-base] OCI load from client", "base"),
        ("[base 1/1] FROM docker.io/library/python:3.12", "base"),
        ("[image 2/2] COPY --from=app /app /app", "copy"),
        ("exporting to image", "export"),
        ("exporting cache to client directory", "cache-export"),
        ("importing cache manifest from local:123", "cache-import"),
        ("[pulled 2/5] ADD images/x-0.tar.gz /", "base"),
        ("something new", "other"),
    ],
)
def test_steps_are_called_by_what_they_do(name: str, kind: str) -> None:
    assert called(name) == kind


async def test_seconds_are_those_of_all_starts_of_a_step_each_once() -> None:
    steps = Steps()

    await steps.feed(StatusUpdate(vertexes=(vertex(DEBS, 10.0, None),)))
    await steps.feed(StatusUpdate(vertexes=(vertex(DEBS, 10.0, 12.0),)))
    await steps.feed(StatusUpdate(vertexes=(vertex(DEBS, 10.0, 12.0),)))
    await steps.feed(StatusUpdate(vertexes=(vertex(DEBS, 20.0, 21.0), vertex("exporting to image", 1.0, 1.5))))

    assert steps.seconds() == {"debs": 3.0, "export": 0.5}


async def test_what_a_cached_step_takes_is_unpacking() -> None:
    steps = Steps()

    await steps.feed(StatusUpdate(vertexes=(vertex(DEBS, 10.0, 12.0, cached=True),)))

    assert steps.seconds() == {"unpack": 2.0}


async def test_a_run_counts_when_exactly_what_should_run_has_run() -> None:
    right, cached = Steps(), Steps()
    sources = vertex('RUN ["python3", "/fleetpacks-bench.py", "sources"]', 1.0, 2.0)
    await right.feed(StatusUpdate(vertexes=(vertex(DEBS, 1.0, 1.0, cached=True), sources)))
    await cached.feed(StatusUpdate(vertexes=(vertex(DEBS, 1.0, 2.0), sources)))

    assert fault(rounds.SOURCE, [right]) == ""
    assert fault(rounds.SOURCE, [right, cached]) == "debs ran"
    assert fault(rounds.FIRST, [right]) == "debs, large, tarballs, wheels did not run"
    assert fault(rounds.WARM, [right]) == ""


def test_a_dockerfile_has_the_steps_in_their_order_and_names_its_caches() -> None:
    text = dockerfile.app(Base(image="some"), word="warm")

    assert text.startswith("FROM some AS base\n")
    assert [text.index(f'"/fleetpacks-bench.py", "{verb}"') for verb in dockerfile.VERBS] == sorted(
        text.index(f'"/fleetpacks-bench.py", "{verb}"') for verb in dockerfile.VERBS
    )
    assert text.count("type=cache") == len(dockerfile.CACHED)
    assert all(f"id=fleetpacks-bench-warm-{verb}," in text for verb in dockerfile.CACHED)
    # Of 1.2 syntax, which knows no more than these.
    assert {line.split()[0] for line in text.splitlines()} == {"FROM", "ARG", "COPY", "RUN"}


def test_an_image_of_ours_is_unpacked_where_a_daemon_does_not_take_it() -> None:
    text = dockerfile.app(Base(archives=("images/a.tar.gz",), env=("PATH=/bin",)), word="warm")

    assert text.startswith('FROM scratch AS base\nADD images/a.tar.gz /\nENV PATH="/bin"\n')


def test_what_is_in_no_activity_is_the_harness_own() -> None:
    clock = Clock()
    with clock.of("builds"):
        sum(range(200_000))
    sum(range(200_000))

    assert clock.seconds.keys() == clock.processor.keys() == {"builds"}
    assert 0 < clock.own < clock.wall
    assert abs(clock.own + clock.seconds["builds"] - clock.wall) < 0.01
