"""When it is said that installations were made again for want of a fuller cache."""

import pytest

from orchestrator.events import AppStarted, Event, StepCompleted
from orchestrator.report.redone import Redone

_IMPORTED = "importing cache manifest from registry.example/cache:api"
_INSTALL = "[install 3/3] RUN npm ci"


def _began(app: str = "api", host: str = "unix:///fresh") -> Event:
    return AppStarted(time=0.0, app=app, host=host, image="registry.example/api", language="nodejs")


def _step(name: str, seconds: float, *, app: str = "api", cached: bool = False, error: str | None = None) -> Event:
    return StepCompleted(time=0.0, app=app, step=name, name=name, cached=cached, seconds=seconds, error=error)


def _said(*events: Event, known: dict[str, tuple[str, ...]] | None = None) -> str | None:
    redone = Redone(known or {})
    for event in events:
        redone.note(event)
    return redone.warning()


def test_what_a_fresh_builder_installs_although_it_has_read_the_cache_is_said_with_what_spares_it() -> None:
    said = _said(
        _began(), _step(_IMPORTED, 0.1), _step(_INSTALL, 61.0), _step("[builder 2/2] RUN npm run build", 9.0),
        _began("web"), _step(_IMPORTED, 0.1, app="web"), _step(_INSTALL, 6.0, app="web"),
    )  # fmt: skip

    assert said is not None
    assert said.startswith("dependencies of api, web were installed on builders that had not built them before")
    assert "took 1m07s" in said
    assert "CACHE_MODE=max" in said


@pytest.mark.parametrize(
    ("events", "known"),
    [
        ((_began(), _step(_IMPORTED, 0.1), _step(_INSTALL, 61.0)), {"api": ("unix:///fresh",)}),
        ((_began(), _step(_INSTALL, 61.0)), {}),
        ((_began(), _step(_IMPORTED, 0.1, error="not found"), _step(_INSTALL, 61.0)), {}),
        ((_began(), _step(_IMPORTED, 0.1), _step(_INSTALL, 0.0, cached=True)), {}),
        ((_began(), _step(_IMPORTED, 0.1), _step(_INSTALL, 4.0)), {}),
        ((_began(), _step(_IMPORTED, 0.1), _step("[builder 2/2] RUN npm run build", 61.0)), {}),
        ((), {}),
    ],
    ids=["a builder that knows it", "no cache", "none there yet", "cached", "not worth a word", "a build", "nothing"],
)
def test_otherwise_nothing_is_said(events: tuple[Event, ...], known: dict[str, tuple[str, ...]]) -> None:
    assert _said(*events, known=known) is None
