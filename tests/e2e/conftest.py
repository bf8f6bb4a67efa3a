"""The `fleetpacks` command as a process. It runs on asyncio whatever the test runs on, so these tests run once."""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest

from orchestrator.config import environment
from orchestrator.events import AppCompleted, AppFailed, Event, RunCompleted, StepCompleted
from orchestrator.registry import reference
from tests.e2e.languages import Case
from tests.lab import Lab


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of `fleetpacks build --progress json` ended."""

    code: int
    events: tuple[Event, ...]
    err: str
    left: tuple[str, ...]
    """What lies in its temporary directory."""

    def completed(self) -> dict[str, AppCompleted]:
        """The apps that were built."""
        return {event.app: event for event in self.events if isinstance(event, AppCompleted)}

    def failed(self) -> dict[str, AppFailed]:
        """The apps that were not."""
        return {event.app: event for event in self.events if isinstance(event, AppFailed)}

    def steps(self, app: str) -> dict[str, StepCompleted]:
        """An app's steps by name."""
        return {event.name: event for event in self.events if isinstance(event, StepCompleted) and event.app == app}


async def need_bases(lab: Lab, case: Case) -> None:
    """Skip an app whose base images were not made."""
    async with httpx.AsyncClient(trust_env=False) as http:
        for name in case.bases():
            at = reference.parse(name)
            answer = await http.head(f"http://{lab.registry}/v2/{at.path}/manifests/{at.identifier}")
            if answer.is_error:
                pytest.skip(f"the lab has no {name}: `python -m tests.lab up --languages`")


class Running:
    """A build that goes on."""

    def __init__(self, process: anyio.abc.Process, temporary: Path) -> None:
        self.process = process
        self.events: list[Event] = []
        self._temporary = temporary
        self._rest = b""

    async def until(self, wanted: Callable[[Event], bool]) -> None:
        """Read events up to one."""
        assert self.process.stdout is not None
        while True:
            *lines, self._rest = self._rest.split(b"\n")
            self.events += [msgspec.json.decode(line, type=Event) for line in lines]
            if any(wanted(event) for event in self.events[len(self.events) - len(lines) :]):
                return
            self._rest += await self.process.stdout.receive()

    async def end(self) -> Ran:
        """Read the rest and wait for the process."""
        assert self.process.stderr is not None
        errors = bytearray()

        async def collect() -> None:
            assert self.process.stderr is not None
            async for data in self.process.stderr:
                errors.extend(data)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect)
            with suppress(anyio.EndOfStream):
                await self.until(lambda _: False)
        code = await self.process.wait()
        left = tuple(sorted(path.name for path in self._temporary.iterdir()))
        return Ran(code=code, events=tuple(self.events), err=errors.decode(), left=left)


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def build(lab: Lab, tmp_path: Path) -> Start:
    """Start `fleetpacks build --progress json` on the lab; whatever happens, the process ends with the block."""

    @asynccontextmanager
    async def start(
        source: Path,
        *words: str,
        image: str = "",
        host: str | None = "",
        variables: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        patience: float = 600,
    ) -> AsyncGenerator[Running]:
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        command = [*before, str(Path(sys.executable).with_name("fleetpacks")), "build", "-C", str(source)]
        command += ["--progress", "json"]
        # None: the variables say it.
        command += [] if host is None else ["--host", host or lab.buildkit_host]
        command += ["--image", image] if image else []
        clean = {
            "PATH": environment.read()["PATH"],
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(temporary),
            **(variables or {}),
        }
        process = await anyio.open_process([*command, *words], env=clean, start_new_session=True)
        try:
            with anyio.fail_after(patience):
                yield Running(process, temporary)
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()

    return start


def exit_code_of(ran: Ran) -> int:
    """What the run's last event says."""
    last = ran.events[-1]
    assert isinstance(last, RunCompleted)
    return last.exit_code
