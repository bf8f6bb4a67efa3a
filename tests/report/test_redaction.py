"""What is told of a run is masked in every text that is foreign, and in nothing that somebody goes on with."""

from typing import Any, get_args

import msgspec
import pytest

from orchestrator.events import AppFailed, Event, StepLog
from orchestrator.report.redaction import Redactor

_SECRET = "correct horse"
_NAMES = {
    *("app", "apps", "image", "language", "host", "builder", "worker", "platform", "reason", "placed", "warm"),
    *("step", "inputs", "tags", "digest", "outputs", "revision", "ref", "cache", "passed", "kind", "file", "platforms"),
}
"""Fields that are no foreign text: with another name nobody would know what is meant."""


def _filled(kind: Any) -> Event:  # noqa: ANN401 -- any of the union
    """An event with the secret in every text."""
    values = {
        field.name: _SECRET if field.type in {str, str | None} else (_SECRET,)
        for field in msgspec.structs.fields(kind)
        if field.type in {str, str | None, tuple[str, ...]}
    }
    rest = {field.name: 0 for field in msgspec.structs.fields(kind) if field.required and field.name not in values}
    event: Event = kind(**rest, **values)
    return event


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_each_text_of_an_event_is_masked_or_a_name(kind: Any) -> None:  # noqa: ANN401 -- any of the union
    event = _filled(kind)

    masked = Redactor([_SECRET]).event(event)

    told = {field: getattr(masked, field) for field in masked.__struct_fields__}
    assert type(masked) is kind
    assert {field for field, said in told.items() if said in {_SECRET, (_SECRET,)}} <= _NAMES
    assert {field for field, said in told.items() if said in {"***", ("***",)}}.isdisjoint(_NAMES)


def test_an_event_without_a_secret_is_the_same_one() -> None:
    event = StepLog(time=1, app=_SECRET, step="s", text="nothing here")

    masked = Redactor([_SECRET]).event(event)

    assert masked is event


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (f"it is {_SECRET}, twice {_SECRET}", "it is ***, twice ***"),
        ("as a query: q=correct%20horse&x", "as a query: q=***&x"),
        ("cloning https://me:anything@git.example/x", "cloning https://***@git.example/x"),
        (f"token ghp_{'a1' * 18}.", "token ***"),
        ("tiny is too short", "tiny is too short"),
    ],
)
def test_what_a_step_prints_is_masked_by_value_and_by_shape(printed: str, shown: str) -> None:
    redactor = Redactor([_SECRET, "tiny"])

    assert redactor.event(StepLog(time=1, app="a", step="s", text=printed)).text == shown


def test_a_key_whose_lines_are_printed_one_by_one_is_masked_by_its_lines() -> None:
    lines = ("-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1r", "ZXktdjEAAAAA", "-----END OPENSSH PRIVATE KEY-----")
    redactor = Redactor()
    redactor.learn("\n".join((*lines, "")))

    shown = [redactor.event(StepLog(time=1, app="a", step="s", text=f"| {line}")).text for line in lines]

    assert shown == ["| ***"] * 4


def test_the_lines_of_a_failed_step_stay_lines() -> None:
    key = ("-----BEGIN PRIVATE KEY-----", "MIIEow", "-----END PRIVATE KEY-----")
    failed = AppFailed(
        time=3, app="api", kind="build", message="m", hint="h", transient=False, seconds=2, log=("a", *key, _SECRET)
    )

    assert Redactor([_SECRET]).event(failed).log == ("a", "***", "***")
