"""Who needs whom: plain graphs of names, as a mapping from a node to the nodes that it needs.

A node without an entry needs nothing. Nothing recurses: a chain may be as long as the monorepo is large.
"""

from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush

Edges = Mapping[str, Collection[str]]


def reachable(edges: Edges, starts: Iterable[str]) -> dict[str, str]:
    """All that `starts` need, directly or not, each with the first node found that needs it.

    Args:
        edges: who needs whom.
        starts: nodes, which are in the answer only when something needs them.
    """
    found: dict[str, str] = {}
    level = tuple(dict.fromkeys(starts))
    seen = set(level)
    while level:
        below: dict[str, None] = {}
        for node in level:
            for need in edges.get(node, ()):
                found.setdefault(need, node)
                if need not in seen:
                    seen.add(need)
                    below[need] = None
        level = tuple(below)
    return found


def inverted(edges: Edges) -> dict[str, tuple[str, ...]]:
    """Who is needed by whom."""
    found: dict[str, dict[str, None]] = {}
    for node, needs in edges.items():
        for need in needs:
            found.setdefault(need, {})[node] = None
    return {node: tuple(by) for node, by in found.items()}


def cycle(edges: Edges) -> tuple[str, ...] | None:
    """A cycle, its first node again at the end, or None when there is none."""
    # 1: on the path that is followed; 2: nothing below it leads back.
    state: dict[str, int] = {}
    for start in edges:
        path: list[str] = []
        todo = [(start, iter(edges[start]))] if start not in state else []
        while todo:
            node, needs = todo[-1]
            if state.get(node) is None:
                state[node] = 1
                path.append(node)
            need = next(needs, None)
            if need is None:
                state[node] = 2
                path.pop()
                todo.pop()
            elif state.get(need) == 1:
                return (*path[path.index(need) :], need)
            elif need not in state:
                todo.append((need, iter(edges.get(need, ()))))
    return None


def ordered(nodes: Iterable[str], edges: Edges) -> tuple[str, ...]:
    """`nodes` in their order, but for those that need a later one of them: they follow it.

    Args:
        nodes: each once.
        edges: who needs whom; needs that are not among `nodes` do not matter.

    Raises:
        ValueError: there is a cycle.
    """
    nodes = tuple(nodes)
    place = {node: index for index, node in enumerate(nodes)}
    missing = {node: {need for need in edges.get(node, ()) if need in place} for node in nodes}
    needed_by = inverted(missing)
    ready = [place[node] for node, needs in missing.items() if not needs]
    heapify(ready)
    found: list[str] = []
    while ready:
        node = nodes[heappop(ready)]
        found.append(node)
        for other in needed_by.get(node, ()):
            missing[other].discard(node)
            if not missing[other]:
                heappush(ready, place[other])
    if len(found) < len(nodes):
        raise ValueError("the graph has a cycle")
    return tuple(found)
