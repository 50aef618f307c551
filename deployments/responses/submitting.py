"""From the bytes of a request to a stored response: parse, check, and store in a group."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy.exc import IntegrityError

from db.group_commit import GroupCommit
from db.repositories.admission import ClaimTaken, QuotaFull, RegimeOutdated
from db.repositories.files import FilesRefused
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
from deployments.kit.errors import DomainError
from deployments.kit.features import require_feature
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices
from deployments.responses.admission import CONTENT
from deployments.responses.attaching import file_faults
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.draft import Draft, clocked, read_draft, timing_faults
from deployments.responses.errors import FormFull, IdempotencyMismatch, InvalidAnswers, SubmissionConflict
from deployments.responses.keys import body_fingerprint, fingerprint, submit_scope
from deployments.responses.partials import Partials
from deployments.responses.published import PublishedForm, PublishedForms
from deployments.responses.screening import Screening, Shown
from deployments.responses.spam import DUPLICATE, quarantined, suspicions
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import EVENTS_TOPIC, make_event, row_of

_ATTEMPTS = 3
_QUOTA = "max_responses_per_form"
_EVENTS = frozenset({EVENTS_TOPIC})


class Submitting:
    """Takes submissions of all tenants and commits them in groups."""

    def __init__(self, database: Database, forms: PublishedForms, partials: Partials, screening: Screening) -> None:
        self._database = database
        self._screening = screening
        self._forms = forms
        self._partials = partials
        self._quotas = QuotaNotices(database)
        # What two messages of an edge bring: with all in one, edge and context would wait for each other in turns.
        self._group: GroupCommit[Submission, Outcome] = GroupCommit(
            self._store, tenant_of=attrgetter("tenant_id"), max_alone=64
        )

    async def submit(
        self, principal: Principal, command: SubmitResponse, *, may_ask: bool = False
    ) -> SubmittedResponse:
        """The stored response, once it is durable. Raises every fault of the answers at once, and CaptchaPending when
        the provider of captchas has to be asked, unless it `may_ask`."""
        form = await self._forms.get(principal.tenant_id, slug=command.slug, form_id=command.form_id)
        try:
            require_visitable(principal, form)
            form.admission.require_known(principal)
            draft = read_draft(command.body)
            if draft.status == "partial":
                return await self._partials.start(principal, command, form, draft)
            submission = _submission(principal, command, form, draft)
            now, answers = submission.response["submitted_at"], submission.response["answers"]
            signs = suspicions(form.spam, answers, draft.started_at, now, trapped=draft.trapped)
        except DomainError:
            # A repeated call gets its first answer, even when the form has closed or changed since.
            if (earlier := await self._earlier(principal, command, form)) is not None:
                return earlier
            raise
        if form.spam is not None and form.spam.screens and principal.kind == "anonymous":
            # Neither does a repeated call count once more, nor is its captcha looked at again.
            if (earlier := await self._earlier(principal, command, form)) is not None:
                return earlier
            shown = Shown(draft.captcha_token, _call_of(principal, command, form), may_ask)
            signs = (*signs, *await self._screening.signs(principal, form, shown))
        return await self.store(submission, form, principal, signs)

    async def store(
        self, submission: Submission, form: PublishedForm, principal: Principal, signs: tuple[str, ...]
    ) -> SubmittedResponse:
        """The submission, once it is durable; apart from the others when it shows `signs` of spam.

        Raises FormFull, IdempotencyMismatch, what the form's rules refuse it with, and Overtaken for a completion.
        """
        for _ in range(_ATTEMPTS):
            if signs:
                admitted = quarantined(submission, principal, signs)
            else:
                admitted = form.admission.applied(submission, principal.subject)
            try:
                stored = await self._stored(admitted)
            except RegimeOutdated:
                form = await self._forms.renewed(submission.tenant_id, submission.form_id)
                form.require_open(utc_now())
                continue
            except (ClaimTaken, QuotaFull) as error:
                if isinstance(error, ClaimTaken) and error.kinds == (CONTENT,):
                    signs = (DUPLICATE,)
                    continue
                raise form.admission.refusal(error) from error
            except FormFull:
                if form.limit == form.tenant_settings.get(_QUOTA):
                    await self._quotas.tell(submission.tenant_id, _QUOTA)
                raise
            return _receipt(admitted, stored)
        raise SubmissionConflict

    async def drain(self) -> None:
        """Wait until everything that was taken is stored."""
        await self._group.drain()

    async def _store(self, submissions: Sequence[Submission]) -> Sequence[Outcome | Exception]:
        outcomes = await self._database.transact(partial(store_submissions, submissions=submissions))
        self._database.pin(submission.tenant_id for submission in submissions)
        self._database.announce(_EVENTS)
        return outcomes

    async def _stored(self, submission: Submission) -> Outcome:
        try:
            return await self._group.add(submission)
        except LimitReached as error:
            raise FormFull from error
        except FilesRefused as error:
            raise InvalidAnswers(faults=file_faults(error)) from error
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
            scope = submit_scope(principal, form.form_id)
            found = await connection.run_sync(find_key, principal.tenant_id, scope, command.idempotency_key)
        if found is None or found.fingerprint != body_fingerprint(command.body):
            return None
        return _replay(found)


def _call_of(principal: Principal, command: SubmitResponse, form: PublishedForm) -> str:
    """What names a call with a key, "" for others: each of those is one of its own."""
    if command.idempotency_key is None:
        return ""
    return fingerprint(submit_scope(principal, form.form_id), command.idempotency_key, body_fingerprint(command.body))


def require_visitable(principal: Principal, form: PublishedForm) -> None:
    """Raise FormClosed, TenantSuspended or FeatureDisabled unless the form takes answers of this caller now."""
    form.require_open(utc_now())
    if principal.kind == "anonymous":
        require_feature(form.tenant_settings, "public_forms")


def _submission(principal: Principal, command: SubmitResponse, form: PublishedForm, draft: Draft) -> Submission:
    now = utc_now()
    checked, faults = form.rules.check(draft.answers)
    if draft.timings is not None:
        faults = (*faults, *timing_faults(form.rules, draft.timings))
    if faults:
        raise InvalidAnswers(faults=faults)
    submission = new_submission(principal, form, checked, draft.meta, now)
    if draft.started_at is not None or draft.timings is not None:
        submission.response.update(clocked(draft.started_at, draft.timings, now))
    if command.idempotency_key is None:
        return submission
    key = key_row(
        submission.response,
        submit_scope(principal, form.form_id),
        command.idempotency_key,
        body_fingerprint(command.body),
    )
    return replace(submission, key=key)


def key_row(response: Mapping[str, Any], scope: str, key: str, fingerprint: str) -> dict[str, Any]:
    """The row that keeps a submission's receipt for those who send it again."""
    submitted_at: datetime = response["submitted_at"]
    return {
        "tenant_id": response["tenant_id"],
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "result": {
            "id": response["id"],
            "status": response["status"],
            "version": response["version"],
            "submitted_at": submitted_at.isoformat(),
        },
        "created_at": submitted_at,
    }


def new_submission(
    principal: Principal,
    form: PublishedForm,
    answers: dict[str, Any],
    meta: dict[str, Any],
    submitted_at: datetime,
    *,
    import_key: str | None = None,
    imported: bool = False,
) -> Submission:
    """The rows of a response with checked answers, and of the event that tells of it; with a key it is `imported`."""
    response_id = new_id("rsp")
    fact = ResponseSubmitted(
        response_id=response_id,
        form_id=form.form_id,
        form_version=form.version,
        status="complete",
        answers=answers,
        imported=imported or import_key is not None,
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
    row = None
    if import_key is not None:
        row = {
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
        imported=row,
    )


def _receipt(submission: Submission, outcome: Outcome) -> SubmittedResponse:
    if isinstance(outcome, Replayed):
        if submission.key is None or submission.key["fingerprint"] != outcome.fingerprint:
            raise IdempotencyMismatch
        if outcome.result != submission.key["result"]:
            return _replay(outcome)
    row = submission.response
    # Who sends spam is not told what gave it away.
    return SubmittedResponse(id=row["id"], status="complete", version=row["version"], submitted_at=row["submitted_at"])


def _replay(found: Replayed) -> SubmittedResponse:
    result = found.result
    return SubmittedResponse(
        id=result["id"],
        status=result["status"],
        version=result["version"],
        submitted_at=datetime.fromisoformat(result["submitted_at"]),
        replayed=True,
    )
