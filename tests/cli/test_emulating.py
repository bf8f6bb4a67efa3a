"""Which builders may get an app whose steps execute another platform's programs, and when nothing is built."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from orchestrator.app.emulating import unable
from orchestrator.app.hosts import Builders, Named, Opened
from orchestrator.buildkit.capabilities import TABLE
from orchestrator.errors import BuilderUnreachableError, UsageError
from orchestrator.model import Plan
from remote.address import parse
from tests.plan.test_bases import app

if TYPE_CHECKING:
    from orchestrator.buildkit import Client

_AMD, _ARM = "linux/amd64", "linux/arm64"
_STEPS, _FILES = "FROM a\nRUN x\n", "FROM a\nCOPY x /x\n"


def _opened(url: str, *runs: str) -> Opened:
    can = msgspec.structs.replace(TABLE["buildkitd"], platform=runs[0] if runs else "", platforms=runs)
    return Opened(named=Named(address=parse(url), slots=1), client=cast("Client", None), can=can)


def _plan(text: str, *platforms: str) -> Plan:
    return Plan(root=Path("/r"), apps=(app("api", text, *platforms),), push=True)


_PLAIN = _opened("unix:///plain.sock", _AMD, "linux/amd64/v2", "linux/386")
_EMULATES = _opened("unix:///emulates.sock", _AMD, _ARM)
_ARMS = _opened("unix:///arms.sock", _ARM)
_BELIEVED = _opened("ssh://believed?platform=linux/arm64", _AMD)
_SILENT = _opened("unix:///silent.sock")


@pytest.mark.parametrize(
    ("text", "platforms", "builders", "splits", "expected"),
    [
        (_FILES, (_AMD, _ARM), [_PLAIN], True, {}),
        (_STEPS, (_AMD,), [_PLAIN], True, {}),
        (_STEPS, ("linux/386",), [_PLAIN], True, {}),
        (_STEPS, (_AMD, _ARM), [_EMULATES], True, {}),
        (_STEPS, (_AMD, _ARM), [_PLAIN, _EMULATES], True, {"api": {"unix:///plain.sock"}}),
        (_STEPS, (_AMD, _ARM), [_PLAIN, _ARMS], True, {}),
        (_STEPS, (_AMD, _ARM), [_PLAIN, _BELIEVED], True, {}),
        (_STEPS, (_ARM,), [_BELIEVED], True, {}),
        (_STEPS, (_AMD, _ARM), [_SILENT], True, {}),
    ],
    ids=[
        "files alone",
        "the builder's own",
        "it runs that, too",
        "it emulates",
        "one of two emulates",
        "each platform has a host",
        "a host whose address says it",
        "that one alone",
        "a builder that does not say",
    ],
)
def test_an_app_goes_where_its_steps_can_be_executed(
    text: str, platforms: tuple[str, ...], builders: list[Opened], expected: dict[str, set[str]], *, splits: bool
) -> None:
    found = unable(_plan(text, *platforms), Builders(all=tuple(builders)), splits=splits)

    assert found == expected


@pytest.mark.parametrize(
    ("platforms", "builders", "splits"),
    [((_AMD, _ARM), [_PLAIN], True), ((_ARM,), [_PLAIN, _PLAIN], True), ((_AMD, _ARM), [_PLAIN, _ARMS], False)],
    ids=["one builder", "all builders", "one builder has to have all of it"],
)
def test_what_no_builder_executes_is_refused_with_what_to_do(
    platforms: tuple[str, ...], builders: list[Opened], *, splits: bool
) -> None:
    with pytest.raises(UsageError, match=r"^api: steps of the build execute programs of linux/arm64") as caught:
        unable(_plan(_STEPS, *platforms), Builders(all=tuple(builders)), splits=splits)

    assert "--host" in caught.value.hint
    assert "binfmt --install arm64" in caught.value.hint


def test_a_builder_that_has_not_answered_yet_may_be_the_one() -> None:
    missing = ((parse("unix:///later.sock"), BuilderUnreachableError("no answer", hint="wait")),)

    found = unable(_plan(_STEPS, _AMD, _ARM), Builders(all=(_PLAIN,), missing=missing), splits=True)

    assert found == {"api": {"unix:///plain.sock"}}
