"""Which package caches generated Dockerfiles use, and what a builder says of them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.model import AppBuild, Settings
from orchestrator.app.mountsteps import Mount, mounts_of
from orchestrator.app.mountusage import Kept, does_not_pay, filters, is_ours_alone, is_unchanged, kept
from orchestrator.buildkit import SolveRequest, UsageRecord
from orchestrator.model import Plan
from tests.engine.test_run import plan_of
from tests.langs.test_apps import APPS, GENERATED

_APT = {"apt", "apt-lists"}


def golden(case: str) -> AppBuild:
    plan = msgspec.json.decode((APPS / case / "plan.golden.json").read_bytes(), type=dict[str, object])
    text = (APPS / case / "Dockerfile.golden").read_text(encoding="utf-8")
    return msgspec.convert({**plan, "dockerfile": text}, AppBuild)


async def as_it_is(request: SolveRequest, _text: str) -> SolveRequest:
    """Adds nothing to a solve."""
    return request


def planned(*builds: AppBuild, key: str = "fleetpacks") -> Plan:
    plan = plan_of(*(f"app{number}" for number in range(len(builds))))
    apps = tuple(
        msgspec.structs.replace(
            app,
            build=build,
            app=msgspec.structs.replace(app.app, settings=Settings(cache_key=key)),
        )
        for app, build in zip(plan.apps, builds, strict=True)
    )
    return msgspec.structs.replace(plan, apps=apps)


@pytest.mark.parametrize("case", GENERATED)
def test_every_mount_that_an_app_uses_is_known_with_an_image_that_the_app_builds_in(case: str) -> None:
    build = golden(case)
    used = {mount.id for mount in build.cache if f"id={mount.id}," in build.dockerfile}

    mounts = mounts_of(planned(build))

    here = {each for each in used if each.removeprefix("fleetpacks-") in _APT or "-cargo-target-" in each}
    assert {mount.id for mount in mounts} == used - here
    for mount in mounts:
        assert f"FROM {mount.image}" in build.dockerfile
        assert mount.image != "scratch"
        assert f"id={mount.id}" in build.dockerfile


def test_a_mount_is_used_in_one_way_by_all_languages() -> None:
    uses = {(mount.id, mount.sharing) for case in GENERATED for mount in golden(case).cache}

    assert len(uses) == len({mount for mount, _ in uses})
    mounts = mounts_of(planned(*map(golden, GENERATED)))
    assert len({mount.name for mount in mounts}) == len(mounts)
    assert {"npm", "yarn", "pnpm", "bun", "deno", "pip", "uv", "poetry", "bundler", "go-mod", "cargo-registry"} <= {
        mount.name for mount in mounts
    }
    assert {"maven", "gradle", "coursier", "composer", "hex", "nuget"} <= {mount.name for mount in mounts}


def test_the_namespace_is_no_part_of_a_tools_name_and_a_users_own_dockerfile_is_left_alone() -> None:
    builds = map(golden, GENERATED)
    build = next(each for each in builds if [mount.id for mount in each.cache] == ["fleetpacks-npm"])
    text = build.dockerfile.replace("id=fleetpacks-", "id=a.b-")
    cache = tuple(msgspec.structs.replace(each, id=each.id.replace("fleetpacks-", "a.b-")) for each in build.cache)
    ours = msgspec.structs.replace(build, dockerfile=text, cache=cache)

    assert [mount.name for mount in mounts_of(planned(ours, key="a.b"))] == ["npm"]
    assert mounts_of(planned(msgspec.structs.replace(ours, dockerfile_path="Dockerfile"), key="a.b")) == ()


def record(description: str, *, count: int = 1, in_use: bool = False, name: str = "r", size: int = 0) -> UsageRecord:
    return UsageRecord(
        id=name,
        parents=(),
        type="exec.cachemount",
        description=description,
        size=size,
        created=None,
        last_used=None,
        usage_count=count,
        in_use=in_use,
        mutable=True,
        shared=False,
    )


_NPM = Mount(id="k.1-npm", name="npm", sharing="shared", image="node")
_OTHER = Mount(id="k.1-npm-2", name="npm-2", sharing="shared", image="node")


def test_a_record_belongs_to_a_mount_by_the_end_of_its_description() -> None:
    said = 'cached mount /root/.npm from exec /bin/sh -c npm ci with id "/k.1-npm"'
    records = [
        record(said, name="a", count=3, size=10),
        record('cached mount /x from exec /bin/sh -c echo with id "/k.1-npm" with id "/k.1-npm-2"', name="b"),
        record("cached mount /root/.npm from exec /bin/sh -c npm ci", name="c"),
        record('with id "/other/k.1-npm"', name="d"),
        record(said, name="e", count=2, in_use=True),
    ]

    found = kept(records, [_NPM, _OTHER])

    assert found == {
        "k.1-npm": Kept(size=10, in_use=True, used={"a": 3, "e": 2}),
        "k.1-npm-2": Kept(size=0, in_use=False, used={"b": 1}),
    }
    assert filters([_NPM]) == ('type==exec.cachemount,description~="with id ./k[.]1-npm.$"',)


@pytest.mark.parametrize(
    ("made", "size", "count", "in_use", "worth_a_look"),
    [
        ("/root/.npm", 4096, 9, False, True),
        ("/root/.npm", 60_000, 1, False, False),
        ("/root/.npm", 0, 1, True, False),
        ("/fleetpacks-abc/mounts/npm", 60_000, 2, False, True),
        ("/fleetpacks-abc/mounts/npm", 60_000, 3, False, False),
    ],
    ids=["empty", "small", "in use", "perhaps half filled", "filled and used"],
)
def test_what_may_be_empty_is_worth_a_look(
    made: str, size: int, count: int, *, in_use: bool, worth_a_look: bool
) -> None:
    said = record(f'cached mount {made} from exec x with id "/k.1-npm"', size=size, count=count, in_use=in_use)

    assert kept([said], [_NPM])["k.1-npm"].may_be_empty is worth_a_look


_counts = st.dictionaries(st.sampled_from("abc"), st.integers(1, 50), min_size=1)


@given(before=_counts, more=_counts)
def test_a_mount_is_unchanged_only_if_all_of_it_is_as_it_was_seen(before: dict[str, int], more: dict[str, int]) -> None:
    now = Kept(size=1, in_use=False, used=before)

    assert is_unchanged(now, {**more, **before})
    assert is_unchanged(now, more) == all(more.get(name) == count for name, count in before.items())


@given(before=_counts, more=st.integers(0, 4), where=st.sampled_from("abc"), in_use=st.booleans())
def test_a_step_was_alone_only_if_nobody_else_is_counted(
    before: dict[str, int], more: int, where: str, *, in_use: bool
) -> None:
    then = Kept(size=1, in_use=False, used=before)
    used = {**before, where: before.get(where, 0) + more}

    alone = is_ours_alone(then, Kept(size=1, in_use=in_use, used=used))

    assert alone == (not in_use and more <= 2 and where in before)
    assert not is_ours_alone(then, None)


@pytest.mark.parametrize(
    ("carried", "cold", "warm", "said"),
    [
        (5.0, 20.0, 4.0, False),
        (17.0, 20.0, 4.0, True),
        (5.0, None, 4.0, False),
        (5.0, 3.0, 4.0, True),
        (5.0, 20.0, 0.0, False),
    ],
    ids=["it pays", "it takes longer", "nobody knows", "it takes longer in any case", "no step has run"],
)
def test_it_is_said_when_it_takes_longer_to_carry_than_to_download(
    carried: float, cold: float | None, warm: float, *, said: bool
) -> None:
    assert does_not_pay(carried=carried, cold=cold, warm=warm) is said
