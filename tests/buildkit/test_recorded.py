"""What real daemons of several versions said of every scenario, and what we make of it."""

from collections.abc import Iterator

import anyio
import pytest

from orchestrator.buildkit.border import solve_error
from orchestrator.buildkit.grpc import GrpcError, Status
from orchestrator.errors import (
    BuildFailedError,
    FleetpacksError,
    ImageNotFoundError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)
from tests.buildkit.real import client
from tests.buildkit.recorder import Recorded, load, provoke
from tests.buildkit.scenarios import SCENARIOS, Scenario
from tests.lab import Lab

EXPECTED: dict[str, tuple[type[FleetpacksError], str]] = {
    "step: exit 3": (BuildFailedError, "output says why"),
    "step: not found": (BuildFailedError, "program is not in the image"),
    "step: killed": (BuildFailedError, "memory"),
    "step: exec form": (BuildFailedError, "output says why"),
    "step: no shell": (BuildFailedError, "output says why"),
    "step: quotes": (BuildFailedError, "output says why"),
    "dockerfile: unknown instruction": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: no arguments": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: empty": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: no stage": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: no base": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: bad base": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: missing": (BuildFailedError, "make sure that it exists"),
    "dockerfile: unknown target": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: unknown stage": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: bad platform": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: unknown flag": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: bad argument": (BuildFailedError, "correct the Dockerfile"),
    "dockerfile: cycle": (BuildFailedError, "correct the Dockerfile"),
    "frontend: not there": (ImageNotFoundError, "name and tag"),
    "context: file not found": (BuildFailedError, ".dockerignore"),
    "context: file of a stage not found": (BuildFailedError, "stage that is copied from"),
    "dockerignore: class not closed": (BuildFailedError, "correct its patterns"),
    "dockerignore: nothing taken back": (BuildFailedError, "correct its patterns"),
    "secret: not declared": (BuildFailedError, "declare the secret"),
    "ssh: not forwarded": (BuildFailedError, "SSH agent"),
    "entitlement: insecure": (BuildFailedError, "privilege"),
    "entitlement: host network": (BuildFailedError, "privilege"),
    "add: 404": (BuildFailedError, "URL of an ADD"),
    "add: refused": (BuildFailedError, "URL of an ADD"),
    "add: no such host": (BuildFailedError, "URL of an ADD"),
    "add: checksum": (BuildFailedError, "--checksum"),
    "base: not found": (ImageNotFoundError, "name and tag"),
    "base: 401": (ImageNotFoundError, "log in"),
    "base: 403": (ImageNotFoundError, "log in"),
    "base: 429": (RegistryBusyError, "later"),
    "base: 500": (RegistryBusyError, "later"),
    "base: 502": (RegistryBusyError, "later"),
    "base: 503": (RegistryBusyError, "later"),
    "base: token 401": (ImageNotFoundError, "log in"),
    "base: token 503": (RegistryBusyError, "later"),
    "base: reset": (RegistryUnavailableError, "cannot reach"),
    "base: refused": (RegistryUnavailableError, "cannot reach"),
    "base: no such host": (RegistryUnavailableError, "cannot reach"),
    "base: platform": (ImageNotFoundError, "platform"),
    "base: layer 404": (ImageNotFoundError, "not this layer"),
    "base: layer 404 under RUN": (ImageNotFoundError, "not this layer"),
    "base: layer 403": (ImageNotFoundError, "log in"),
    "base: layer 429": (RegistryBusyError, "later"),
    "base: layer 503": (RegistryBusyError, "later"),
    "base: layer damaged": (RegistryError, "not what its manifest names"),
    "push: 401": (RegistryError, "log in"),
    "push: 403": (RegistryError, "log in"),
    "push: 404": (RegistryError, "log in"),
    "push: 405": (RegistryError, "log in"),
    "push: 429": (RegistryBusyError, "later"),
    "push: 500": (RegistryBusyError, "later"),
    "push: 503": (RegistryBusyError, "later"),
    "push: denied": (RegistryError, "log in"),
    "push: too many": (RegistryBusyError, "later"),
    "push: manifest 400": (RegistryError, "log in"),
    "push: reset": (RegistryUnavailableError, "cannot reach"),
    "push: refused": (RegistryUnavailableError, "cannot reach"),
    "push: no such host": (RegistryUnavailableError, "cannot reach"),
    "push: name": (RegistryError, "lower case"),
    "exporter: unknown": (BuildFailedError, "say more"),
}

UNKNOWN_THERE = {
    ("v0.13.2", "entitlement: insecure"): "correct the Dockerfile",
    ("dockerd-20.10.24", "entitlement: insecure"): "correct the Dockerfile",
    ("dockerd-20.10.24", "entitlement: host network"): "correct the Dockerfile",
    ("dockerd-20.10.24", "add: checksum"): "correct the Dockerfile",
}
"""Flags that were invented later."""


def recorded() -> Iterator[tuple[str, str, Recorded]]:
    for version, answers in load().items():
        for name, answer in answers.items():
            yield version, name, answer


@pytest.mark.parametrize(
    ("version", "name", "answer"), [pytest.param(*each, id=f"{each[0]}: {each[1]}") for each in recorded()]
)
def test_what_a_real_daemon_said_has_its_error_and_its_hint(version: str, name: str, answer: Recorded) -> None:
    kind, hint = EXPECTED[name]

    error = solve_error(GrpcError(Status(answer.status), answer.message, answer.details))

    assert type(error) is kind
    assert UNKNOWN_THERE.get((version, name), hint) in error.hint
    assert error.message.endswith(answer.message)


@pytest.mark.parametrize("name", ["dockerignore: class not closed", "dockerignore: nothing taken back"])
def test_a_wrong_dockerignore_is_named_though_the_daemon_does_not(name: str) -> None:
    answer = load()["v0.30.0"][name]

    error = solve_error(GrpcError(Status(answer.status), answer.message))

    assert error.message == f".dockerignore: {answer.message}"


def test_every_scenario_was_recorded_from_the_daemon_that_the_lab_has() -> None:
    assert load()["v0.30.0"].keys() == EXPECTED.keys()


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_labs_daemon_still_fails_as_recorded(lab: Lab) -> None:
    found: dict[str, type[FleetpacksError]] = {}
    limit = anyio.Semaphore(12)

    async def run(*scenarios: Scenario) -> None:
        for scenario in scenarios:
            async with limit:
                error = await provoke(builder, scenario)
            assert EXPECTED[scenario.name][1] in error.hint
            found[scenario.name] = type(error)

    # One after the other: to the daemon they are the same layer.
    of_a_layer = [scenario for scenario in SCENARIOS if scenario.name.startswith("base: layer")]
    async with client(lab.buildkitd) as builder, anyio.create_task_group() as tasks:
        tasks.start_soon(run, *of_a_layer)
        for scenario in SCENARIOS:
            if scenario not in of_a_layer:
                tasks.start_soon(run, scenario)

    assert found == {name: kind for name, (kind, _) in EXPECTED.items()}


@pytest.mark.parametrize(
    ("name", "place", "command", "code"),
    [
        ("step: exit 3", ("Dockerfile", 3), "echo out; echo err >&2; exit 3", 3),
        ("step: not found", ("Dockerfile", 3), "no-such-program", 127),
        ("step: killed", ("Dockerfile", 3), "sh -c 'kill -9 $$'; exit $?", 137),
        ("step: exec form", ("Dockerfile", 3), "/bin/cat /no such file", 1),
        ("step: quotes", ("Dockerfile", 3), "echo \"it's\" '\\t'  && exit 4", 4),
        ("dockerfile: unknown instruction", ("Dockerfile", 2), None, None),
        ("context: file not found", ("Dockerfile", 2), None, None),
        ("base: not found", ("Dockerfile", 1), None, None),
    ],
)
@pytest.mark.parametrize("version", load())
def test_a_failure_knows_where_it_happened(
    version: str, name: str, place: tuple[str, int], command: str | None, code: int | None
) -> None:
    answer = load()[version][name]

    at = solve_error(GrpcError(Status(answer.status), answer.message, answer.details)).at

    assert at is not None
    assert (at.command, at.exit_code) == (command, code)
    # What dockerd 20.10 does not say is not made up.
    assert (at.file, at.line) == ((None, None) if version == "dockerd-20.10.24" else place)
