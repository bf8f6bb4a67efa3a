"""What every test shares: both event loops, the lab, and the count of what really happened.

A test marked `real` needs the lab's daemons. Without them it is skipped with the reason in words; under
`FLEETPACKS_REQUIRE_REAL=1` it fails, and so does a session of such tests on the lab's daemons in which nothing was
really built, started or answered.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.config import environment
from tests.lab import Engine, Lab, current
from tests.lab.engines import running
from tests.lab.state import EngineKind, layout
from tests.tiers import FULL

Deed = Literal["build", "start", "answer"]

_NO_LAB = "the lab is not up: `python -m tests.lab up`"
_NO_ENGINE = "the lab has no Docker Engine up: `python -m tests.lab up --engines`"
_deeds: pytest.StashKey[Counter[Deed]] = pytest.StashKey()
_expected: pytest.StashKey[bool] = pytest.StashKey()
"""Whether real things have to happen in this session."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was just written counts as old, whatever the clock says."""
    for name in (
        "langs.stamps.REST_NS",
        *(f"orchestrator.skip.contents.{each}_NS" for each in ("_REST", "_FINE_REST")),
    ):
        monkeypatch.setattr(name, -(10**19))


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab's addresses and tools; skips (or fails, where real tests are required) when it is not up."""
    found = current()
    if found is not None:
        return found
    raise _missing(_NO_LAB)


@pytest.fixture(scope="session")
def engine_graph(lab: Lab) -> Engine:
    """Debian's Docker Engine 20.10, which keeps images by the overlay2 graph driver."""
    return _engine("graph")


@pytest.fixture(scope="session")
def engine_containerd(lab: Lab) -> Engine:
    """A current Docker Engine, which keeps images in containerd's image store."""
    return _engine("containerd")


@pytest.fixture
def device(tmp_path: Path) -> Callable[[Literal["null", "full"]], Path]:
    """Makes a device of a test's own, "null" or "full": the machine's must never be put at risk."""

    def make(name: Literal["null", "full"]) -> Path:
        path = tmp_path / name
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, {"null": 3, "full": 7}[name]))
            os.close(os.open(path, os.O_WRONLY))
        except PermissionError:
            pytest.skip("only root makes device nodes, and not in every file system")
        return path

    return make


def _engine(kind: EngineKind) -> Engine:
    for engine in running(layout()):
        if engine.kind == kind:
            return engine
    raise _missing(_NO_ENGINE)


def _missing(what: str) -> BaseException:
    if _required():
        return pytest.fail.Exception(f"FLEETPACKS_REQUIRE_REAL=1, and {what}")
    return pytest.skip.Exception(what)


class RealCount:
    """Counts what really happened, for the session's summary."""

    def __init__(self, deeds: Counter[Deed]) -> None:
        self._deeds = deeds

    def record(self, deed: Deed, *, times: int = 1) -> None:
        """Count a real build, a started container or an HTTP answer."""
        self._deeds[deed] += times


@pytest.fixture(scope="session")
def real_count(request: pytest.FixtureRequest) -> RealCount:
    """Where a test says that it really built, started something or got an HTTP answer."""
    return RealCount(request.config.stash[_deeds])


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_deeds] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not FULL and (left := [item for item in items if item.get_closest_marker("full")]):
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        # A real test that forgets the fixture would fail obscurely without the lab instead of being skipped.
        if item.get_closest_marker("real") and isinstance(item, pytest.Function) and "lab" not in item.fixturenames:
            item.fixturenames.insert(0, "lab")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("real") and _required():
        report.outcome = "failed"
        report.longrepr = f"FLEETPACKS_REQUIRE_REAL=1, and this real test was skipped: {report.longrepr}"
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    on_the_lab = any(item.get_closest_marker("real") and not item.get_closest_marker("apart") for item in session.items)
    session.config.stash[_expected] = _required() and on_the_lab


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    expected = session.config.stash.get(_expected, False)
    if expected and exitstatus == pytest.ExitCode.OK and not all(_counts(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    builds, starts, answers = _counts(config)
    terminalreporter.write_line(f"really happened: {builds} builds, {starts} starts, {answers} HTTP answers")
    if config.stash.get(_expected, False) and not all((builds, starts, answers)):
        terminalreporter.write_line("FLEETPACKS_REQUIRE_REAL=1: none of the three may be 0", red=True)


def _counts(config: pytest.Config) -> tuple[int, int, int]:
    deeds = config.stash[_deeds]
    return deeds["build"], deeds["start"], deeds["answer"]


def _required() -> bool:
    return environment.read().get("FLEETPACKS_REQUIRE_REAL") == "1"
