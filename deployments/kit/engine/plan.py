"""What depends on what in a form: its fields, sections and pages in an order in which each can be decided.

Sections and pages that can be hidden, and pages with jumps, stand among the answers under a mark, which no id can be
mistaken for. So a field asks for its section's mark, as a condition asks for an answer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Final

from deployments.kit.engine.definition import END, Definition, Page
from deployments.kit.engine.expressions import Expression, parse_expression
from deployments.kit.engine.faults import pointer
from deployments.kit.engine.fields import Element, Field
from deployments.kit.engine.fields.calculated import CalculatedField
from deployments.kit.engine.fields.field import Condition
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.fields.section import Section
from deployments.kit.errors import Fault

Parse = Callable[[Condition | None], Expression | None]

_SHOWN: Final = 10


def section_mark(section_id: str) -> str:
    """Where a section that is shown stands among the answers."""
    return f"/section/{section_id}"


def page_mark(page_id: str) -> str:
    """Where a page that is reached stands among the answers."""
    return f"/page/{page_id}"


def jump_mark(page_id: str) -> str:
    """Where the index of the page that follows another stands among the answers."""
    return f"/jump/{page_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing to decide: an element, the reaching of a page, or the jump from it.

    `key` is where it stands among the answers, `within` the mark that must be there for it to be shown, `place` a
    pointer into the definition.
    """

    key: str
    place: str
    element: Element | None = None
    within: str | None = None
    visible_if: Expression | None = None
    required_if: tuple[Expression, ...] = ()
    value: Expression | None = None
    items: "tuple[Part, ...]" = ()
    """The fields inside of a group, in an order of decision."""
    inner_displays: "tuple[Part, ...]" = ()
    """The elements inside of a group that have no answer."""
    page: int = 0
    after: tuple[str, ...] = ()
    """The jumps that may lead past this page."""
    jumps: tuple[tuple[Expression | None, int], ...] = ()

    def conditions(self) -> Iterator[Expression]:
        """The expressions that say whether it is shown and what it is."""
        yield from (expression for expression in (self.visible_if, self.value) if expression is not None)
        yield from (condition for condition, _ in self.jumps if condition is not None)

    def reads(self) -> tuple[str, ...]:
        """The keys of what must be decided before."""
        marks = (*self.after, *(() if self.within is None else (self.within,)))
        paths = (path.field_id for expression in self.conditions() for path in expression.paths)
        return tuple(dict.fromkeys((*marks, *paths, *self._read_by_items())))

    def _read_by_items(self) -> Iterator[str]:
        for item in (*self.items, *self.inner_displays):
            for expression in (*item.conditions(), *item.required_if):
                yield from (path.field_id for path in expression.paths if path.root == "answers")

    def depends_on_items(self) -> tuple[str, ...]:
        """Of an element of a group: the elements of the same item that must be decided before."""
        paths = (path for expression in self.conditions() for path in expression.paths)
        return tuple(dict.fromkeys(path.field_id for path in paths if path.root == "item"))


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of a form. `fields` are in an order of decision, `displays` are the elements without an answer."""

    parts: tuple[Part, ...]
    displays: tuple[Part, ...]
    reached: tuple[str | None, ...]
    """For each page the mark that says that it is reached; None when it always is."""

    def all_parts(self) -> tuple[Part, ...]:
        """Everything that is decided or shown."""
        return (*self.parts, *self.displays)


def plan(definition: Definition) -> Plan:
    """The plan of a definition whose expressions parse and go in no circle."""
    parts, displays, reached = _collect(definition, _parsed)
    return Plan(_ordered(parts, Part.reads), displays, reached)


def cycle_faults(definition: Definition, known: Mapping[str, Expression]) -> Iterator[Fault]:
    """A fault for each circle of visibility, jumps and calculation; `known` has the expressions that parse."""
    parts, _, _ = _collect(definition, lambda text: None if text is None else known.get(text))
    yield from _cycles(parts, Part.reads)
    for part in parts:
        yield from _cycles(part.items, Part.depends_on_items)


def _parsed(text: Condition | None) -> Expression | None:
    return None if text is None else parse_expression(text)


def _collect(definition: Definition, parse: Parse) -> tuple[tuple[Part, ...], tuple[Part, ...], tuple[str | None, ...]]:
    collector = _Collector(definition, parse)
    for index, page in enumerate(definition.pages):
        collector.take_page(index, page)
    return tuple(collector.parts), tuple(collector.displays), tuple(collector.reached)


class _Collector:
    """Walks a definition once."""

    def __init__(self, definition: Definition, parse: Parse) -> None:
        self.parts: list[Part] = []
        self.displays: list[Part] = []
        self.reached: list[str | None] = []
        self._parse = parse
        self._indexes = {page.id: index for index, page in reversed(list(enumerate(definition.pages)))}
        self._end = len(definition.pages)
        self._farthest: dict[str, int] = {}

    def take_page(self, index: int, page: Page) -> None:
        place = pointer("pages", index)
        after = tuple(mark for mark, target in self._farthest.items() if target > index)
        mark = page_mark(page.id) if after or page.visible_if is not None else None
        if mark is not None:
            visible_if = self._parse(page.visible_if)
            at = f"{place}/visible_if" if page.visible_if is not None else f"{place}/id"
            self.parts.append(Part(key=mark, place=at, visible_if=visible_if, page=index, after=after))
        self.reached.append(mark)
        required_if = self._all((page.required_if,))
        for position, element in enumerate(page.elements):
            self._take(pointer("pages", index, "elements", position), element, mark, required_if)
        if page.next:
            self._take_jumps(index, page, place, mark)

    def _take_jumps(self, index: int, page: Page, place: str, mark: str | None) -> None:
        jumps = tuple((self._parse(jump.condition), self._target(jump.to, index)) for jump in page.next)
        key = jump_mark(page.id)
        self._farthest[key] = max(target for _, target in jumps)
        self.parts.append(Part(key=key, place=f"{place}/next", within=mark, page=index, jumps=jumps))

    def _target(self, to: str, index: int) -> int:
        target = self._end if to == END else self._indexes.get(to, index + 1)
        return max(target, index + 1)

    def _take(self, place: str, element: Element, within: str | None, required_if: tuple[Expression, ...]) -> None:
        if isinstance(element, Section):
            self._take_section(place, element, within, required_if)
        elif isinstance(element, Field):
            self.parts.append(self._field(place, element, within, required_if))
        else:
            self.displays.append(self._element(place, element, within))

    def _take_section(
        self, place: str, section: Section, within: str | None, required_if: tuple[Expression, ...]
    ) -> None:
        shown = self._element(place, section, within)
        self.displays.append(shown)
        if section.visible_if is not None:
            mark = section_mark(section.id)
            self.parts.append(Part(key=mark, place=f"{place}/visible_if", within=within, visible_if=shown.visible_if))
            within = mark
        required = (*required_if, *self._all((section.required_if,)))
        for position, element in enumerate(section.elements):
            self._take(f"{place}{pointer('elements', position)}", element, within, required)

    def _element(self, place: str, element: Element, within: str | None) -> Part:
        return Part(
            key=element.id,
            place=f"{place}/visible_if",
            element=element,
            within=within,
            visible_if=self._parse(element.visible_if),
        )

    def _field(self, place: str, field: Field, within: str | None, required_if: tuple[Expression, ...]) -> Part:
        calculated = isinstance(field, CalculatedField)
        inner = field.elements if isinstance(field, GroupField) else ()
        places = [(f"{place}{pointer('elements', index)}", element) for index, element in enumerate(inner)]
        items = tuple(self._field(spot, one, None, ()) for spot, one in places if isinstance(one, Field))
        displays = tuple(self._element(spot, one, None) for spot, one in places if not isinstance(one, Field))
        at = "visible_if" if field.visible_if is not None else "value" if calculated else "id"
        return Part(
            key=field.id,
            place=f"{place}/{at}",
            element=field,
            within=within,
            visible_if=self._parse(field.visible_if),
            required_if=() if calculated else (*self._all((field.required_if,)), *required_if),
            value=self._parse(field.value) if isinstance(field, CalculatedField) else None,
            items=_sorted_if_possible(items),
            inner_displays=displays,
        )

    def _all(self, texts: Iterable[Condition | None]) -> tuple[Expression, ...]:
        found = (self._parse(text) for text in texts)
        return tuple(expression for expression in found if expression is not None)


def _sorted_if_possible(items: tuple[Part, ...]) -> tuple[Part, ...]:
    try:
        return _ordered(items, Part.depends_on_items)
    except CycleError:
        return items  # The audit tells of the circle.


Reads = Callable[[Part], tuple[str, ...]]


def _cycles(parts: tuple[Part, ...], reads: Reads) -> Iterator[Fault]:
    graph = {part.key: reads(part) for part in parts}
    places = {part.key: part.place for part in parts}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            # Begin with something that has a rule of its own.
            start = next((key for key in circle if not places[key].endswith("/id")), circle[0])
            names = " -> ".join(key.rpartition("/")[2] for key in circle[:_SHOWN])
            yield Fault(places[start], "definition.cycle", f"This depends on itself: {names}.")
            graph[start] = ()
        else:
            return


def _ordered(parts: tuple[Part, ...], reads: Reads) -> tuple[Part, ...]:
    """The parts, each after those that it depends on, else in their given order. Raises CycleError."""
    places = {part.key: place for place, part in enumerate(parts)}
    sorter = TopologicalSorter({part.key: [key for key in reads(part) if key in places] for part in parts})
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    order: list[Part] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (places[name], name))
        place, first = heappop(ready)
        order.append(parts[place])
        sorter.done(first)
    return tuple(order)
