"""Signs of spam. A suspected response is stored apart and can be released; nobody is told of it at the door (R6)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from db.repositories.responses import QUARANTINED
from db.repositories.submissions import Submission
from deployments.kit.principal import Principal
from deployments.kit.spam_policy import SpamPolicy
from eventing.events.responses import ResponseQuarantined
from eventing.outbox import make_event, row_of

DUPLICATE: Final = "duplicate"
_LINK: Final = re.compile(r"\bhttps?://|\bwww\.", re.IGNORECASE)


def suspicions(
    policy: SpamPolicy | None, answers: Mapping[str, Any], started_at: datetime | None, now: datetime, *, trapped: bool
) -> tuple[str, ...]:
    """The names of the signs that a submission shows; none when it looks honest. `trapped`: it filled the honeypot."""
    found = ["honeypot"] if trapped else []
    if policy is not None and policy.min_seconds is not None:
        seconds = None if started_at is None else (now - started_at).total_seconds()
        if seconds is None or seconds < policy.min_seconds:
            found.append("too_fast")
    if policy is not None and policy.max_links is not None and links(answers) > policy.max_links:
        found.append("links")
    return tuple(found)


def links(answers: Mapping[str, Any]) -> int:
    """How many web addresses the texts of the answers hold."""
    return sum(len(_LINK.findall(text)) for text in _texts(answers))


def quarantined(submission: Submission, principal: Principal, reasons: tuple[str, ...]) -> Submission:
    """The same submission as a suspect: it takes no place, and what follows a submission waits for its release."""
    response = {**submission.response, "status": QUARANTINED, "suspicion": " ".join(reasons)}
    fact = ResponseQuarantined(response_id=response["id"], form_id=submission.form_id, reasons=list(reasons))
    event = make_event(fact, tenant_id=submission.tenant_id, actor=principal.subject, origin=principal.origin)
    return replace(submission, response=response, event=row_of(event), counts=False)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
