"""Groups of accounts: pairs that hang together, cut where only one weak pair joins two groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import rustworkx as rx


@dataclass(frozen=True)
class Edge:
    """A pair of accounts or owners. `weight`: 0..1, how sure it is."""

    one: int
    other: int
    weight: float


@dataclass(frozen=True)
class Group:
    """`density`: pairs that are there over pairs that could be. `hub`: the member in most pairs, the lowest of several;
    `hub_share`: with how many of the others it is paired, 0..1."""

    members: tuple[int, ...]
    edges: tuple[Edge, ...]
    density: float
    hub: int
    hub_share: float


def groups(edges: Iterable[Edge], *, min_density: float = 0.5) -> list[Group]:
    """Returns the groups, largest first. A group that is less dense than `min_density` is cut at its bridges, and its
    hub's pairs stay together: a star is a group, a chain of groups is not."""
    kept = {(edge.one, edge.other): edge for edge in sorted(map(_in_order, edges), key=lambda each: each.weight)}
    found: list[Group] = []
    for inside in _components([edge for _, edge in sorted(kept.items())]):
        whole = _group(inside)
        if whole.density >= min_density or whole.hub_share == 1:
            found.append(whole)
        else:
            found.extend(_cut(inside, min_density))
    return sorted(found, key=lambda group: (-len(group.members), group.members))


def _in_order(edge: Edge) -> Edge:
    return edge if edge.one < edge.other else Edge(edge.other, edge.one, edge.weight)


def _components(edges: Sequence[Edge]) -> list[list[Edge]]:
    """The edges of each component."""
    graph, names = _graph(edges)
    component = {names[node]: n for n, nodes in enumerate(rx.connected_components(graph)) for node in nodes}
    found: dict[int, list[Edge]] = {}
    for edge in edges:
        found.setdefault(component[edge.one], []).append(edge)
    return list(found.values())


def _graph(edges: Sequence[Edge]) -> tuple["rx.PyGraph[int, Edge]", list[int]]:
    names = sorted({end for edge in edges for end in (edge.one, edge.other)})
    number = {name: place for place, name in enumerate(names)}
    graph: rx.PyGraph[int, Edge] = rx.PyGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from([(number[edge.one], number[edge.other], edge) for edge in edges])
    return graph, names


def _cut(edges: list[Edge], min_density: float) -> list[Group]:
    """Takes out the bridges, the weakest first, each only while both its ends keep another pair: nobody is lost."""
    graph, names = _graph(edges)
    bridges = {tuple(sorted(names[end] for end in ends)) for ends in rx.bridges(graph)}
    degree = {names[node]: graph.degree(node) for node in graph.node_indices()}
    kept = []
    for edge in sorted(edges, key=lambda each: (each.weight, each.one, each.other)):
        if (edge.one, edge.other) in bridges and degree[edge.one] > 1 and degree[edge.other] > 1:
            degree[edge.one] -= 1
            degree[edge.other] -= 1
        else:
            kept.append(edge)
    return [_group(edges)] if len(kept) == len(edges) else groups(kept, min_density=min_density)


def _group(edges: Sequence[Edge]) -> Group:
    degree: dict[int, int] = {}
    for edge in edges:
        for end in (edge.one, edge.other):
            degree[end] = degree.get(end, 0) + 1
    members = tuple(sorted(degree))
    hub = min(members, key=lambda each: (-degree[each], each))
    others = len(members) - 1
    return Group(members, tuple(edges), 2 * len(edges) / (len(members) * others), hub, degree[hub] / others)
