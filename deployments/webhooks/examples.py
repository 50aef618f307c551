"""An event of every type, made up from its class, to try a receiver with."""

import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from eventing.events.catalogue import CATALOGUE
from eventing.events.envelope import EventData

_IDS = {
    "response_id": "rsp_",
    "form_id": "frm_",
    "delivery_id": "dlv_",
    "webhook_id": "whk_",
    "event_id": "evt_",
    "job_id": "job_",
    "user_id": "usr_",
    "file_id": "fil_",
}
_EXAMPLE_ID = "0198c0de00000000000000000000cafe"


def example(event_type: str) -> dict[str, Any] | None:
    """The `data` of an event of this type with made-up values; None when there is no such type."""
    for kind in CATALOGUE:
        if kind.type == event_type:
            return _data(kind)
    return None


def _data(kind: type[EventData]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: _value(each.name, hints[each.name]) for each in fields(kind)}  # type: ignore[arg-type]


def _value(name: str, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        inner = [part for part in get_args(hint) if part is not type(None)]
        return _value(name, inner[0])
    if origin in (tuple, list, set, frozenset) or hint in (list, tuple):
        return []
    if origin is dict or hint is dict:
        return {}
    if hint is bool:
        return False
    if hint in (int, float):
        return 1
    if hint is str:
        return _IDS[name] + _EXAMPLE_ID if name in _IDS else f"example {name.replace('_', ' ')}"
    return None
