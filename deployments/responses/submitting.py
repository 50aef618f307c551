"""From the bytes of a request to a stored response: parse, check, and store in a group."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError

from db.group_commit import GroupCommit
from db.repositories.files import TAKEN, TWICE, UNKNOWN, FilesRefused
from db.repositories.submissions import (
    LimitReached,
    Outcome,
    Replayed,
    Submission,
    find_key,
    store_submissions,
)
from db.session import Database
from db.types import new_id, utc_now
from deployments.kit.errors import BadRequest, DomainError, Fault
from deployments.kit.features import require_feature
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.errors import FormFull, IdempotencyMismatch, InvalidAnswers, SubmissionConflict
from deployments.responses.published import PublishedForm, PublishedForms
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import EVENTS_TOPIC, make_event, row_of

_MAX_META_BYTES = 8192
_ABOUT_FILES = {
    UNKNOWN: "There is no such file for this field; send it first.",
    TAKEN: "Another response has this file.",
    TWICE: "This file is named twice.",
}
_QUOTA = "max_responses_per_form"
_EVENTS = frozenset({EVENTS_TOPIC})


class Submitting:
    """Takes submissions of all tenants and commits them in groups."""

    def __init__(self, database: Database, forms: PublishedForms) -> None:
        self._database = database
        self._forms = forms
        self._quotas = QuotaNotices(database)
        self._group: GroupCommit[Submission, Outcome] = GroupCommit(self._store)

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        """The stored response, once it is durable. Raises every fault of the answers at once."""
        form = await self._forms.get(principal.tenant_id, slug=command.slug, form_id=command.form_id)
        try:
            submission = _submission(principal, command, form)
        except DomainError:
            # A repeated call gets its first answer, even when the form has closed or changed since.
            if (earlier := await self._earlier(principal, command, form)) is not None:
                return earlier
            raise
        try:
            stored = await self._stored(submission)
        except FormFull:
            if form.limit == form.tenant_settings.get(_QUOTA):
                await self._quotas.tell(principal.tenant_id, _QUOTA)
            raise
        return _receipt(submission, stored)

    async def drain(self) -> None:
        """Wait until everything that was taken is stored."""
        await self._group.drain()

    async def _store(self, submissions: Sequence[Submission]) -> Sequence[Outcome | Exception]:
        outcomes = await self._database.transact(partial(store_submissions, submissions=submissions))
        self._database.announce(_EVENTS)
        return outcomes

    async def _stored(self, submission: Submission) -> Outcome:
        try:
            return await self._group.add(submission)
        except LimitReached as error:
            raise FormFull from error
        except FilesRefused as error:
            raise InvalidAnswers(faults=_file_faults(error)) from error
        except IntegrityError:
            # Another replica used the same key at the same moment; its row is visible now.
            try:
                return await self._group.add(submission)
            except IntegrityError as error:
                raise SubmissionConflict from error

    async def _earlier(
        self, principal: Principal, command: SubmitResponse, form: PublishedForm
    ) -> SubmittedResponse | None:
        if command.idempotency_key is None:
            return None
        async with self._database.read(principal.tenant_id) as unit:
            connection = await unit.session.connection()
            scope = _key_scope(principal, form)
            found = await connection.run_sync(find_key, principal.tenant_id, scope, command.idempotency_key)
        if found is None or found.fingerprint != _fingerprint(command.body):
            return None
        return _replay(found)


def _submission(principal: Principal, command: SubmitResponse, form: PublishedForm) -> Submission:
    now = utc_now()
    form.require_open(now)
    if principal.kind == "anonymous":
        require_feature(form.tenant_settings, "public_forms")
    answers, meta = _parse(command.body)
    checked, faults = form.rules.check(answers)
    if faults:
        raise InvalidAnswers(faults=faults)
    submission = new_submission(principal, form, checked, meta, now)
    if command.idempotency_key is None:
        return submission
    response = submission.response
    key = {
        "tenant_id": principal.tenant_id,
        "scope": _key_scope(principal, form),
        "key": command.idempotency_key,
        "fingerprint": _fingerprint(command.body),
        "result": {
            "id": response["id"],
            "status": response["status"],
            "version": response["version"],
            "submitted_at": now.isoformat(),
        },
        "created_at": now,
    }
    return replace(submission, key=key)


def new_submission(
    principal: Principal,
    form: PublishedForm,
    answers: dict[str, Any],
    meta: dict[str, Any],
    submitted_at: datetime,
    *,
    import_key: str | None = None,
) -> Submission:
    """The rows of a response with checked answers, and of the event that tells of it."""
    response_id = new_id("rsp")
    fact = ResponseSubmitted(
        response_id=response_id,
        form_id=form.form_id,
        form_version=form.version,
        status="complete",
        answers=answers,
        imported=import_key is not None,
    )
    event = make_event(fact, tenant_id=principal.tenant_id, actor=principal.subject, origin=principal.origin)
    response = {
        "tenant_id": principal.tenant_id,
        "id": response_id,
        "form_id": form.form_id,
        "version": form.version,
        "status": "complete",
        "answers": answers,
        "meta": meta,
        "submitted_by": principal.subject,
        "submitted_at": submitted_at,
        "deleted_at": None,
    }
    imported = None
    if import_key is not None:
        imported = {
            "tenant_id": principal.tenant_id,
            "form_id": form.form_id,
            "row_key": import_key,
            "response_id": response_id,
            "imported_at": event.timestamp,
        }
    return Submission(
        principal.tenant_id,
        form.form_id,
        response,
        row_of(event),
        limit=form.limit,
        files=form.claims(answers),
        imported=imported,
    )


def _file_faults(refusal: FilesRefused) -> tuple[Fault, ...]:
    return tuple(Fault(claim.pointer, code, _ABOUT_FILES[code]) for claim, code in refusal.refused)


def _parse(body: bytes) -> tuple[Any, dict[str, Any]]:
    if not body:
        raise BadRequest.at("", "body.missing", "the request has no body")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest.at("", "json.syntax", f"the body is not JSON: {error}") from error
    faults: list[Fault] = []
    if not isinstance(document, dict):
        raise InvalidAnswers(faults=(Fault("", "type", "the body must be an object"),))
    if "answers" not in document:
        faults.append(Fault("/answers", "required", "the answers are missing"))
    meta = document.get("meta") or {}
    if not isinstance(meta, dict):
        faults.append(Fault("/meta", "type", "meta must be an object"))
    elif meta and (fault := _meta_fault(meta)):
        faults.append(fault)
    faults.extend(
        Fault("/" + name.replace("~", "~0").replace("/", "~1"), "unknown_property", "there is no such property")
        for name in document
        if name not in {"answers", "meta"}
    )
    if faults:
        raise InvalidAnswers(faults=tuple(faults[:100]))
    return document["answers"], meta


def _meta_fault(meta: dict[str, Any]) -> Fault | None:
    text = orjson.dumps(meta)
    if len(text) > _MAX_META_BYTES:
        return Fault("/meta", "length.max", f"meta may have {_MAX_META_BYTES} bytes")
    # PostgreSQL's jsonb cannot hold the character.
    return Fault("/meta", "text.nul", "meta contains a NUL character") if b"\\u0000" in text else None


def _fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _key_scope(principal: Principal, form: PublishedForm) -> str:
    return f"submit:{form.form_id}:{principal.subject}"


def _receipt(submission: Submission, outcome: Outcome) -> SubmittedResponse:
    if isinstance(outcome, Replayed):
        if submission.key is None or submission.key["fingerprint"] != outcome.fingerprint:
            raise IdempotencyMismatch
        if outcome.result["id"] != submission.response["id"]:
            return _replay(outcome)
    row = submission.response
    return SubmittedResponse(
        id=row["id"], status=row["status"], version=row["version"], submitted_at=row["submitted_at"]
    )


def _replay(found: Replayed) -> SubmittedResponse:
    result = found.result
    return SubmittedResponse(
        id=result["id"],
        status=result["status"],
        version=result["version"],
        submitted_at=datetime.fromisoformat(result["submitted_at"]),
        replayed=True,
    )
