"""The WWW-Authenticate header: every way to write it, and every way to break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry.challenge import Challenge, parse

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


_TABLE: list[tuple[list[str], list[tuple[str, dict[str, str]]]]] = [
    (['Bearer realm="https://a/t",service="s"'], [("bearer", {"realm": "https://a/t", "service": "s"})]),
    (['bEARER REALM="r" , Service = s'], [("bearer", {"realm": "r", "service": "s"})]),
    (['Bearer scope="repository:a/b:pull,push"'], [("bearer", {"scope": "repository:a/b:pull,push"})]),
    (['Bearer realm="a \\"b\\" \\\\"'], [("bearer", {"realm": 'a "b" \\'})]),
    (['Basic realm="x", Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
    (['Basic realm="x"', 'Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
    (["Negotiate, Basic"], [("negotiate", {}), ("basic", {})]),
    (['Negotiate YWJj==, Basic realm="x"'], [("negotiate", {}), ("basic", {"realm": "x"})]),
    ([', ,Basic realm="x", ,, nonce=1'], [("basic", {"realm": "x", "nonce": "1"})]),
    (['Bearer realm="first",realm="second"'], [("bearer", {"realm": "first"})]),
    (['Bearer realm=""'], [("bearer", {"realm": ""})]),
    (['Bearer realm="never ends'], [("bearer", {})]),
    (['Bearer realm="ends in escape\\'], [("bearer", {})]),
    (["Bearer a=b c=d"], [("bearer", {"a": "b"})]),
    ([""], []),
    ([], []),
    (['"Bearer" realm=x'], []),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "expected"), _TABLE)
def test_challenges_are_read_by_the_grammar(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(challenge.scheme, challenge.parameters) for challenge in parse(headers)] == expected


_NAME = st.text(TOKEN_CHARACTERS, min_size=1, max_size=8)
_VALUE = st.text(st.characters(max_codepoint=255), max_size=12)
_CHALLENGES = st.lists(
    st.builds(
        Challenge,
        scheme=_NAME.map(str.lower),
        parameters=st.dictionaries(_NAME.map(str.lower), _VALUE, min_size=1),
    ),
    max_size=3,
)  # fmt: skip


@given(_CHALLENGES)
def test_written_challenges_read_as_themselves(challenges: list[Challenge]) -> None:
    header = ", ".join(_written(challenge) for challenge in challenges)

    assert list(parse([header])) == challenges


@given(st.lists(st.text(max_size=80) | st.text('Bearer realm="\\, =', max_size=80), max_size=3))
def test_any_header_is_read_without_failing(headers: list[str]) -> None:
    for challenge in parse(headers):
        assert challenge.scheme


def _written(challenge: Challenge) -> str:
    pairs = (f'{name}="{_quoted(value)}"' for name, value in challenge.parameters.items())
    return f"{challenge.scheme} {', '.join(pairs)}"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
