"""A plan as JSON, for the browser: trees instead of texts, so that it needs no parser."""

from collections.abc import Iterable
from typing import Any

from deployments.kit.engine.definition import Definition
from deployments.kit.engine.expressions import Expression, parse_expression
from deployments.kit.engine.fields import Field
from deployments.kit.engine.fields.calculated import CalculatedField
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.plan import Part, Plan


def logic_of(definition: Definition, plan: Plan) -> dict[str, Any]:
    """What `serve_app/web/form/logic.js` takes.

    `pages`: each page's id, and its mark when it can be left out. `steps`: what is decided, in this order. `displays`:
    the elements without an answer. `rules`: the rules over several answers.
    """
    return {
        "pages": [
            _without_none(id=page.id, mark=mark) for page, mark in zip(definition.pages, plan.reached, strict=True)
        ],
        "steps": [_step(part) for part in plan.parts],
        "displays": [_display(part) for part in plan.displays],
        "rules": [
            {
                "id": rule.id,
                "check": parse_expression(rule.check).document(),
                "message": rule.message,
                "fields": list(rule.fields),
            }
            for rule in definition.rules
        ],
    }


def _display(part: Part) -> dict[str, Any]:
    return _without_none(key=part.key, within=part.within, visible_if=_document(part.visible_if))


def _step(part: Part) -> dict[str, Any]:
    step = _display(part)
    field = part.element
    if not isinstance(field, Field):
        if part.jumps:
            jumps = [_without_none(**{"if": _document(condition), "to": target}) for condition, target in part.jumps]
            return {**step, "page": part.page, "jumps": jumps}
        if part.after:
            return {**step, "mark": True, "page": part.page, "after": list(part.after)}
        return {**step, "mark": True}
    required = True if field.required else _either(part.required_if)
    return {
        **step,
        **_without_none(
            required=required,
            view=field.browser_view,
            scores=field.browser_scores() or None,
            value=_document(part.value),
            consent=True if field.type == "consent" and field.required else None,
        ),
        **(_items(part) if isinstance(field, GroupField) else {}),
    }


def _items(part: Part) -> dict[str, Any]:
    return {
        "items": {
            "steps": [_step(inner) for inner in part.items],
            "displays": [_display(inner) for inner in part.inner_displays],
            "entered": [inner.key for inner in part.items if not isinstance(inner.element, CalculatedField)],
        }
    }


def _either(expressions: Iterable[Expression]) -> list[Any] | None:
    documents = [expression.document() for expression in expressions]
    return ["or", *documents] if len(documents) > 1 else documents[0] if documents else None


def _document(expression: Expression | None) -> list[Any] | None:
    return None if expression is None else expression.document()


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
