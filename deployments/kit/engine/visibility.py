"""Which field's visibility depends on which other field: no circles, and an order to decide in."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from deployments.kit.engine.expressions import Expression
from deployments.kit.errors import Fault

_SHOWN = 10


def cycle_faults(conditions: Mapping[str, Expression], places: Mapping[str, str]) -> Iterator[Fault]:
    """A fault for each circle of `visible_if` conditions, at the place of one of its fields."""
    graph = {name: _read_by(expression) for name, expression in conditions.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            names = " -> ".join(circle[:_SHOWN])
            yield Fault(places[circle[0]], "definition.cycle", f"The visibility depends on itself: {names}.")
            graph[circle[0]] = ()
        else:
            return


def visibility_order(conditions: Mapping[str, Expression | None]) -> tuple[str, ...]:
    """The field ids, each after those that its visibility depends on, else in their given order."""
    places = {name: place for place, name in enumerate(conditions)}
    sorter = TopologicalSorter({name: _read_by(expression) for name, expression in conditions.items()})
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    order: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (places[name], name))
        _, first = heappop(ready)
        order.append(first)
        sorter.done(first)
    return tuple(order)


def _read_by(expression: Expression | None) -> tuple[str, ...]:
    return () if expression is None else tuple(dict.fromkeys(path.field_id for path in expression.paths))
