"""One attempt to deliver one event to one endpoint, and what it means."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from deployments.kit.egress import Egress, EgressFailed, EgressRefused, EgressResponse
from deployments.webhooks import signing

_EXCERPT_CHARACTERS = 2048
_HIDDEN = "(secret)"
_RETRY_AFTER_AT_MOST_S = 24 * 3600.0


class Outcome(StrEnum):
    """What to do after an attempt."""

    DELIVERED = "delivered"
    """Heard (2xx): done."""
    RETRY = "retry"
    """Not heard, or answered with any other status, redirects included: try again by the schedule."""
    GONE = "gone"
    """The receiver says 410: disable the endpoint."""
    REFUSED = "refused"
    """It must not be sent there: no later attempt will differ."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The record of one attempt. `status` is None when no complete HTTP answer came; then `error` says why.

    `response_excerpt` has at most 2,048 characters and no NUL, which PostgreSQL cannot store. `retry_after_s`
    is the receiver's own wish, at most a day. `request_headers` are those that were sent, without secret values.
    """

    outcome: Outcome
    duration_ms: float
    status: int | None = None
    error: str | None = None
    response_excerpt: str = ""
    retry_after_s: float | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it is no success, in words."""
        return self.error or f"the receiver answered {self.status}"


async def send(
    egress: Egress,
    url: str,
    secrets: Sequence[str],
    event_id: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    hidden: Collection[str] = (),
) -> Attempt:
    """Sign `body` (JSON) with every secret and POST it once.

    `headers` are extra ones (CloudEvents attributes, the customer's own); they cannot replace the signature or
    the content type. Those named in `hidden` (lower case) are on no record. Never raises for what the network or the
    receiver does.
    """
    extra = {name.lower(): value for name, value in headers.items()}
    fixed = {"content-type": "application/json", **signing.headers(event_id, body, secrets, now)}
    wire = extra | fixed
    shown = {name: _HIDDEN if name in hidden else value for name, value in wire.items()}
    started = time.monotonic()
    try:
        response = await egress.request("POST", url, wire, body)
    except (EgressRefused, EgressFailed) as error:
        outcome = Outcome.REFUSED if isinstance(error, EgressRefused) else Outcome.RETRY
        duration_ms = (time.monotonic() - started) * 1000
        return Attempt(outcome, duration_ms, error=error.detail, request_headers=shown)
    return Attempt(
        _outcome(response.status),
        response.duration_ms,
        status=response.status,
        response_excerpt=_excerpt(response.body),
        retry_after_s=_retry_after(response, now),
        request_headers=shown,
    )


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.RETRY


def _excerpt(body: bytes) -> str:
    return body.decode("utf-8", errors="replace").replace("\0", "")[:_EXCERPT_CHARACTERS]


def _retry_after(response: EgressResponse, now: datetime) -> float | None:
    """Retry-After of RFC 9110 §10.2.3, seconds or a date; None when absent, unreadable or beside the point."""
    value = response.headers.get("retry-after", "").strip()
    if not value or _outcome(response.status) is not Outcome.RETRY:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        # An HTTP date is GMT even where an old form of it names no zone.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), _RETRY_AFTER_AT_MOST_S)
