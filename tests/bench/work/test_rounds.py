from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.work import rounds
from orchestrator.bench.work.rounds import Phase, Place, phases, turned


def names_of(made: list[Phase]) -> set[str]:
    return {f"{scenario.name} on {place.name}" for phase in made for scenario, place in phase.runs(0)}


def test_each_scenario_is_made_on_each_target_and_both_halves_in_all_four_combinations() -> None:
    made = names_of(list(phases(["a", "b"], caches=True)))

    plain = {
        f"{scenario} on {target}"
        for target in ("a", "b")
        for scenario in (
            *("no-cache/first", "no-cache/again", "cache/first", "cache/source", "cache/lockfile", "cache/same"),
            *("export", "packages/keep", "import", "pull", "parallel"),
        )
    }
    assert made == plain | {"cache/first on layers=a+packages=b", "cache/first on layers=b+packages=a"}


def test_what_a_daemon_cannot_do_is_left_out_and_the_rest_finds_the_same_state() -> None:
    made = names_of(list(phases(["a"], caches=False)))

    assert made == {
        f"{name} on a"
        for name in (
            *("no-cache/first", "no-cache/again", "cache/source", "cache/lockfile", "cache/same"),
            *("pull", "parallel", "warm"),
        )
    }


def test_more_than_three_targets_are_not_split() -> None:
    made = names_of(list(phases(["a", "b", "c", "d"], caches=True)))

    assert not any("layers=" in name for name in made)


def test_runs_of_a_scenario_come_next_to_each_other_and_who_begins_changes() -> None:
    [phase, *_] = phases(["a", "b"], caches=True)

    runs = [(scenario.name, place.name) for scenario, place in phase.runs(0)]
    later = [(scenario.name, place.name) for scenario, place in phase.runs(1)]

    assert runs[:4] == [
        ("no-cache/first", "a"),
        ("no-cache/first", "b"),
        ("no-cache/again", "b"),
        ("no-cache/again", "a"),
    ]
    assert later[:2] == [("no-cache/first", "b"), ("no-cache/first", "a")]


@given(count=st.integers(1, 5), by=st.integers(0, 20))
def test_turning_loses_nobody(count: int, by: int) -> None:
    places = tuple(Place(layers=str(each), packages=str(each)) for each in range(count))

    assert sorted(place.name for place in turned(places, by)) == sorted(place.name for place in places)


def test_every_step_belongs_to_the_first_build() -> None:
    assert rounds.FIRST.executes >= rounds.LOCKFILE.executes >= rounds.SOURCE.executes > rounds.SAME.executes
