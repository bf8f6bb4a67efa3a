"""The engine for programs, in this process, on asyncio and on trio."""

import importlib
import secrets
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

import orchestrator
from orchestrator import Event, Flags, FleetpacksError, Monorepo, Request
from orchestrator.config import environment
from orchestrator.events import AppCancelled, AppCompleted, AppFailed, RunCompleted
from tests.conftest import RealCount
from tests.e2e.test_interruption import asleep, processes, sleeper
from tests.lab import Lab

pytestmark = pytest.mark.real

_SOON = 60


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    return {"PATH": environment.read()["PATH"], "HOME": str(tmp_path)}


def _shop(root: Path, dockerfiles: Mapping[str, str]) -> Path:
    for name, text in dockerfiles.items():
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text(text)
        (root / name / "token.txt").write_text(secrets.token_hex(8))
    return root


async def test_a_monorepo_is_built_on_either_event_loop(
    lab: Lab, tmp_path: Path, variables: Mapping[str, str], real_count: RealCount, capfd: pytest.CaptureFixture[str]
) -> None:
    fine = "FROM scratch\nCOPY token.txt /\n"
    root = _shop(tmp_path / "shop", {"one": fine, "two": fine, "three": "FROM scratch\nCOPY missing.txt /\n"})
    flags = Flags(image=f"{lab.registry}/library-{secrets.token_hex(4)}", hosts=(lab.buildkit_host,), jobs=3)
    shop = Monorepo(root, flags=flags, variables=variables)
    events: list[Event] = []

    async def hear(event: Event) -> None:
        events.append(event)

    found = await shop.apps()
    result = await shop.build(on_event=hear)
    real_count.record("build", times=2)

    assert {app.name for app in found} == {"one", "two", "three"}
    assert (result.status, result.exit_code) == ("failed", 1)
    assert {app.name: app.status for app in result.apps} == {"one": "success", "two": "success", "three": "failed"}
    assert {event.app for event in events if isinstance(event, AppCompleted)} == {"one", "two"}
    assert {event.app for event in events if isinstance(event, AppFailed)} == {"three"}
    assert isinstance(events[-1], RunCompleted)
    assert capfd.readouterr() == ("", "")


async def test_files_are_written_and_nothing_is_pushed(
    lab: Lab, tmp_path: Path, variables: Mapping[str, str], real_count: RealCount
) -> None:
    root = _shop(tmp_path / "shop", {"one": "FROM scratch\nCOPY token.txt /\n"})
    flags = Flags(image=f"{lab.registry}/library-{secrets.token_hex(4)}", hosts=(lab.buildkit_host,))

    result = await Monorepo(root, flags=flags, variables=variables).build(
        outputs=[f"type=local,dest={tmp_path}/out/{{app}}"]
    )
    real_count.record("build")

    [one] = result.apps
    assert (one.status, one.tags) == ("success", ())
    assert (tmp_path / "out/one/token.txt").read_text() == (root / "one/token.txt").read_text()


async def test_whoever_cancels_it_cancels_the_builds_and_all_is_told(
    lab: Lab, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    root, mark = sleeper(tmp_path / "shop")
    shop = Monorepo(root, flags=Flags(hosts=(lab.buildkit_host,)), variables=variables)
    events: list[Event] = []

    with anyio.fail_after(_SOON), anyio.CancelScope() as scope:

        async def hear(event: Event) -> None:
            events.append(event)
            if asleep(event):
                scope.cancel()

        await shop.build(on_event=hear)

    assert scope.cancelled_caught
    assert processes(mark) == []
    assert [type(event) for event in events[-2:]] == [AppCancelled, RunCompleted]


async def test_what_a_listener_raises_ends_the_run_and_is_raised(
    lab: Lab, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    root, mark = sleeper(tmp_path / "shop")
    shop = Monorepo(root, flags=Flags(hosts=(lab.buildkit_host,)), variables=variables)

    async def hear(event: Event) -> None:
        if asleep(event):
            raise ZeroDivisionError("mine")

    with anyio.fail_after(_SOON), pytest.raises(ZeroDivisionError, match="mine"):
        await shop.build(on_event=hear)

    assert processes(mark) == []


async def test_what_cannot_be_done_is_an_error_that_says_what_to_do(
    tmp_path: Path, variables: Mapping[str, str]
) -> None:
    root = _shop(tmp_path / "shop", {"one": "FROM scratch\nCOPY token.txt /\n"})
    nowhere = Monorepo(root, flags=Flags(hosts=(f"unix://{tmp_path}/none.sock",)), variables=variables)

    with pytest.raises(FleetpacksError) as unreached:
        await nowhere.build()
    with pytest.raises(FleetpacksError) as unknown:
        await nowhere.plan(Request(named=("two",)))

    assert (unreached.value.exit_code, unknown.value.exit_code) == (75, 2)
    assert unreached.value.hint
    assert unknown.value.hint


def test_all_names_that_programs_use_are_there_and_no_other_is_made_up() -> None:
    found = {name: getattr(orchestrator, name) for name in orchestrator.__all__}

    assert all(value is not None for value in found.values())
    assert set(orchestrator.__all__) <= set(dir(orchestrator))
    assert importlib.import_module("orchestrator.library").Monorepo is Monorepo
    with pytest.raises(AttributeError, match="nothing"):
        _ = getattr(orchestrator, "nothing")  # noqa: B009 -- what a program would write
