"""Partial responses: saved before they are whole, so that somebody goes on with them later or elsewhere."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from db.models.response_life import ResumeToken
from db.models.responses import Response
from db.repositories.responses import PARTIAL, ResponseRepository
from db.repositories.resume_tokens import ResumeTokenRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.principal import Principal
from deployments.responses.attaching import attach
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.draft import Draft, clocked, timing_faults
from deployments.responses.errors import InvalidAnswers
from deployments.responses.keys import KeyedCall, Keys, body_fingerprint, submit_scope
from deployments.responses.life_contracts import RESUME_PREFIX
from deployments.responses.published import PublishedForm
from deployments.responses.settings import ResponsesSettings
from eventing.events.responses import ResponseStarted
from eventing.outbox import record


def new_token(tenant_id: str) -> str:
    """A fresh resume token: the tenant, so that the call is known to be its, and 256 bits of randomness."""
    return f"{RESUME_PREFIX}{tenant_id}.{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Partials:
    """Begins partial responses. They take no place in the form's limit, and no required answer is asked for."""

    def __init__(self, database: Database, settings: ResponsesSettings, keys: Keys) -> None:
        self._database = database
        self._life = settings.partial_life
        self._keys = keys

    async def start(
        self, principal: Principal, command: SubmitResponse, form: PublishedForm, draft: Draft
    ) -> SubmittedResponse:
        """Store what there is. Raises InvalidAnswers with every fault, and the failures of the key."""
        answers, faults = form.rules.check(draft.answers, partial=True)
        faults = (*faults, *timing_faults(form.rules, draft.timings or {}))
        if faults:
            raise InvalidAnswers(faults=faults)
        call = KeyedCall(
            principal.tenant_id,
            submit_scope(principal, form.form_id),
            command.idempotency_key,
            body_fingerprint(command.body),
        )
        async with self._keys.running(call), self._database.write(principal.tenant_id) as unit:
            row = _row(principal, form, draft, answers)
            # Before the key, as a submission does it: two that want both must not wait for each other.
            row.change = await ResponseRepository(unit.session, unit.tenant).next_change(form.form_id)
            earlier = await call.earlier(unit)
            if earlier is not None:
                return await self._again(unit, earlier)
            await attach(unit, form.form_id, row.id, form.claims(answers))
            unit.session.add(row)
            await unit.session.flush()
            token = new_token(unit.tenant)
            expires_at = row.submitted_at + self._life
            ResumeTokenRepository(unit.session, unit.tenant).add(
                ResumeToken(
                    tenant_id=unit.tenant, response_id=row.id, token_hash=token_hash(token), expires_at=expires_at
                )
            )
            fact = ResponseStarted(response_id=row.id, form_id=row.form_id, form_version=row.version)
            record(unit, fact, actor=principal.subject, origin=principal.origin)
            await call.keep(unit, _kept(row))
        return _receipt(_kept(row), token, expires_at)

    async def _again(self, unit: UnitOfWork, earlier: Mapping[str, Any]) -> SubmittedResponse:
        """The first answer; with a token in the place of the first one while nobody has gone on.

        Only its hash was kept. Later a new one would show whoever guesses a key what somebody else saved since.
        """
        row = await ResponseRepository(unit.session, unit.tenant).find(earlier["id"], for_update=True)
        known = await ResumeTokenRepository(unit.session, unit.tenant).get(earlier["id"])
        if row is None or known is None or row.change != earlier["change"]:
            return _receipt(earlier, None, None, replayed=True)
        token = new_token(unit.tenant)
        known.token_hash, known.expires_at = token_hash(token), utc_now() + self._life
        return _receipt(earlier, token, known.expires_at, replayed=True)


def _row(principal: Principal, form: PublishedForm, draft: Draft, answers: dict[str, Any]) -> Response:
    now = utc_now()
    clock = clocked(draft.started_at or now, draft.timings, now)
    return Response(
        tenant_id=principal.tenant_id,
        id=new_id("rsp"),
        form_id=form.form_id,
        version=form.version,
        status=PARTIAL,
        answers=answers,
        meta=draft.meta,
        submitted_by=principal.subject,
        submitted_at=now,
        updated_at=now,
        started_at=clock["started_at"],
        timings=draft.timings,
    )


def _kept(row: Response) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": PARTIAL,
        "version": row.version,
        "submitted_at": row.submitted_at.isoformat(),
        "change": row.change,
    }


def _receipt(
    kept: Mapping[str, Any], token: str | None, expires_at: datetime | None, *, replayed: bool = False
) -> SubmittedResponse:
    return SubmittedResponse(
        id=kept["id"],
        status="partial",
        version=kept["version"],
        submitted_at=datetime.fromisoformat(kept["submitted_at"]),
        replayed=replayed,
        resume_token=token,
        expires_at=expires_at,
    )
