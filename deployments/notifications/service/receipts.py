"""What became of a text message after the provider took it: receipts, which only the provider can write."""

import base64
import hashlib
import hmac
from typing import Final

from db.repositories.jobs import JobRepository
from db.session import UnitOfWork
from deployments.kit.errors import Unavailable
from deployments.notifications.contracts import SEND_TEXT, TextReceipt
from deployments.notifications.errors import TextMessageNotFound

_STATES: Final = ("accepted", "scheduled", "queued", "sending", "sent", "undelivered", "failed", "delivered", "read")
_FINAL: Final = frozenset(("undelivered", "failed"))
_AGAIN_S: Final = 5.0


def address_of(public_url: str, tenant_id: str, message_id: str) -> str:
    """Where the provider tells of a message: with what it says it signs the address too."""
    return f"{public_url}/api/v1/text-messages/{tenant_id}/{message_id}/status"


def signature_of(token: str, address: str, parameters: list[tuple[str, str]]) -> str:
    """Twilio's `X-Twilio-Signature`: HMAC-SHA1 of the address and every parameter by name, in base64."""
    said = address + "".join(name + value for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode("ascii")


async def take(unit: UnitOfWork, token: str, address: str, message_id: str, receipt: TextReceipt) -> None:
    """Note in the result of its job what became of a message; what comes late or again changes nothing.

    Raises TextMessageNotFound, for a wrong signature too, and Unavailable while the message is being sent.
    """
    expected = signature_of(token, address, receipt.parameters)
    if not token or not hmac.compare_digest(expected.encode(), receipt.signature.encode()):
        raise TextMessageNotFound
    said = dict(receipt.parameters)
    job = await JobRepository(unit.session, unit.tenant).find(message_id, for_update=True)
    if job is None or job.kind != SEND_TEXT:
        raise TextMessageNotFound
    if job.state in ("queued", "running"):
        raise Unavailable("The message is being sent.", retry_after=_AGAIN_S)
    status, known = said.get("MessageStatus", ""), dict(job.result or {})
    if status not in _STATES or known.get("status") in _FINAL or _rank(status) <= _rank(known.get("status", "")):
        return
    job.result = known | {"status": status} | ({"error_code": code} if (code := _code(said)) is not None else {})


def _rank(status: str) -> int:
    return _STATES.index(status) if status in _STATES else -1


def _code(said: dict[str, str]) -> int | None:
    code = said.get("ErrorCode", "")
    return int(code) if code.isascii() and code.isdigit() and len(code) < 10 else None
