"""The layer caches and the context of a part of an image: its own, so that hosts do not overwrite each other's."""

import msgspec
import pytest

from orchestrator.app.caching import caches
from orchestrator.buildkit.capabilities import TABLE
from orchestrator.config import Flags, load
from orchestrator.engine.request import copies, solve_request
from orchestrator.model import AppPlan, Plan
from orchestrator.schedule.platforms import parts_of
from tests.engine.test_run import plan_of

_CAN = TABLE["buildkitd"]
_BOTH = ("linux/amd64", "linux/arm64")


def _parts(plan: Plan) -> tuple[AppPlan, ...]:
    whole = plan.apps[0]
    build = msgspec.structs.replace(whole.build, platforms=_BOTH)
    return parts_of(msgspec.structs.replace(whole, build=build), [{each} for each in _BOTH])


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("image", ["r.example/caches", "r.example/{app}:layers"])
def test_each_part_writes_a_cache_of_its_own_and_reads_that_of_the_whole(*, alone: bool, image: str) -> None:
    plan = msgspec.structs.replace(plan_of("shop", push=True), alone=alone)
    config = load(None, {"CACHE_IMAGE": image, "HOME": "/nowhere"}, Flags())
    whole = caches(config, plan, _CAN)(plan.apps[0]).entries

    of_parts = [caches(config, plan, _CAN)(part).entries for part in _parts(plan)]

    written = [entry.attrs["ref"] for part in of_parts for entry in part.written_after]
    assert len({*written, *(entry.attrs["ref"] for entry in whole.written_after)}) == len(_BOTH) + 1
    assert all("shop" in ref and platform[6:] in ref for ref, platform in zip(written, _BOTH, strict=True))
    for part, ref in zip(of_parts, written, strict=True):
        read = [entry.attrs["ref"] for entry in part.read]
        assert read == [ref, *(entry.attrs["ref"] for entry in whole.read)]


def test_a_part_is_one_platform_of_an_index_with_a_context_of_its_own_on_its_host() -> None:
    whole, parts = plan_of("shop").apps[0], _parts(plan_of("shop"))

    attrs = [
        solve_request(
            plan,
            can=_CAN,
            ref="r",
            shared_key="k",
            push=True,
            insecure=False,
            no_cache=False,
            secrets={},
            tokens=None,
            registries=(),
        ).attrs
        for plan in (whole, *parts)
    ]

    assert [(each.get("platform"), each.get("multi-platform")) for each in attrs] == [
        (None, None),
        *((platform, "true") for platform in _BOTH),
    ]
    assert len({copies(plan) for plan in (whole, *parts)}) == len(_BOTH) + 1
