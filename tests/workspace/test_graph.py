"""Graphs of names: what is reachable, what is a cycle, what comes first."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.workspace.graph import cycle, inverted, ordered, reachable

Edges = Mapping[str, tuple[str, ...]]

_NODES = "abcdefgh"
_ANY = st.dictionaries(st.sampled_from(_NODES), st.lists(st.sampled_from(_NODES), max_size=4).map(tuple))
_ACYCLIC = _ANY.map(lambda edges: {node: tuple(need for need in needs if need > node) for node, needs in edges.items()})


def paths(edges: Edges, start: str) -> set[str]:
    """All that a node leads to, the slow way: as long as more is found."""
    found = set(edges.get(start, ()))
    while more := {need for node in found for need in edges.get(node, ())} - found:
        found |= more
    return found


@given(_ANY, st.sampled_from(_NODES))
def test_what_is_reachable_is_all_that_a_node_leads_to(edges: Edges, start: str) -> None:
    found = reachable(edges, [start])

    assert found.keys() == paths(edges, start)
    assert all(need in edges[by] and (by == start or by in found) for need, by in found.items())


@given(_ANY)
def test_what_is_needed_by_whom_is_who_needs_what(edges: Edges) -> None:
    turned = inverted(edges)

    assert {(a, b) for a, needs in edges.items() for b in needs} == {(a, b) for b, by in turned.items() for a in by}


@given(_ANY)
def test_a_cycle_is_found_when_there_is_one_and_is_one(edges: Edges) -> None:
    found = cycle(edges)

    assert (found is not None) == any(node in paths(edges, node) for node in edges)
    if found is not None:
        assert found[0] == found[-1]
        assert len(set(found)) == len(found) - 1
        assert all(need in edges[node] for node, need in pairwise(found))


@given(_ACYCLIC, st.permutations(_NODES))
def test_what_is_needed_comes_first_and_nothing_else_changes_places(edges: Edges, nodes: list[str]) -> None:
    found = ordered(nodes, edges)

    place = {node: index for index, node in enumerate(found)}
    assert sorted(found) == sorted(nodes)
    assert all(place[need] < place[node] for node, needs in edges.items() for need in needs)
    # At each place stands the first of those whose needs are there.
    for index, node in enumerate(found):
        before = set(found[:index])
        could = [each for each in nodes if each not in before and set(edges.get(each, ())) <= before]
        assert could[0] == node


def test_an_order_of_what_goes_round_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        ordered("ab", {"a": ("b",), "b": ("a",)})


def test_a_chain_of_a_hundred_thousand_is_no_recursion() -> None:
    edges = {str(number): (str(number + 1),) for number in range(100_000)}

    assert cycle(edges) is None
    assert len(reachable(edges, ["0"])) == 100_000
    assert ordered(edges, edges)[0] == "99999"
