"""What a plan says of a layer cache that keeps images' own layers only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.skipping import memory_of
from orchestrator.config import load

Run = Callable[..., Any]
_CACHE = {"CACHE_IMAGE": "registry.example/cache"}


@pytest.mark.parametrize(
    ("variables", "cold", "last", "says"),
    [
        (_CACHE, 125.0, 4.0, True),
        ({**_CACHE, "CACHE_MODE": "max"}, 125.0, 4.0, False),
        ({}, 125.0, 4.0, False),
        (_CACHE, 12.0, 4.0, False),
        (_CACHE, None, 4.0, False),
        (_CACHE, 125.0, 125.0, False),
    ],
    ids=["it costs", "all is kept", "no cache", "it costs little", "never built cold", "built once"],
)
def test_it_is_said_where_earlier_builds_show_that_it_costs_something(
    run: Run, tmp_path: Path, variables: dict[str, str], cold: float | None, last: float, *, says: bool
) -> None:
    home, source = tmp_path / "home", tmp_path / "source"
    (source / "api").mkdir(parents=True)
    (source / "api/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    said = {"HOME": str(home), **variables}
    memory = memory_of(load(source, said))
    if cold is not None:
        memory.took_whole("api", "unix:///b", cold)
    memory.took("api", last)
    memory.save()

    ran = run("plan", "-C", source, variables=said)

    assert ran.code == 0
    expected = "on a builder that has nothing, api takes up to 2m05s, and 4s on one that has built it; CACHE_MODE=max"
    assert (expected in ran.err) is says
    assert ("CACHE_MODE" in ran.err) is says
