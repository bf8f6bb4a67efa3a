"""What several apps stand on, each image once."""

import msgspec
import pytest

from orchestrator.model import AppPlan
from orchestrator.plan.bases import Base, Bases, bases
from tests.planned import build_of, planned

_OWN = "linux/amd64"


def app(name: str, dockerfile: str, *platforms: str, contexts: tuple[str, ...] = ()) -> AppPlan:
    build = build_of(
        dockerfile,
        language="dockerfile",
        dockerfile_path="Dockerfile",
        platforms=platforms,
        contexts={each: f"docker-image://registry.example/{each}" for each in contexts},
    )
    return planned(name, build)


def test_an_image_of_several_apps_is_one_with_all_its_users() -> None:
    found = bases((app("a", "FROM x:1\n"), app("b", "FROM y:1\nCOPY --from=x:1 /a /a\n")), own=_OWN)

    assert found == Bases(images=(Base(name="x:1", apps=("a", "b")), Base(name="y:1", apps=("b",))))


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ((), (), ()),
        ((_OWN,), (), ()),
        (("linux/arm64",), (), ("linux/arm64", _OWN)),
        (("linux/arm64", _OWN), ("linux/arm64",), ("linux/arm64", _OWN)),
        (("linux/arm64",), ("linux/arm64",), ("linux/arm64",)),
    ],
)
def test_an_image_is_needed_for_every_platform_of_every_app(
    first: tuple[str, ...], second: tuple[str, ...], together: tuple[str, ...]
) -> None:
    [base] = bases((app("a", "FROM x\n", *first), app("b", "FROM x\n", *second)), own=_OWN).images

    assert base.platforms == together


def test_the_image_of_a_compiler_that_runs_on_the_builder_is_needed_for_that_alone() -> None:
    text = "FROM --platform=$BUILDPLATFORM golang AS a\nFROM debian\nCOPY --from=a /a /a\n"

    found = bases((app("a", text, "linux/arm64", _OWN),), own=_OWN)

    assert {each.name: each.platforms for each in found.images} == {"golang": (), "debian": ("linux/arm64", _OWN)}


def test_another_apps_image_is_none_and_what_only_a_build_can_tell_is_said() -> None:
    found = bases((app("a", "FROM other\nCOPY --from=$WHAT /a /a\n", contexts=("other",)),), own=_OWN)

    assert found == Bases(images=(), unknown=("$WHAT",))


def test_the_image_of_another_app_is_nobodys_to_pull() -> None:
    stands_on_it = app("mid", "FROM base\nCOPY --from=tools /a /a\n")
    stands_on_it = msgspec.structs.replace(
        stands_on_it, app=msgspec.structs.replace(stands_on_it.app, contexts={"base": "apps/base"})
    )

    found = bases((stands_on_it,), own=_OWN)

    assert [base.name for base in found.images] == ["tools"]
