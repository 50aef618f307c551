"""From JSON to a definition, with every fault named."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deployments.kit.engine.audit import audit
from deployments.kit.engine.definition import Definition
from deployments.kit.engine.faults import MAX_FAULTS, InvalidDefinition, pointer, printable
from deployments.kit.engine.outline import Outline
from deployments.kit.errors import Fault

_CODES: Final = {
    "union_tag_invalid": "definition.unknown_type",
    "union_tag_not_found": "definition.missing",
    "missing": "definition.missing",
    "extra_forbidden": "definition.unknown_property",
    "too_long": "definition.too_many",
    "too_short": "definition.too_few",
    "string_too_long": "definition.too_long",
    "string_too_short": "definition.too_short",
    "string_pattern_mismatch": "definition.bad_text",
    "string_unicode": "definition.bad_text",
    "greater_than_equal": "definition.range",
    "less_than_equal": "definition.range",
}
_DETAILS: Final = {
    "definition.unknown_type": "There is no element type of this name.",
    "definition.missing": "This property is required.",
    "definition.unknown_property": "There is no property of this name here.",
    "definition.bad_id": "An id has letters, digits and underscores, begins with a letter, and is at most 64 long.",
    "definition.bad_text": "The text holds characters that are not allowed here.",
}
_HOLDING: Final = ("section", "group")
_NOT_HERE: Final = "A group holds neither groups nor sections, a section no sections."
_AT_TYPE: Final = ("union_tag_invalid", "union_tag_not_found")


def parse_definition(raw: object) -> Definition:
    """The definition that the JSON value `raw` says.

    Raises InvalidDefinition with all its faults, at most 100: shape, unknown types and properties, ids used twice,
    bad patterns and bounds, expressions that do not parse, name unknown fields or go in a circle.
    """
    try:
        definition = Definition.model_validate(raw)
    except ValidationError as error:
        shape = _shape_faults(error.errors(include_url=False, include_input=False))
        outline = Outline.salvaged(raw)
    else:
        shape = []
        outline = Outline.of(definition)
    # A key made up by the client can be named by the schema and by the audit.
    faults = tuple(dict.fromkeys(chain(shape, audit(outline))))[:MAX_FAULTS]
    if faults:
        raise InvalidDefinition(faults=faults)
    return definition


def stored_definition(document: Mapping[str, Any]) -> Definition:
    """The definition of a published version.

    It was checked when it was saved, so only its shape is read: a version stays readable when the checks get stricter.
    """
    return Definition.model_validate(document)


def _shape_faults(errors: list[ErrorDetails]) -> list[Fault]:
    # A list whose items are all refused is reported as too short, too.
    parents = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [_fault(error) for error in errors if error["type"] != "too_short" or error["loc"] not in parents]


def _fault(error: ErrorDetails) -> Fault:
    kind, place = error["type"], _place(error["loc"])
    code = kind if kind.startswith("definition.") else _CODES.get(kind, "definition.type")
    if kind == "string_pattern_mismatch" and place[-1:] == ("id",):
        code = "definition.bad_id"
    if kind in _AT_TYPE:
        place = (*place, "type")
        if error.get("ctx", {}).get("tag") in _HOLDING:
            return Fault(pointer(*place), "definition.not_here", _NOT_HERE)
    return Fault(pointer(*place), code, printable(_DETAILS.get(code, error["msg"])))


def _place(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    # pydantic puts the element's type after its index.
    place: list[Any] = []
    skip = False
    for token in loc:
        if skip:
            skip = False
        else:
            skip = type(token) is int and place[-1:] == ["elements"]
            place.append(token)
    return tuple(part for part in place if part != "[key]")
