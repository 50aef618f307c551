"""Messages that came back: delivery status notifications (RFC 3464) and complaints (RFC 5965), read without trust."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any, Final, Literal

MAX_BYTES: Final = 1 << 20

_MAIL_ID: Final = re.compile(r"[a-z]{2,10}_[0-9a-f]{32}")
_VERP: Final = re.compile(r"\+([a-z]{2,10}_[0-9a-f]{32})@")
_MESSAGE_ID: Final = re.compile(r"<([a-z]{2,10}_[0-9a-f]{32})@")
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESSED: Final = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
_PARTS_AT_MOST: Final = 100

# Permanent, but nothing that another address would help against: full, too large, refused for what it says or by
# policy (RFC 3463 §3).
_NOT_THE_ADDRESS: Final = re.compile(r"5\.(2\.[23]|3\.\d+|6\.\d+|7\.\d+)")


@dataclass(frozen=True, slots=True)
class Returned:
    """What a message says: `failed` for good, `delayed`, or a `complaint`.

    `mail_ids` are the mails it may be about, the likeliest first.
    """

    what: Literal["failed", "delayed", "complaint"]
    mail_ids: tuple[str, ...]
    status: str | None = None
    diagnostic: str = ""

    @property
    def is_hard(self) -> bool:
        """Whether the address itself is the reason, so that no further mail should go there."""
        return self.what == "failed" and not _NOT_THE_ADDRESS.fullmatch(self.status or "5.0.0")


def read_returned(content: bytes) -> Returned | None:
    """What a message tells; None for one that is no report, as replies and notes of absence."""
    message = message_from_bytes(content[:MAX_BYTES])
    if message.get_content_type() != "multipart/report":
        return None
    ids = tuple(dict.fromkeys(_mail_ids(message)))
    kind = str(message.get_param("report-type", "")).lower()
    for part in _parts(message):
        if kind == "feedback-report" and part.get_content_type() == "message/feedback-report":
            # Mail readers also report that something is not spam.
            said = _fields(part)[0].get("feedback-type", "abuse").lower()
            return Returned("complaint", ids) if said in ("abuse", "fraud", "opt-out") else None
        if kind == "delivery-status" and part.get_content_type() == "message/delivery-status":
            return _delivery(part, ids)
    return None


def _delivery(part: "Message[str, str]", ids: tuple[str, ...]) -> Returned | None:
    found: Returned | None = None
    for fields in _fields(part):
        action = fields.get("action", "").strip().lower()
        if action not in ("failed", "delayed"):
            continue
        given = _STATUS.search(fields.get("status", "")) or _STATUS.search(fields.get("diagnostic-code", ""))
        status = given[0] if given else None
        what: Literal["failed", "delayed"] = "delayed"
        if action == "failed" and not (status or "").startswith("4"):
            what = "failed"
        diagnostic = " ".join(fields.get("diagnostic-code", "").split())[:500]
        found = Returned(what, ids, status, diagnostic)
        if what == "failed":
            break
    return found


def _fields(part: "Message[str, str]") -> list[dict[str, str]]:
    """The groups of fields of a machine-readable part, names in lower case."""
    payload: Any = part.get_payload()
    groups = payload if isinstance(payload, list) else [payload]
    found = []
    for group in groups[:_PARTS_AT_MOST]:
        message = group if isinstance(group, Message) else message_from_bytes(str(group).encode(errors="replace"))
        found.append({name.lower(): str(value) for name, value in message.items()})
    return found or [{}]


def _parts(message: "Message[str, str]") -> Iterator["Message[str, str]"]:
    payload: Any = message.get_payload()
    for part in (payload if isinstance(payload, list) else [])[:_PARTS_AT_MOST]:
        if isinstance(part, Message):
            yield part


def _mail_ids(message: "Message[str, str]") -> Iterator[str]:
    """The mails it may be about: by the address it came to, by what was sent back of the mail."""
    for name in _ADDRESSED:
        for value in message.get_all(name, []):
            yield from _VERP.findall(str(value))
    for part in _parts(message):
        kind = part.get_content_type()
        payload: Any = part.get_payload()
        if kind in ("message/rfc822", "message/global") and isinstance(payload, list):
            originals = [inner for inner in payload if isinstance(inner, Message)]
        elif kind in ("text/rfc822-headers", "message/global-headers"):
            raw: Any = part.get_payload(decode=True)
            originals = [message_from_bytes(raw if isinstance(raw, bytes) else b"")]
        else:
            continue
        for original in originals:
            marked = str(original.get("X-Formstream-Mail", "")).strip()
            if _MAIL_ID.fullmatch(marked):
                yield marked
            yield from _MESSAGE_ID.findall(str(original.get("Message-ID", "")))
    yield from _MESSAGE_ID.findall(str(message.get("In-Reply-To", "")))
