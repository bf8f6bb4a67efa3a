"""Builds from mirrors: what a daemon is told, and what it is sent instead."""

import fnmatch
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.app.mirroring import ImageMirrors
from orchestrator.buildkit import DirectorySource, MemorySource, SolveRequest, SolveResult, StatusUpdate
from orchestrator.engine.mirroring import Elsewhere, converted, places, rewritten, rules
from orchestrator.engine.request import pinned
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import (
    BuildFailedError,
    FleetpacksError,
    ImageNotFoundError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)
from orchestrator.events import AppCompleted, AppFailed, AppWarning, Event
from orchestrator.registry.manifest import Descriptor
from orchestrator.registry.mirrors import Mirrors
from orchestrator.registry.reference import Reference
from tests.engine.test_run import RecordingPublisher, alone, plan_of
from tests.engine.test_skipping import PolicySolver, ScriptedSkipper

_DIGEST = "sha256:" + "a" * 64
_REQUEST = SolveRequest(
    ref="r",
    attrs={"filename": "deploy/Dockerfile"},
    sources=(
        DirectorySource(name="context", root=Path("/app")),
        DirectorySource(name="dockerfile", root=Path("/app")),
    ),
    shared_key="k",
)
_SAID = {"docker.io": "m.example/hub"}
_NODE = Elsewhere(name="docker.io/library/node:22", at="m.example/hub/library/node:22")


def judged(request: SolveRequest, source: str) -> str:
    """What a daemon makes of a source: the first rule that fits converts it, until none does."""
    for _ in range(20):
        for rule in request.source_policy:
            found = re.fullmatch(re.escape(rule.identifier).replace(r"\*", "(.*)"), source)
            if found and fnmatch.fnmatchcase(source, rule.identifier):
                source = rule.to.replace("${1}", found[1] if found.groups() else "")
                break
        else:
            return source
    raise AssertionError(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docker.io/library/node:22", "m.example/hub/library/node:22"),
        (f"docker.io/library/node:22@{_DIGEST}", f"m.example/hub/library/node:22@{_DIGEST}"),
        ("docker.io/library/node:22-slim", "docker.io/library/node:22-slim"),
        ("docker.io/library/node:2", "docker.io/library/node:2"),
    ],
)
def test_an_image_is_taken_from_its_mirror_and_no_other_is(source: str, expected: str) -> None:
    made = converted(_REQUEST, [_NODE, _NODE])

    assert judged(made, f"docker-image://{source}") == f"docker-image://{expected}"
    assert len(made.source_policy) == 2


def test_an_image_that_is_pinned_is_taken_from_its_mirror_by_that_digest() -> None:
    made = converted(pinned(_REQUEST, {"node:22": _DIGEST}), [_NODE])

    found = judged(made, "docker-image://docker.io/library/node:22")

    assert found == f"docker-image://m.example/hub/library/node:22@{_DIGEST}"


def test_a_name_with_a_digest_has_one_rule() -> None:
    image = Elsewhere(name=f"docker.io/library/a@{_DIGEST}", at=f"m.example/library/a@{_DIGEST}")

    assert [(rule.identifier, rule.to) for rule in rules([image])] == [
        (f"docker-image://{image.name}", f"docker-image://{image.at}")
    ]


def test_another_dockerfile_is_sent_beside_the_same_context_with_its_own_ignore_file() -> None:
    made = rewritten(_REQUEST, "FROM x\n", ignore=b"*.log\n")

    assert made.sources == (
        _REQUEST.sources[0],
        MemorySource(
            name="dockerfile",
            files={"deploy/Dockerfile": b"FROM x\n", "deploy/Dockerfile.dockerignore": b"*.log\n"},
        ),
    )


def test_what_is_in_memory_beside_a_dockerfile_stays() -> None:
    memory = MemorySource(
        name="dockerfile", files={"deploy/Dockerfile": b"FROM y\n", "deploy/Dockerfile.dockerignore": b"a"}
    )
    request = msgspec.structs.replace(_REQUEST, sources=(_REQUEST.sources[0], memory))

    [_, source] = rewritten(request, "FROM x\n").sources

    assert isinstance(source, MemorySource)
    assert source.files == {"deploy/Dockerfile": b"FROM x\n", "deploy/Dockerfile.dockerignore": b"a"}


def test_named_contexts_are_images_but_for_those_of_other_apps() -> None:
    contexts = {"a": "docker-image://alpine:3", "b": f"docker-image://r.example/b@{_DIGEST}", "c": "./x"}

    assert places(contexts) == ("alpine:3",)


class Hub:
    """A mirror that has whatever it is asked for."""

    async def head(self, reference: Reference) -> Descriptor | None:
        await anyio.lowlevel.checkpoint()
        return Descriptor(media_type=reference.host, digest=_DIGEST, size=1)


async def _run(solver: PolicySolver, *, push: bool = True) -> tuple[Outcome, list[str]]:
    """Build one app, with a mirror of Docker Hub; returns its outcome and all warnings."""
    outcomes, warnings = await _run_all(solver, "a", push=push)
    return outcomes["a"], warnings


async def _run_all(
    solver: PolicySolver, *names: str, push: bool = True, retries: int = 3, said: Mapping[str, str] = _SAID
) -> tuple[Mapping[str, Outcome], list[str]]:
    """Build apps on the same images."""
    plan = plan_of(*names, push=push)
    build = msgspec.structs.replace(plan.apps[0].build, dockerfile="FROM node:22\nCOPY --from=r.example/b:1 / /\n")
    plan = msgspec.structs.replace(plan, apps=tuple(msgspec.structs.replace(app, build=build) for app in plan.apps))
    mirrors = ImageMirrors(Mirrors(Hub(), said))
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(solver, RecordingPublisher())],
        events=send,
        jobs=len(names),
        fail_fast=False,
        retries=retries,
        mirrors=mirrors,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return outcomes, [event.message async for event in receive if isinstance(event, AppWarning)]


async def test_a_build_is_told_of_the_mirror_and_says_nothing() -> None:
    solver = PolicySolver()

    outcome, warnings = await _run(solver)

    assert isinstance(outcome, AppCompleted)
    assert warnings == []
    [[first, second]] = solver.policies
    assert first == ("docker-image://docker.io/library/node:22", "docker-image://m.example/hub/library/node:22")
    assert second[0] == "docker-image://docker.io/library/node:22@*"


@pytest.mark.parametrize(
    "error",
    [
        ImageNotFoundError("m.example/hub/library/node:22: not found", hint=""),
        RegistryUnavailableError('failed to do request: Head "https://m.example/v2/hub/library/node/x": EOF', hint=""),
    ],
)
async def test_what_the_builder_cannot_have_from_a_mirror_is_taken_from_elsewhere_at_once(
    error: FleetpacksError,
) -> None:
    solver = PolicySolver(error)

    outcome, warnings = await _run(solver)

    assert isinstance(outcome, AppCompleted)
    assert [len(policy) for policy in solver.policies] == [2, 0]
    [warning] = warnings
    assert error.message in warning
    assert "docker.io" in warning


class Together(PolicySolver):
    """Two builds that are sent to a mirror fail there, when both have begun."""

    def __init__(self, error: FleetpacksError) -> None:
        super().__init__()
        self._error = error
        self._begun = 0
        self._both = anyio.Event()

    async def solve(
        self, request: SolveRequest, *, on_status: Callable[[StatusUpdate], Awaitable[None]]
    ) -> SolveResult:
        result = await super().solve(request, on_status=on_status)
        if not request.source_policy:
            return result
        self._begun += 1
        if self._begun == 2:
            self._both.set()
        await self._both.wait()
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ImageNotFoundError("m.example/hub/library/node:22: not found", hint=""),
        RegistryError("m.example/hub/library/node:22: x509: certificate signed by unknown authority", hint=""),
        RegistryBusyError("unexpected status from HEAD http://m.example/v2/hub/library/node/manifests/22", hint=""),
        RegistryUnavailableError('failed to do request: Head "https://m.example/v2/hub/library/node/x": EOF', hint=""),
    ],
)
async def test_all_builds_that_were_sent_to_a_mirror_come_back_from_it(error: FleetpacksError) -> None:
    solver = Together(error)

    outcomes, warnings = await _run_all(solver, "a", "b", retries=0)

    assert [type(outcome) for outcome in outcomes.values()] == [AppCompleted, AppCompleted]
    assert [len(policy) for policy in solver.policies] == [2, 2, 0, 0]
    assert len(warnings) == 1


async def test_what_a_mirror_does_not_have_costs_none_of_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.engine.retry._FIRST_SECONDS", 0.001)
    solver = PolicySolver(
        ImageNotFoundError("m.example/hub/library/node:22: not found", hint=""),
        ImageNotFoundError("m.example/r/b:1: not found", hint=""),
        RegistryUnavailableError("failed to push registry.example/a: 503", hint=""),
    )

    outcomes, warnings = await _run_all(solver, "a", retries=1, said={**_SAID, "r.example": "m.example/r"})

    assert isinstance(outcomes["a"], AppCompleted)
    assert [len(policy) for policy in solver.policies] == [4, 2, 0, 0]
    assert "(1 of 1)" in warnings[-1]


class Silent(Hub):
    """A mirror that gives no answer."""

    async def head(self, reference: Reference) -> Descriptor | None:
        raise RegistryUnavailableError(f"{reference.host} is away", hint="")


async def test_where_all_is_skipped_it_is_told_that_a_mirror_is_away() -> None:
    mirrors = Mirrors(Silent(), _SAID)

    class Asking(ScriptedSkipper):
        async def wait(self, _app: str) -> None:
            await mirrors.find("node:22")

    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan_of("a", "b"),
        hosts=[alone(PolicySolver(), RecordingPublisher())],
        events=send,
        jobs=1,
        fail_fast=False,
        skipper=Asking("ab"),
        mirrors=ImageMirrors(mirrors),
    )

    async with receive:
        outcomes = await run.execute()
        warnings = [event.message async for event in receive if isinstance(event, AppWarning)]

    assert [isinstance(each, AppCompleted) and each.skipped for each in outcomes.values()] == [True, True]
    assert warnings == ["images are taken from docker.io, and not from its mirror m.example: m.example is away"]


@pytest.mark.parametrize(
    "error",
    [
        ImageNotFoundError("r.example/b:1: not found", hint=""),
        RegistryError("failed to push registry.example/a: denied", hint=""),
        BuildFailedError("m.example/hub/library/node:22: not found", hint=""),
    ],
)
async def test_other_failures_are_none_of_the_mirrors(error: FleetpacksError) -> None:
    solver = PolicySolver(error)

    outcome, _ = await _run(solver)

    assert isinstance(outcome, AppFailed)
    assert [len(policy) for policy in solver.policies] == [2]


async def test_a_builder_without_source_policies_gets_another_dockerfile() -> None:
    plan = plan_of("a").apps[0]
    build = msgspec.structs.replace(plan.build, dockerfile="FROM node:22\n")
    plan = msgspec.structs.replace(plan, build=build)
    memory = MemorySource(name="dockerfile", files={"Dockerfile": b"FROM node:22\n"})
    request = msgspec.structs.replace(_REQUEST, attrs={"filename": "Dockerfile"}, sources=(memory,))
    mirrors = ImageMirrors(Mirrors(Hub(), {"docker.io": "m.example/hub"}))

    made = await mirrors.through(plan, request, policy=False)
    own = await mirrors.of_text(request, "FROM node:22 AS copy\n", policy=False)

    assert made.source_policy == ()
    assert made.sources == (
        MemorySource(name="dockerfile", files={"Dockerfile": b"FROM m.example/hub/library/node:22\n"}),
    )
    assert made.registries == ("m.example",)
    assert own.sources == (
        MemorySource(name="dockerfile", files={"Dockerfile": b"FROM m.example/hub/library/node:22 AS copy\n"}),
    )
