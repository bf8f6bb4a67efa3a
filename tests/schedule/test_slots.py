"""Shared keys: one per running build, stable between runs."""

from orchestrator.schedule.slots import SharedKeys


def test_two_running_builds_of_one_app_never_share_a_key() -> None:
    keys = SharedKeys("repo")

    with keys.slot("services/api", "") as first, keys.slot("services/api", "") as second:
        assert first != second


def test_the_next_build_finds_the_key_that_the_last_one_left() -> None:
    keys = SharedKeys("repo")

    with keys.slot("services/api", "") as first:
        pass
    with keys.slot("services/api", "") as second:
        pass

    assert first == second


def test_the_lowest_free_slot_is_handed_out() -> None:
    keys = SharedKeys("repo")

    with keys.slot("a", "") as first:
        with keys.slot("a", ""):
            pass
        with keys.slot("a", "") as third:
            assert third.endswith("-1")
    with keys.slot("a", "") as again:
        assert again == first


def test_keys_are_the_same_in_another_process_and_differ_by_repository_app_and_filters() -> None:
    def key(repository: str, app: str, filters: str) -> str:
        with SharedKeys(repository).slot(app, filters) as found:
            return found

    assert key("repo", "api", "x") == key("repo", "api", "x")
    distinct = {key("repo", "api", "x"), key("other", "api", "x"), key("repo", "web", "x"), key("repo", "api", "y")}
    distinct |= {key("repo", "apix", ""), key("repoa", "pi", "x")}
    assert len(distinct) == 6


def test_an_app_whose_name_is_not_utf8_has_a_key() -> None:
    with SharedKeys("repo").slot("caf\udce9", "") as key:
        assert key.endswith("-0")
