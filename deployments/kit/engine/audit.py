"""What a schema cannot say about a definition: unique ids, sound rules, and expressions that make sense."""

from collections.abc import Iterable, Iterator
from typing import Final

from deployments.kit.engine.definition import MAX_ELEMENTS
from deployments.kit.engine.expressions import Expression, ExpressionError, Path, parse_expression
from deployments.kit.engine.faults import printable
from deployments.kit.engine.fields import Field
from deployments.kit.engine.outline import Outline
from deployments.kit.engine.visibility import cycle_faults
from deployments.kit.errors import Fault

MAX_EXPRESSIONS: Final = 200_000
"""The most characters that all expressions of a form have together; it bounds the time of publishing."""


def audit(outline: Outline) -> Iterator[Fault]:
    """Every fault beyond the shape."""
    yield from _duplicates(outline.page_ids)
    yield from _duplicates(outline.element_ids)
    if len(outline.element_ids) > MAX_ELEMENTS:
        yield Fault("/pages", "definition.too_many", f"A form has at most {MAX_ELEMENTS} elements.")
    for place, element in outline.elements:
        for fault in element.faults():
            yield Fault(place + fault.pointer, fault.code, fault.detail)
    yield from _expressions(outline)


def _duplicates(ids: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, value in ids:
        if value in seen:
            yield Fault(place, "definition.duplicate_id", f"The id '{printable(value)}' is used twice.")
        seen.add(value)


def _expressions(outline: Outline) -> Iterator[Fault]:
    written = [
        (f"{place}/{name}", element, name, text)
        for place, element in outline.elements
        for name in ("visible_if", "required_if")
        if (text := getattr(element, name, None)) is not None
    ]
    if sum(len(text) for *_, text in written) > MAX_EXPRESSIONS:
        detail = f"All expressions together have at most {MAX_EXPRESSIONS} characters."
        yield Fault("/pages", "definition.too_long", detail)
        return
    fields = {element.id: element for _, element in outline.elements if isinstance(element, Field)}
    visibility: dict[str, Expression] = {}
    places: dict[str, str] = {}
    for place, element, name, text in written:
        try:
            expression = parse_expression(text)
        except ExpressionError as error:
            yield Fault(place, "definition.expression", str(error))
            continue
        for path in expression.paths:
            if path.field_id not in outline.broken_ids:
                yield from _path_faults(place, path, fields)
        if name == "visible_if":
            visibility[element.id], places[element.id] = expression, place
    yield from cycle_faults(visibility, places)


def _path_faults(place: str, path: Path, fields: dict[str, Field]) -> Iterator[Fault]:
    field = fields.get(path.field_id)
    if field is None:
        detail = f"There is no field '{path.field_id}' (character {path.position})."
        yield Fault(place, "definition.expression", detail)
    elif path.part is not None and path.part not in field.parts():
        detail = f"The field '{path.field_id}' has no part '{path.part}' (character {path.position})."
        yield Fault(place, "definition.expression", detail)
