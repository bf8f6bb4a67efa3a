"""Whose programs a build executes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.executing import Demand, executed, lacking, platforms
from tests.plan.test_bases import app

_AMD, _ARM = "linux/amd64", "linux/arm64"
_CASES: dict[str, tuple[str, str | None, frozenset[str]]] = {
    "files alone": ("FROM scratch\nCOPY a /a\n", None, frozenset()),
    "a step of the image": ("FROM a\nRUN x\n", None, frozenset({""})),
    "a compiler of the builder's": (
        "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM c\nWORKDIR /app\nCOPY --from=b /x /x\n",
        None,
        frozenset(),
    ),
    "in braces and quotes": ('FROM --platform="${BUILDPLATFORM}" a AS b\nRUN x\n', None, frozenset()),
    "the image's own by its variable": ("FROM --platform=$TARGETPLATFORM a\nRUN x\n", None, frozenset({""})),
    "what a stage stands on says its platform": (
        "FROM --platform=$BUILDPLATFORM a AS b\nFROM b\nRUN x\n",
        None,
        frozenset(),
    ),
    "unless it says another": (
        "FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=$TARGETPLATFORM b\nRUN x\n",
        None,
        frozenset({""}),
    ),
    "another one by its name": (f"FROM --platform={_ARM} a\nRUN x\n", None, frozenset({_ARM})),
    "by an argument": (f"ARG P={_ARM}\nFROM --platform=$P a\nRUN x\n", None, frozenset({_ARM})),
    "by what only the daemon knows": ("FROM --platform=$P a\nRUN x\n", None, frozenset()),
    "a stage that nobody needs": ("FROM a AS b\nRUN x\nFROM c\nCOPY d /d\n", None, frozenset()),
    "copied from by number": ("FROM a\nRUN x\nFROM c\nCOPY --from=0 /d /d\n", None, frozenset({""})),
    "mounted": (
        "FROM a AS t\nRUN x\nFROM --platform=$BUILDPLATFORM c\nRUN --mount=from=t,target=/t y\n",
        None,
        frozenset({""}),
    ),
    "of capitals": ("FROM a AS Tools\nRUN x\nFROM c\nCOPY --from=tools /d /d\n", None, frozenset({""})),
    "only what leads to the target": ("FROM a AS b\nCOPY x /x\nFROM c\nRUN y\n", "b", frozenset()),
    "a target that is not there": ("FROM a AS b\nCOPY x /x\nFROM c\nRUN y\n", "z", frozenset({""})),
    "a name given twice": ("FROM a AS b\nRUN x\nFROM c AS b\nCOPY y /y\nFROM b\n", None, frozenset()),
    "its own name": ("FROM b AS b\nRUN x\n", None, frozenset({""})),
    "a here-document": ("FROM a\nCOPY <<E /e\nRUN x\nE\n", None, frozenset()),
    "nothing at all": ("", None, frozenset()),
}


@pytest.mark.parametrize("case", _CASES)
def test_the_platforms_whose_programs_steps_execute_are_found(case: str) -> None:
    text, target, expected = _CASES[case]

    assert platforms(text, target=target) == expected


def test_an_argument_that_is_said_goes_before_its_default() -> None:
    found = platforms(f"ARG P={_ARM}\nFROM --platform=$P a\nRUN x\n", {"P": "linux/s390x"})

    assert found == {"linux/s390x"}


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        ("FROM a\nRUN x\n", (_AMD, _ARM), (_AMD, _ARM)),
        ("FROM a\nCOPY x /x\n", (_AMD, _ARM), ()),
        ("FROM a\nRUN x\n", (), ()),
        (f"FROM --platform={_ARM} a AS b\nRUN x\nFROM c\nRUN y\nCOPY --from=b /x /x\n", (_AMD,), (_AMD, _ARM)),
        (f"FROM --platform={_ARM} a AS b\nRUN x\nFROM c\nCOPY --from=b /x /x\n", (), (_ARM,)),
    ],
)
def test_an_app_needs_the_platforms_that_it_is_for_where_its_steps_execute_theirs(
    text: str, wanted: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert executed(app("a", text, *wanted)) == expected


def test_a_stage_of_a_compose_file_decides() -> None:
    plan = app("a", "FROM a AS b\nCOPY x /x\nFROM b\nRUN x\n", _ARM)
    plan = msgspec.structs.replace(plan, build=msgspec.structs.replace(plan.build, target="b"))

    assert executed(plan) == ()


def test_a_builder_lacks_what_it_neither_runs_nor_emulates() -> None:
    runs = {"plain": [_AMD, "linux/amd64/v2"], "emulating": [_AMD, _ARM, "linux/arm/v7"]}
    demands = [
        Demand(app="api", platforms=(_AMD, _ARM)),
        Demand(app="old", platforms=("linux/arm/v7",)),
        Demand(app="web", platforms=(_AMD,)),
        Demand(app="far", platforms=("linux/s390x",)),
        Demand(app="any", platforms=()),
    ]

    found = lacking(demands, runs)

    assert found == {
        "api": {"plain": _ARM},
        "old": {"plain": "linux/arm/v7"},
        "far": {"plain": "linux/s390x", "emulating": "linux/s390x"},
    }


@given(
    st.text(alphabet="FROMArunCOPY --platform=,from<${}:\\\n\t#'\"1aE"), st.dictionaries(st.text(max_size=3), st.text())
)
def test_no_text_is_too_odd(text: str, args: dict[str, str]) -> None:
    assert isinstance(platforms(text, args), frozenset)


def test_stages_that_stand_on_each_other_many_times_are_read_in_time() -> None:
    text = "FROM a AS s0\nRUN x\n" + "".join(
        f"FROM s{n} AS s{n + 1}\n" + f"COPY --from=s{n} / /\n" * 20 for n in range(500)
    )

    assert platforms(text) == {""}
