"""The last step of every definition that comes from elsewhere: what the engine refuses is taken out and reported."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from deployments.imports.errors import FileUnreadable
from deployments.imports.notices import Notices
from deployments.imports.target import FORMULA
from deployments.kit.engine import CompiledForm, InvalidDefinition, compile_form, parse_definition
from deployments.kit.errors import Fault

_ROUNDS: Final = 30
_NEEDED: Final = frozenset(("id", "type", "title", "options", "rows", "columns", "label", "pages", "elements"))
_SHOWN: Final = 10


def settled(definition: dict[str, Any], notices: Notices, places: Mapping[str, str]) -> CompiledForm:
    """The form of `definition` without the optional properties that the engine refuses; each is a notice.

    `places` say where in the file an element id came from. Raises FileUnreadable when what is refused cannot be left
    out.
    """
    draft = deepcopy(definition)
    for _ in range(_ROUNDS):
        try:
            return compile_form(parse_definition(draft))
        except InvalidDefinition as error:
            # Each of them, before the next look.
            left_out = [_left_out(draft, fault, notices, places) for fault in error.faults]
            if not any(left_out):
                raise unreadable(error) from error
            if "rules" in draft:
                draft["rules"] = [rule for rule in draft["rules"] if "refused" not in rule]
    raise FileUnreadable("The definition cannot be read: too much of it is refused.")


def unreadable(error: InvalidDefinition) -> FileUnreadable:
    """The refusal of a file whose definition is refused, with the first of the reasons."""
    reasons = "; ".join(f"{fault.pointer}: {fault.detail} ({fault.code})" for fault in error.faults[:_SHOWN])
    more = len(error.faults) - _SHOWN
    return FileUnreadable(f"The definition is not valid. {reasons}" + (f"; and {more} more" if more > 0 else ""))


def _left_out(draft: dict[str, Any], fault: Fault, notices: Notices, places: Mapping[str, str]) -> bool:
    """Whether the property that the fault points at could be left out."""
    if fault.pointer.startswith("/rules/"):
        return _rule_left_out(draft, fault, notices)
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in fault.pointer.split("/")[1:]]
    parent, element = _parent(draft, tokens)
    name = tokens[-1] if tokens else ""
    if not isinstance(parent, dict) or name in _NEEDED or name not in parent:
        return False
    value = parent.pop(name)
    if name == FORMULA and parent.get("type") == "calculated":
        parent["type"] = "hidden"
    where = places.get(str(element.get("id")), fault.pointer) if element else fault.pointer
    notices.add(where, fault.code, f"{name} is left out: {fault.detail} It was: {str(value)[:1000]}")
    return True


def _rule_left_out(draft: dict[str, Any], fault: Fault, notices: Notices) -> bool:
    index = int(fault.pointer.split("/")[2])
    rules = draft["rules"]
    if index >= len(rules) or "refused" in rules[index]:
        return False
    notices.add(fault.pointer, fault.code, f"The rule is left out: {fault.detail} It was: {rules[index].get('check')}")
    rules[index] = {"refused": True}
    return True


def _parent(draft: Any, tokens: list[str]) -> tuple[Any, dict[str, Any] | None]:
    """What holds the last token, and the innermost object with a type around it."""
    node, element = draft, None
    for token in tokens[:-1]:
        if isinstance(node, dict):
            node = node.get(token)
        elif isinstance(node, list | tuple) and token.isdigit() and int(token) < len(node):
            node = node[int(token)]
        else:
            return None, element
        if isinstance(node, dict) and "type" in node:
            element = node
    return node, element
