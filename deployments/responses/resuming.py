"""Going on with a partial response: reading what was saved, adding to it, completing it once."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from db.models.response_life import ResumeToken
from db.models.responses import Response
from db.repositories.idempotency_keys import IdempotencyKeyRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.response_versions import ResponseVersionRepository
from db.repositories.responses import COMPLETE, ResponseRepository
from db.repositories.resume_tokens import ResumeTokenRepository
from db.repositories.submissions import Completion, Overtaken, Submission
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import TenantSuspended
from deployments.kit.principal import Principal
from deployments.responses.attaching import attach
from deployments.responses.draft import Draft, clocked, meta_fault, read_saving, timing_faults
from deployments.responses.errors import (
    AlreadyCompleted,
    FormNotFound,
    IdempotencyMismatch,
    InvalidAnswers,
    PartialNotFound,
    SubmissionConflict,
)
from deployments.responses.keys import KeyedCall, Keys, fingerprint
from deployments.responses.life_contracts import PartialResponse
from deployments.responses.partials import token_hash
from deployments.responses.published import PublishedForm, PublishedForms
from deployments.responses.screening import Screening, Shown
from deployments.responses.settings import ResponsesSettings
from deployments.responses.spam import suspicions
from deployments.responses.submitting import Submitting, key_row, require_visitable
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import make_event, row_of

_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a token's holder, who acts as the one who began the response."""

    principal: Principal
    response_id: str
    form: PublishedForm
    draft: Draft
    keyed: KeyedCall


@dataclass(frozen=True, slots=True)
class _Saved:
    """A partial response with what is added to it, checked."""

    answers: dict[str, Any]
    meta: dict[str, Any]
    timings: dict[str, int] | None


class Resuming:
    """What the holder of a resume token may do."""

    def __init__(
        self,
        database: Database,
        forms: PublishedForms,
        submitting: Submitting,
        settings: ResponsesSettings,
        keys: Keys,
        screening: Screening,
    ) -> None:
        self._database = database
        self._screening = screening
        self._forms = forms
        self._submitting = submitting
        self._life = settings.partial_life
        self._keys = keys

    async def resume(self, principal: Principal, token: str) -> PartialResponse:
        """What was saved, with the definition that it answers. Raises PartialNotFound, AlreadyCompleted,
        TenantSuspended."""
        async with self._database.read(principal.tenant_id) as unit:
            row, held = await _found(unit, await _response_of(unit, token))
            version = await PublishedFormRepository(unit.session, unit.tenant).version(row.form_id, row.version)
        if (await self._form(principal, row)).suspended:
            raise TenantSuspended
        if row.status == COMPLETE:
            raise AlreadyCompleted
        return _shown(row, held.expires_at, definition=version.definition if version is not None else None)

    async def save(
        self, principal: Principal, token: str, body: bytes, key: str | None, *, may_ask: bool = False
    ) -> PartialResponse:
        """Add to what was saved, or complete it. Raises PartialNotFound, AlreadyCompleted, InvalidAnswers, FormFull,
        and the failures of the form's window and of the key; CaptchaPending as `Submitting.submit` does."""
        async with self._database.read(principal.tenant_id) as unit:
            response_id = await _response_of(unit, token)
            draft = read_saving(body)
            mark = fingerprint(draft.answers, draft.meta, draft.status, draft.timings)
            keyed = KeyedCall(principal.tenant_id, f"resume:{response_id}", key, mark)
            row, held = await _found(unit, response_id)
            earlier = await _earlier(unit, row, held, keyed)
        form = await self._form(principal, row)
        if earlier is not None:
            return earlier
        if row.status == COMPLETE:
            raise AlreadyCompleted
        require_visitable(principal, form)
        call = _Call(replace(principal, subject=row.submitted_by), response_id, form, draft, keyed)
        async with self._keys.running(keyed):
            return await (self._complete(call, may_ask) if draft.status == COMPLETE else self._add(call))

    async def _form(self, principal: Principal, row: Response) -> PublishedForm:
        try:
            return await self._forms.get(principal.tenant_id, form_id=row.form_id)
        except FormNotFound as error:
            raise PartialNotFound from error

    async def _add(self, call: _Call) -> PartialResponse:
        async with self._database.write(call.principal.tenant_id) as unit:
            row, held = await _found(unit, call.response_id, for_update=True)
            if await call.keyed.earlier(unit) is not None:
                return _shown(row, held.expires_at, replayed=True)
            if row.status == COMPLETE:
                raise AlreadyCompleted
            saved = await self._merged(unit, call, row)
            await attach(unit, row.form_id, row.id, call.form.claims(saved.answers))
            row.answers, row.meta, row.timings = saved.answers, saved.meta, saved.timings
            row.updated_at = utc_now()
            held.expires_at = row.updated_at + self._life
            row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id)
            await call.keyed.keep(unit, {})
            return _shown(row, held.expires_at)

    async def _complete(self, call: _Call, may_ask: bool) -> PartialResponse:
        """The completed response. Read first and written with the others that arrive, so what changes it in between
        has it read again."""
        screened: tuple[str, ...] | None = None
        for _ in range(_ATTEMPTS):
            async with self._database.read(call.principal.tenant_id) as unit:
                row, held = await _found(unit, call.response_id)
                earlier = await _earlier(unit, row, held, call.keyed)
                if earlier is None and row.status != COMPLETE:
                    saved = await self._merged(unit, call, row)
            if earlier is not None:
                return earlier
            if row.status == COMPLETE:
                raise AlreadyCompleted
            submission = _completion(call, row, saved)
            now, trapped = submission.response["submitted_at"], call.draft.trapped
            if screened is None:
                # The repetition of the call that completes the response is this one, with a key or without.
                named = fingerprint(call.keyed.scope, call.keyed.fingerprint)
                shown = Shown(call.draft.captcha_token, named, may_ask)
                screened = await self._screening.signs(call.principal, call.form, shown)
            signs = (*suspicions(call.form.spam, saved.answers, row.started_at, now, trapped=trapped), *screened)
            try:
                receipt = await self._submitting.store(submission, call.form, call.principal, signs)
            except Overtaken:
                continue
            return PartialResponse(
                id=row.id,
                form_id=row.form_id,
                status=COMPLETE,
                version=row.version,
                answers=saved.answers,
                meta=saved.meta,
                timings=saved.timings,
                started_at=row.started_at,
                submitted_at=receipt.submitted_at,
                expires_at=held.expires_at,
                replayed=receipt.replayed,
            )
        raise SubmissionConflict

    async def _merged(self, unit: UnitOfWork, call: _Call, row: Response) -> _Saved:
        draft = call.draft
        rules = await self._forms.rules(unit, row.form_id, row.version)
        if rules is None:
            raise PartialNotFound
        # null and absent are the same to the rules, so a null removes.
        partial = draft.status != COMPLETE
        answers, faults = rules.check({**row.answers, **draft.answers}, partial=partial)
        timings = row.timings if draft.timings is None else {**(row.timings or {}), **draft.timings}
        meta = {name: value for name, value in {**row.meta, **draft.meta}.items() if value is not None}
        faults = (*faults, *timing_faults(rules, draft.timings or {}))
        if (fault := meta_fault(meta)) is not None:
            faults = (*faults, fault)
        if faults:
            raise InvalidAnswers(faults=faults)
        return _Saved(answers, meta, timings)


async def _response_of(unit: UnitOfWork, token: str) -> str:
    response_id = await ResumeTokenRepository(unit.session, unit.tenant).find(token_hash(token), utc_now())
    if response_id is None:
        raise PartialNotFound
    return response_id


async def _found(unit: UnitOfWork, response_id: str, *, for_update: bool = False) -> tuple[Response, ResumeToken]:
    row = await ResponseRepository(unit.session, unit.tenant).find(response_id, for_update=for_update)
    held = await ResumeTokenRepository(unit.session, unit.tenant).get(response_id)
    if row is None or held is None:
        raise PartialNotFound
    return row, held


async def _earlier(unit: UnitOfWork, row: Response, held: ResumeToken, keyed: KeyedCall) -> PartialResponse | None:
    """The answer to a call that was made before: under the same key, or when it completed the response."""
    if keyed.key is not None:
        known = await IdempotencyKeyRepository(unit.session, unit.tenant).find(keyed.scope, keyed.key)
        if known is not None and known.fingerprint != keyed.fingerprint:
            raise IdempotencyMismatch
        if known is not None and (row.status != COMPLETE or held.fingerprint == keyed.fingerprint):
            return await _as_submitted(unit, row, held)
    if row.status == COMPLETE and held.fingerprint == keyed.fingerprint:
        return await _as_submitted(unit, row, held)
    return None


async def _as_submitted(unit: UnitOfWork, row: Response, held: ResumeToken) -> PartialResponse:
    shown = _shown(row, held.expires_at, replayed=True)
    if row.revision == 1:
        return shown
    # What others made of the response afterwards is not the visitor's to see.
    first = await ResponseVersionRepository(unit.session, unit.tenant).find(row.id, 1)
    return shown if first is None else shown.model_copy(update={"answers": first.answers})


def _completion(call: _Call, row: Response, saved: _Saved) -> Submission:
    now = utc_now()
    tenant_id = call.principal.tenant_id
    fact = ResponseSubmitted(
        response_id=row.id,
        form_id=row.form_id,
        form_version=row.version,
        status=COMPLETE,
        answers=saved.answers,
    )
    event = make_event(fact, tenant_id=tenant_id, actor=call.principal.subject, origin=call.principal.origin)
    response = {
        "tenant_id": tenant_id,
        "id": row.id,
        "version": row.version,
        "status": COMPLETE,
        "answers": saved.answers,
        "meta": saved.meta,
        "submitted_at": now,
        "updated_at": now,
        **clocked(row.started_at, saved.timings, now),
    }
    keyed = call.keyed
    key = None if keyed.key is None else key_row(response, keyed.scope, keyed.key, keyed.fingerprint)
    return Submission(
        tenant_id,
        row.form_id,
        response,
        row_of(event),
        limit=call.form.limit,
        files=call.form.claims(saved.answers),
        key=key,
        completes=Completion(row.change, keyed.fingerprint),
    )


def _shown(
    row: Response, expires_at: datetime, *, definition: dict[str, Any] | None = None, replayed: bool = False
) -> PartialResponse:
    return PartialResponse(
        id=row.id,
        form_id=row.form_id,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        version=row.version,
        answers=row.answers,
        meta=row.meta,
        timings=row.timings,
        started_at=row.started_at,
        submitted_at=row.submitted_at if row.status == COMPLETE else None,
        expires_at=expires_at,
        definition=definition,
        replayed=replayed,
    )
