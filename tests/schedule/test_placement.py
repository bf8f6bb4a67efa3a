"""Where builds run: no limit is passed, nobody starves, few apps move, and what is cached is found."""

import random
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.placement import Host, Job, Part, Placed, Pool, ahead

_PLATFORMS = ("linux/amd64", "linux/arm64")


def _job(name: str, *, platform: str = "", workspace: str = "") -> Job:
    parts = (Part("app", name), Part("base", "node:22"))
    return Job(app=name, platform=platform, parts=(*parts, Part("dependencies", workspace)) if workspace else parts)


def _hosts(number: int, *, slots: int = 2) -> list[Host]:
    return [Host(name=f"host-{index}", slots=slots) for index in range(number)]


def _fill(pool: Pool, waiting: list[Job], *, now: float = 0.0) -> list[Placed]:
    """Begin all that can begin."""
    begun: list[Placed] = []
    while (placed := pool.next(waiting, now=now)) is not None:
        pool.began(placed)
        waiting.remove(placed.job)
        begun.append(placed)
    return begun


hosts = st.lists(
    st.builds(
        Host,
        name=st.uuids().map(str),
        slots=st.integers(1, 3),
        platforms=st.sets(st.sampled_from(_PLATFORMS)).map(frozenset),
        speed=st.floats(0.1, 10),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda host: host.name,
)
jobs = st.lists(
    st.builds(
        _job,
        st.uuids().map(str),
        platform=st.sampled_from(("", *_PLATFORMS)),
        workspace=st.sampled_from(("", "web", "api")),
    ),
    max_size=12,
)


@given(hosts, jobs, st.integers(1, 8), st.randoms(use_true_random=False))
def test_no_limit_is_passed_no_slot_stays_free_and_every_app_that_some_host_suits_is_built_once(
    hosts: Sequence[Host], jobs: Sequence[Job], limit: int, chance: random.Random
) -> None:
    pool, waiting, running = Pool(hosts, limit=limit), list(jobs), list[Placed]()
    built = Counter[str]()

    while True:
        running += _fill(pool, waiting)
        on = Counter(placed.host for placed in running)
        assert len(running) <= limit
        assert all(on[host.name] <= host.slots for host in hosts)
        room = [host for host in hosts if on[host.name] < host.slots]
        if len(running) < limit:
            assert not [job for job in waiting for host in room if job.platform in ("", *host.platforms)]
        if not running:
            break
        ended = running.pop(chance.randrange(len(running)))
        suited = next(host.platforms for host in hosts if host.name == ended.host)
        assert not suited or ended.job.platform in ("", *suited)
        built[ended.job.app] += 1
        if chance.random() < 0.8:
            pool.left(ended)
        pool.ended(ended)

    assert not any(pool.suits(job) for job in waiting)
    assert built == Counter(job.app for job in jobs if pool.suits(job))


@given(st.integers(2, 12), st.integers(0, 11))
def test_a_host_that_goes_moves_its_own_apps_only_and_they_come_back_with_it(number: int, gone: int) -> None:
    pool = Pool(hosts := _hosts(number), limit=99)
    lost = hosts[gone % number]
    jobs = [_job(f"app-{index}") for index in range(50)]
    before = {job.app: pool.home(job) for job in jobs}

    pool.remove(lost.name)
    without = {job.app: pool.home(job) for job in jobs}
    pool.add(lost)
    after = {job.app: pool.home(job) for job in jobs}

    assert all(without[app] == home for app, home in before.items() if home != lost.name)
    assert lost.name not in without.values()
    assert after == before


def test_homes_are_drawn_by_slots_and_speed_whatever_the_order_of_the_hosts() -> None:
    hosts = [
        Host(name="a", slots=1),
        Host(name="b", slots=3),
        Host(name="c", slots=1, speed=2.0),
        Host(name="d", slots=8, speed=0.25),
    ]
    jobs = [_job(f"app-{index}") for index in range(8000)]

    drawn = Counter(Pool(hosts, limit=9).home(job) for job in jobs)

    assert drawn == Counter(Pool(hosts[::-1], limit=9).home(job) for job in jobs)
    assert {name: round(drawn[name] / 1000, 0) for name in "abcd"} == {"a": 1, "b": 3, "c": 2, "d": 2}


def test_an_app_goes_where_it_was_built_and_its_workspace_where_its_dependencies_were() -> None:
    web, api, other = _job("web", workspace="shop"), _job("api", workspace="shop"), _job("other")
    lies = {Part("app", "web"): ["host-3"], Part("dependencies", "shop"): ["host-5"]}
    pool = Pool(_hosts(8), limit=16, lies=lies)

    placed = {each.job.app: each for each in _fill(pool, [web, api, other])}

    assert (placed["web"].host, placed["web"].reason, placed["web"].warm) == ("host-3", "cached", ("app",))
    assert (placed["api"].host, placed["api"].reason, placed["api"].warm) == ("host-5", "cached", ("dependencies",))
    assert (placed["other"].reason, placed["other"].warm) == ("drawn", ())


def test_a_base_image_that_many_apps_share_does_not_draw_all_of_them_to_its_host() -> None:
    pool = Pool(_hosts(4), limit=8, lies={Part("base", "node:22"): ["host-1"]})

    drawn = Counter(pool.home(_job(f"app-{index}")) for index in range(1000))

    assert drawn["host-1"] == max(drawn.values())
    assert drawn["host-1"] < 500


def test_a_host_that_is_much_faster_is_worth_more_than_a_cache() -> None:
    lies = {Part("dependencies", "shop"): ["slow"]}
    hosts = [Host(name="slow", slots=1, speed=0.25), Host(name="fast", slots=1)]

    assert Pool(hosts, limit=2, lies=lies).home(_job("web", workspace="shop")) == "fast"


def test_an_app_whose_home_is_busy_lets_others_pass_and_takes_any_host_at_last() -> None:
    lies = {Part("app", f"a-{index}"): ["host-0"] for index in range(2)}
    lies |= {Part("app", f"b-{index}"): ["host-1"] for index in range(99)}
    pool = Pool(_hosts(2, slots=1), limit=2, lies=lies)
    long, patient = _job("a-0"), _job("a-1")
    pool.began(Placed(job=long, host="host-0", reason="cached"))
    waiting = [patient, *(_job(f"b-{index}") for index in range(99))]
    begun: list[Placed] = []

    while patient in waiting:
        (placed,) = _fill(pool, waiting)
        begun.append(placed)
        pool.ended(placed)

    assert {(placed.host, placed.reason) for placed in begun[:-1]} == {("host-1", "cached")}
    assert (begun[-1].job, begun[-1].host, begun[-1].reason) == (patient, "host-1", "home is busy")
    assert len(begun) == 17


@given(st.integers(2, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=200))
def test_nobody_is_passed_over_for_ever_whoever_comes_later(number: int, later: Sequence[tuple[int, int]]) -> None:
    hosts = _hosts(number, slots=1)
    lies = {Part("app", f"{home}-{turn}"): [f"host-{home % number}"] for turn, (home, _) in enumerate(later)}
    waiting = [_job("patient")]
    pool = Pool(hosts, limit=number, lies={**lies, Part("app", "patient"): ["host-0"], Part("app", "long"): ["host-0"]})
    running, passed = [Placed(job=_job("long"), host="host-0", reason="cached")], 0
    pool.began(running[0])

    for turn, (home, ends) in enumerate(later):
        waiting.append(_job(f"{home}-{turn}"))
        while (placed := pool.next(waiting)) is not None:
            passed += placed.job is not waiting[0]
            pool.began(placed)
            waiting.remove(placed.job)
            running.append(placed)
            if placed.job.app == "patient":
                return
        assert not waiting or len(running) == number, "no slot is free while somebody waits"
        # The patient one's own host stays busy as long as another one may become free.
        others = [each for each in running if each.host != "host-0"]
        pool.ended(gone := others[ends % len(others)])
        running.remove(gone)

    assert passed <= 2 * ahead(number)


def test_an_app_waits_for_no_home_when_nobody_gains_by_it() -> None:
    lies = {Part("app", app): ["host-0"] for app in ("a", "b")}
    pool = Pool(_hosts(2, slots=1), limit=2, lies=lies)

    placed = _fill(pool, [_job("a"), _job("b")])

    assert [(each.host, each.reason) for each in placed] == [("host-0", "cached"), ("host-1", "home is busy")]


def _built(*apps: str, on: str) -> dict[Part, list[str]]:
    return {part: [on] for app in apps for part in _job(app, workspace="shop").parts}


def _known(app: str, seconds: float) -> Job:
    return msgspec.structs.replace(_job(app, workspace="shop"), seconds=seconds)


def test_an_app_waits_for_its_home_at_most_for_the_time_that_it_saves_there() -> None:
    pool = Pool(_hosts(2, slots=1), limit=2, lies=_built("a", "b", on="host-0"))
    waiting = [_known("a", 10), _known("b", 10)]

    (first,) = _fill(pool, waiting, now=100)
    until = pool.patient_until
    just_before = _fill(pool, waiting, now=107.9)
    (second,) = _fill(pool, waiting, now=108.1)

    assert first.host == "host-0"
    assert first.seconds == pytest.approx(2)
    assert until == pytest.approx(108)
    assert just_before == []
    assert (second.host, second.reason, pool.patient_until) == ("host-1", "home is busy", None)


def test_what_may_be_saved_is_told_from_the_best_place_that_is_free() -> None:
    lies = _built("a", "b", on="host-0")
    lies[Part("dependencies", "shop")] = ["host-0", "host-1"]
    pool = Pool(_hosts(3, slots=1), limit=3, lies=lies)

    _fill(pool, waiting := [_known("a", 10), _known("b", 10)])
    until = pool.patient_until
    (second,) = _fill(pool, waiting, now=5.1)

    # 2 s at home, 7 s where its dependencies lie, 10 s on the third.
    assert until == pytest.approx(5)
    assert second.host == "host-1"
    assert second.seconds == pytest.approx(7)


def test_a_home_that_gets_free_is_taken_by_who_waits_for_it() -> None:
    pool = Pool(_hosts(2, slots=1), limit=2, lies=_built("a", "b", on="host-0"))
    waiting = [_known("a", 10), _known("b", 10)]

    (first,) = _fill(pool, waiting)
    pool.ended(first)
    (second,) = _fill(pool, waiting, now=3)

    assert (second.job.app, second.host, second.reason) == ("b", "host-0", "cached")


def test_nobody_waits_for_a_home_with_more_to_do_than_is_saved_there_nor_where_another_has_it_too() -> None:
    apps = [f"app-{number}" for number in range(20)]
    pool = Pool(_hosts(3, slots=2), limit=99, lies=_built(*apps, on="host-0"))
    both = Pool(_hosts(3, slots=1), limit=99, lies={part: ["host-0", "host-1"] for part in _built(*apps, on="")})

    begun = _fill(pool, waiting := [_known(app, 10 - number / 100) for number, app in enumerate(apps)])
    shared = _fill(both, [_known(app, 10) for app in apps[:2]])

    # Two run there, and six wait: each slot does nearly five of them while another host does one.
    assert Counter(each.host for each in begun) == {"host-0": 2, "host-1": 2, "host-2": 2}
    assert [job.app for job in waiting] == [*apps[2:8], *apps[12:]]
    assert {each.host for each in shared} == {"host-0", "host-1"}


@given(
    hosts,
    st.lists(st.builds(_known, st.uuids().map(str), st.floats(0, 100)), max_size=12),
    st.lists(st.integers(0, 4), min_size=12, max_size=12),
    st.randoms(use_true_random=False),
)
def test_whoever_waits_for_a_home_waits_no_longer_than_it_takes_elsewhere(
    hosts: Sequence[Host], jobs: Sequence[Job], homes: Sequence[int], chance: random.Random
) -> None:
    lies = {part: [hosts[home % len(hosts)].name] for job, home in zip(jobs, homes, strict=False) for part in job.parts}
    pool, waiting, running, now = Pool(hosts, limit=99, lies=lies), list(jobs), list[Placed](), 0.0
    idle: dict[str, float] = {}
    slowest = min((host.speed for host in hosts), default=1.0)

    while True:
        begun = _fill(pool, waiting, now=now)
        running += begun
        for each in begun:
            assert now - idle.get(each.job.app, now) <= each.job.seconds / slowest + 1e-6
        on = Counter(placed.host for placed in running)
        if any(on[host.name] < host.slots for host in hosts):
            assert not waiting or (running and pool.patient_until is not None and pool.patient_until > now)
            idle = {job.app: idle.get(job.app, now) for job in waiting}
        if not running:
            break
        if pool.patient_until is not None and chance.random() < 0.5:
            now = pool.patient_until
            continue
        pool.ended(running.pop(chance.randrange(len(running))))

    assert waiting == []


def test_what_a_build_leaves_is_found_by_the_next_one_and_what_failed_left_nothing() -> None:
    pool = Pool(_hosts(8), limit=9)
    kept, lost = _fill(pool, [_job("kept"), _job("lost")])

    pool.left(kept)
    pool.ended(kept)
    pool.ended(lost)

    again = {each.job.app: (each.host, each.reason) for each in _fill(pool, [_job("kept"), _job("lost")])}
    assert again == {"kept": (kept.host, "cached"), "lost": (lost.host, "drawn")}


@pytest.mark.parametrize("platform", _PLATFORMS)
def test_a_build_goes_to_a_host_of_its_platform_or_to_none(platform: str) -> None:
    pool = Pool([Host(name="arm", slots=1, platforms=frozenset({"linux/arm64"}))], limit=1)

    (job,) = waiting = [_job("web", platform=platform)]

    assert pool.suits(job) is (platform == "linux/arm64")
    assert [each.reason for each in _fill(pool, waiting)] == ["only one"] * (platform == "linux/arm64")


@given(hosts, jobs, st.integers(1, 8))
def test_a_second_build_takes_a_free_slot_of_another_host_that_suits_and_passes_no_limit(
    hosts: Sequence[Host], jobs: Sequence[Job], limit: int
) -> None:
    pool, waiting = Pool(hosts, limit=limit), list(jobs)
    running = _fill(pool, waiting)
    by_name = {host.name: host for host in hosts}

    for first in tuple(running):
        placed = pool.spare(first.job, besides=first.host)
        on = Counter(each.host for each in running)
        free = [host for host in hosts if host.name != first.host and on[host.name] < host.slots]
        suited = [host for host in free if not host.platforms or first.job.platform in ("", *host.platforms)]
        assert (placed is not None) == bool(suited and len(running) < limit)
        if placed is not None:
            assert placed.job is first.job
            assert by_name[placed.host] in suited
            pool.began(placed)
            running.append(placed)

    for each in running:
        pool.ended(each)
    assert len(_fill(pool, [_job(f"again-{index}") for index in range(99)])) == min(
        limit, sum(host.slots for host in hosts)
    )


def test_what_has_failed_on_hosts_goes_elsewhere_and_keeps_no_other_from_them() -> None:
    pool = Pool(_hosts(3, slots=1), limit=3)
    first = _job("first")
    besides = frozenset({"host-0", "host-1"})
    waiting = [msgspec.structs.replace(first, besides=besides), *(_job(f"app-{number}") for number in range(3))]

    begun = _fill(pool, waiting)

    places = {placed.job.app: placed.host for placed in begun}
    assert places["first"] == "host-2"
    assert sorted(places.values()) == ["host-0", "host-1", "host-2"]
    assert not pool.suits(msgspec.structs.replace(first, besides=besides | {"host-2"}))


def test_a_part_of_an_image_goes_to_no_host_that_cannot_push_it_by_digest() -> None:
    arm = frozenset({"linux/arm64"})
    engine = Host(name="engine", slots=4, platforms=arm, by_digest=False)
    whole, part = (Job(app=name, platform="linux/arm64", by_digest=name == "part") for name in ("whole", "part"))

    pool = Pool([engine], limit=4)

    assert (pool.suits(whole), pool.suits(part)) == (True, False)
    assert [placed.job.app for placed in _fill(pool, [part, whole])] == ["whole"]
    assert pool.spare(part, besides="") is None
    pool.add(Host(name="buildkitd", slots=1, platforms=arm))
    assert [placed.host for placed in _fill(pool, [part])] == ["buildkitd"]
