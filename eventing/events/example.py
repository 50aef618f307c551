"""An example of every event, for those who write receivers."""

from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from eventing.events.envelope import EventData

_ID: Final = "0190a3f5c1d27c3e8b1f4a6d9e2c7b50"
_PREFIXES: Final = {
    "api_key_id": "key",
    "assignee": "usr",
    "comment_id": "cmt",
    "connection_id": "sso",
    "delivery_id": "dlv",
    "event_id": "evt",
    "export_id": "exp",
    "file_id": "fil",
    "form_id": "frm",
    "invitation_id": "inv",
    "job_id": "job",
    "response_id": "rsp",
    "signing_key_id": "sig",
    "template_id": "tpl",
    "user_id": "usr",
    "webhook_id": "whk",
}
_BY_NAME: Final[dict[str, Any]] = {
    "action": "added",
    "added": ["urgent"],
    "algorithm": "EdDSA",
    "answers": {"email": "ada@example.com", "score": 9},
    "bytes": 18_342,
    "changed": ["name"],
    "email": "ada@example.com",
    "erase_after": "2026-04-01T12:00:00Z",
    "erased_tenant_id": "acme",
    "expires_at": "2026-04-01T12:00:00Z",
    "issuer": "https://login.example.com",
    "kind": "import",
    "name": "Acme",
    "previous": "pending",
    "previous_email": "a.lovelace@example.com",
    "quota": "max_forms",
    "reason": "the receiver answered 500",
    "reasons": ["honeypot"],
    "removed": [],
    "results": {
        "comment": {
            "sentiment": {"model": "sentiment@1", "revision": 1, "label": "negative", "confidence": 0.93},
        }
    },
    "review": "approved",
    "role": "editor",
    "scopes": ["forms:read"],
    "slug": "party",
    "status": "complete",
    "tenant_id": "acme",
    "title": "Party",
}
_BY_SUBJECT: Final[dict[str, dict[str, Any]]] = {
    "api_key": {"name": "ci"},
    "file": {
        "field": "cv",
        "name": "cv.pdf",
        "size": 18_342,
        "media_type": "application/pdf",
        "reason": "file.infected",
    },
    "form": {"source": "trash"},
    "job": {"reason": "the file is gone"},
    "sso_connection": {"name": "Acme login"},
    "user": {"kind": "totp", "status": "active", "subject": "248289761001"},
}
"""What a member holds where the events are about this."""

_BY_TYPE: Final[dict[Any, Any]] = {str: "text", int: 3, float: 1.5, bool: True, list: [], dict: {}}


def example_of(kind: type[EventData]) -> dict[str, Any]:
    """Data that fits the type's class, the same at every call."""
    hints = get_type_hints(kind)
    return {field.name: _value(kind, field, hints[field.name]) for field in fields(kind)}  # type: ignore[arg-type]


def _value(kind: type[EventData], field: Field[Any], hint: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.name in _PREFIXES:
        return f"{_PREFIXES[field.name]}_{_ID}"
    own = _BY_SUBJECT.get(kind.type.partition(".")[0], {})
    if field.name in own:
        return own[field.name]
    if field.name in _BY_NAME:
        return _BY_NAME[field.name]
    if get_origin(hint) is Union or NoneType in get_args(hint):
        return None
    return _BY_TYPE[get_origin(hint) or hint]
