"""The operator's file, read again while a run goes on: what is said of it, and what the run's hosts do."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from orchestrator.app.coming import Coming
from orchestrator.app.hosts import Opened
from orchestrator.config import Flags, load
from orchestrator.engine.hosts import Hosts, Member
from orchestrator.schedule.placement import Host, Job
from tests.engine.test_run import RecordingPublisher, ScriptedSolver, alone, nothing

_HERE = ("unix:///nowhere/a.sock", "unix:///nowhere/b.sock")


class Operated:
    """A run's hosts, and the file that names them."""

    def __init__(self, folder: Path, flags: Flags | None = None) -> None:
        self.said: list[str] = []
        self.told = anyio.Event()
        self.file = folder / "operator.toml"
        self.write(*_HERE)
        self.config = load(folder / "source", {"HOME": str(folder), "FLEETPACKS_CONFIG": str(self.file)}, flags)
        members = [_member(name) for name in _HERE]
        self.hosts = Hosts(members, limit=2, say=self._say, more=lambda _: None)

    async def _say(self, message: str) -> None:
        self.said.append(message)
        self.told.set()

    def write(self, *urls: str, drained: tuple[str, ...] = ()) -> None:
        """Name hosts in the file."""
        lines = [f'[[hosts]]\nurl = "{url}"\ndrain = {str(url in drained).lower()}\n' for url in urls]
        self.file.write_text("".join(lines))

    async def free(self) -> set[str]:
        """Where builds may begin."""
        found: set[str] = set()

        async def one(app: str) -> None:
            async with self.hosts.lease(Job(app=app), rank=0) as lease:
                found.add(lease.placed.host)
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            for app in "abc":
                tasks.start_soon(one, app)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        return found

    @asynccontextmanager
    async def coming(self) -> AsyncGenerator[Coming]:
        """Whoever lets them come and go."""
        async with self.hosts, anyio.create_task_group() as tasks:
            yield Coming(self.hosts, _unneeded, self.config, here=dict.fromkeys(_HERE, 1), tasks=tasks)
            tasks.cancel_scope.cancel()


def _member(name: str) -> Member:
    solver = ScriptedSolver(nothing)
    solver.address = name
    return msgspec.structs.replace(alone(solver, RecordingPublisher()), facts=Host(name=name, slots=1))


@asynccontextmanager
async def _unneeded(of: Opened) -> AsyncGenerator[Member]:
    raise AssertionError(of)
    yield


def _source(folder: Path) -> Path:
    # An operator's file inside of the source is not trusted.
    (folder / "source").mkdir()
    return folder


async def test_a_host_that_is_drained_or_gone_gets_no_builds_until_it_is_named_again(tmp_path: Path) -> None:
    operated = Operated(_source(tmp_path))
    first, second = _HERE

    async with operated.coming() as coming:
        before = await operated.free()
        operated.write(first, second, drained=(second,))
        await coming.read_again()
        drained = await operated.free()
        operated.write(second)
        await coming.read_again()
        other = await operated.free()
        await coming.read_again()

    assert (before, drained, other) == (set(_HERE), {first}, {second})
    assert operated.said == [
        f"{second} is drained: it gets no more builds",
        f"{first} is drained: it gets no more builds",
        f"{second} takes builds again",
    ]


async def test_a_host_that_is_new_and_does_not_answer_is_said_once_and_forgotten_when_it_is_named_no_more(
    tmp_path: Path,
) -> None:
    operated = Operated(_source(tmp_path))

    async with operated.coming() as coming:
        operated.write(*_HERE, "unix:///nowhere/c.sock")
        await coming.read_again()
        with anyio.fail_after(5):
            await operated.told.wait()
        operated.write(*_HERE)
        await coming.read_again()
        free = await operated.free()

    assert [message.split(": ")[0] for message in operated.said] == ["set aside until it answers", "not used"]
    assert free == set(_HERE)


async def test_a_file_that_is_wrong_or_drains_all_or_is_not_asked_changes_nothing(tmp_path: Path) -> None:
    operated = Operated(_source(tmp_path))

    async with operated.coming() as coming:
        operated.write(*_HERE, drained=_HERE)
        await coming.read_again()
        operated.file.write_text("[[hosts]]\nport = 1\n")
        await coming.read_again()
        operated.file.write_text("")
        await coming.read_again()
        free = await operated.free()

    assert free == set(_HERE)
    assert [message.partition(": ")[0] for message in operated.said] == ["the hosts stay as they are"] * 3


async def test_hosts_that_a_flag_names_stay_as_they_are(tmp_path: Path) -> None:
    operated = Operated(_source(tmp_path), Flags(hosts=_HERE))

    async with operated.coming() as coming:
        operated.write(_HERE[0])
        await coming.read_again()
        free = await operated.free()

    assert operated.said == ["the hosts stay as they are: the hosts were named by --host"]
    assert free == set(_HERE)
