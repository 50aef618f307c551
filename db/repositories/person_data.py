"""A person's data wherever it is: the tables that hold any, how each is cleaned, and why the others stay."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Text, and_, bindparam, cast, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.admission import ResponseClaim
from db.models.answers import AnswerEntry
from db.models.audit import AuditEntry
from db.models.classifiers import ClassifierExample
from db.models.events import DeadLetter, Event, FailedEvent
from db.models.files import File
from db.models.forms import Form, FormVersion
from db.models.identity import User
from db.models.inference import AnswerVector, Verdict
from db.models.invitations import Invitation
from db.models.jobs import Job
from db.models.notifications import Mail
from db.models.people import PersonTrace
from db.models.response_life import ResponseComment, ResponseTag, ResponseVersion, ResumeToken
from db.models.responses import Response
from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

ERASED: Final = {
    "response": "what is left is a row without content, which tells those who follow the changes",
    "response_version": "goes with its response",
    "response_comment": "goes with its response",
    "response_tag": "goes with its response",
    "resume_token": "goes with its response",
    "answer_entry": "the index and the full text go with the response",
    "verdict": "what models said goes with its response",
    "answer_vector": "goes with its response; indexes made of vectors are removed",
    "enrichment_task": "goes with its response",
    "response_claim": "goes with its response, and the quotas that it counted for are counted down",
    "file": "the response's files go, rows and objects; the erasure waits for it",
    "file_part": "goes with its file",
    "classifier_example": "one that was taken from a response goes with it",
    "classifier_version": "versions that learned from the responses are removed, rows and files; the erasure waits",
    "event": "stays with its id, type and time; the person's fields and the origin are emptied",
    "dead_letter": "as the event that it holds; the reason is emptied",
    "failed_event": "the error is emptied; the event is read from its own table",
    "webhook_delivery": "the body says what the event says then, also to receivers that did not get it yet",
    "webhook_attempt": "error and excerpt are emptied",
    "mail": "letters about the responses to who answered, and all letters to the person's address",
    "job": "finished jobs that name the person",
    "tenant_export": "copies that were made before the end of the erasure",
    "tenant_export_part": "goes with its export",
    "response_export": "exports of the forms are removed, rows and files; the erasure waits for it",
    "metric_part": "what a response adds to figures is taken away when its removal is counted, within seconds",
    "report": "reports on the forms are removed, rows and files; the erasure waits for it",
    "lake_table": "the months of the responses are written anew without them; the erasure waits for it",
}
"""How an erasure cleans each table that holds what people answer."""

KEPT: Final = {
    "address_count": "a keyed digest of an address, for a period of hours",
    "alarm": "what the tenant wrote, and addresses of those it wants to be told",
    "anomaly": "counts",
    "answer_index": "numbers of changes",
    "api_key": "of programs",
    "audit_entry": "the chain proves what was done and is never changed; it holds ids, and addresses of visitors whose "
    "responses were suspected",
    "audit_head": "a number and a hash",
    "bulk_run": "counts, and ids of responses",
    "captcha_pass": "a digest of a token, for minutes",
    "captcha_provider": "the tenant's own account",
    "classifier": "what the tenant wrote",
    "challenge": "of a login under way; accounts are not erased",
    "event_counter": "numbers",
    "enrichment_turn": "a number and a time",
    "erasure_receipt": "of the platform's own tenant",
    "form": "what the tenant wrote",
    "form_admission": "numbers of changes",
    "form_counter": "numbers",
    "form_grant": "of an account",
    "form_slug": "what the tenant wrote",
    "answer_summary": "ids and places of answers, and phrases that several people used, for a week; no answer itself",
    "form_template": "what the tenant wrote",
    "snippet": "what the tenant wrote",
    "form_version": "what the tenant wrote",
    "form_view": "numbers",
    "idempotency_key": "ids and digests; without it a repeated call would store the answers again",
    "imported_row": "a digest; without it importing the same file again would bring the person back",
    "invitation": "an account to be; the erasure names it",
    "job_pause": "kinds of jobs",
    "legacy_document": "ids and digests, without which importing the same dump again would bring the person back, and "
    "what the dump said of accounts and forms; what it said of answers goes with the response",
    "legacy_run": "what was ordered, and counts",
    "link_token": "of an account",
    "login_attempts": "of an account, for minutes",
    "mail_branding": "the tenant's own settings",
    "mail_suppression": "what keeps the person from being mailed again; it can be removed by hand",
    "mail_template": "what the tenant wrote",
    "mailing": "what the tenant ordered; its letters go as mail does",
    "metric_count": "numbers, which fall when a response goes",
    "metric_state": "numbers, which fall when a response goes",
    "person_erasure": "a keyed digest of the person; who it was is emptied at the end",
    "person_trace": "ids of responses, which are needed to erase them again after a restore",
    "processed_event": "ids of events",
    "quota_counter": "numbers",
    "quota_notice": "days",
    "recovery_code": "of an account",
    "refresh_token": "of an account",
    "saved_query": "what the tenant wrote",
    "schedule": "what the tenant ordered",
    "second_factor": "of an account",
    "secret_key": "of the platform",
    "signing_key": "of the platform",
    "registered_model": "models that the tenant brought, with nobody's answers",
    "sso_connection": "the tenant's own settings",
    "sso_login": "of a login under way",
    "sso_session": "of an account, while its session lasts",
    "stored_object": "names and sizes of objects; it goes with them",
    "tenant_host": "the tenant's own settings",
    "user_account": "an account; the erasure names it",
    "user_identity": "of an account",
    "view_handover": "numbers and times",
    "webhook_lane": "numbers and times",
    "webhook_endpoint": "the tenant's own settings",
}
"""Why a table stays as it is."""

_OF_RESPONSES: Final = (
    ResponseVersion,
    ResponseComment,
    ResponseTag,
    ResumeToken,
    AnswerEntry,
    Verdict,
    AnswerVector,
    ResponseClaim,
    File,
    ClassifierExample,
)
_FINISHED: Final = ("succeeded", "failed", "cancelled")


class Found(NamedTuple):
    """Answers that may be a person's. `revision` is that of an earlier version, 0 for the response as it is."""

    response_id: str
    revision: int
    answers: dict[str, Any]
    meta: dict[str, Any]


class Told(NamedTuple):
    """An event about a response or a file that was found."""

    form_id: str
    id: str
    envelope: str
    is_published: bool


class Retold(NamedTuple):
    """What an event says now: its stored text, and the body that webhooks send of it."""

    envelope: str
    body: str


class PersonDataRepository:
    """What one tenant holds of people."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    # Looking for the person.

    async def forms(self, after_id: str, among: Collection[str] | None, limit: int) -> Sequence[str]:
        """Forms, those in the trash too, by id, after `after_id`."""
        statement = select(col(Form.id)).where(col(Form.tenant_id) == self._tenant_id, col(Form.id) > after_id)
        if among is not None:
            statement = statement.where(col(Form.id).in_(among))
        return (await self._session.scalars(statement.order_by(col(Form.id)).limit(limit))).all()

    async def definitions(self, form_id: str) -> Sequence[dict[str, Any]]:
        """The published definitions of a form."""
        mine = col(FormVersion.tenant_id) == self._tenant_id, col(FormVersion.form_id) == form_id
        return (await self._session.scalars(select(col(FormVersion.definition)).where(*mine))).all()

    async def answers(self, form_id: str, after_id: str, limit: int) -> Sequence[Found]:
        """Responses of a form, whatever their state, by id."""
        statement = (
            select(col(Response.id), col(Response.answers), col(Response.meta))
            .where(*self._of_form(form_id), col(Response.id) > after_id)
            .order_by(col(Response.id))
            .limit(limit)
        )
        return [Found(id_, 0, answers, meta) for id_, answers, meta in await self._session.execute(statement)]

    async def earlier_answers(self, form_id: str, after: tuple[str, int], limit: int) -> Sequence[Found]:
        """The kept versions of a form's responses, by response and number."""
        key = tuple_(col(ResponseVersion.response_id), col(ResponseVersion.revision))
        statement = (
            select(col(ResponseVersion.response_id), col(ResponseVersion.revision), col(ResponseVersion.answers))
            .join(
                Response,
                and_(
                    col(Response.tenant_id) == col(ResponseVersion.tenant_id),
                    col(Response.id) == col(ResponseVersion.response_id),
                ),
            )
            .where(*self._of_form(form_id), col(ResponseVersion.tenant_id) == self._tenant_id, key > after)
            .order_by(col(ResponseVersion.response_id), col(ResponseVersion.revision))
            .limit(limit)
        )
        return [Found(id_, number, answers, {}) for id_, number, answers in await self._session.execute(statement)]

    async def known(self, response_ids: Collection[str], among: Collection[str] | None) -> Sequence[tuple[str, str]]:
        """Form and id of those of these responses that are there."""
        statement = select(col(Response.form_id), col(Response.id)).where(
            col(Response.tenant_id) == self._tenant_id,
            col(Response.id).in_(response_ids),
            col(Response.status) != "purged",
        )
        if among is not None:
            statement = statement.where(col(Response.form_id).in_(among))
        return [(form_id, id_) for form_id, id_ in await self._session.execute(statement)]

    async def accounts(self, email: str) -> Sequence[str]:
        """The people and invitations of the tenant with this address, by id."""
        users = select(col(User.id)).where(col(User.tenant_id) == self._tenant_id, func.lower(col(User.email)) == email)
        invited = select(col(Invitation.id)).where(
            col(Invitation.tenant_id) == self._tenant_id, func.lower(col(Invitation.email)) == email
        )
        return [*(await self._session.scalars(users)), *(await self._session.scalars(invited))]

    # What belongs to responses.

    async def belongings(self, response_ids: Collection[str]) -> dict[str, int]:
        """How many rows of each table belong to these responses."""
        found = {}
        for table in _OF_RESPONSES:
            statement = select(func.count()).where(
                col(table.tenant_id) == self._tenant_id, col(table.response_id).in_(response_ids)
            )
            found[str(table.__tablename__)] = await self._session.scalar(statement) or 0
        return {name: count for name, count in found.items() if count}

    async def files(self, response_ids: Collection[str]) -> Sequence[str]:
        """The files of these responses."""
        mine = col(File.tenant_id) == self._tenant_id, col(File.response_id).in_(response_ids)
        return (await self._session.scalars(select(col(File.id)).where(*mine))).all()

    async def files_left(self, erasure_id: str) -> int:
        """How many files of the responses that were found are still there."""
        trace = select(col(PersonTrace.entity_id)).where(*self._traced(erasure_id), col(PersonTrace.kind) == "file")
        statement = select(func.count()).where(col(File.tenant_id) == self._tenant_id, col(File.id).in_(trace))
        return await self._session.scalar(statement) or 0

    async def forget_entries(self, erasure_id: str) -> None:
        """Take the responses that were found out of the index once more: a piece that was under way when they were
        purged brought them back, until its next one."""
        found = select(col(PersonTrace.entity_id)).where(*self._traced(erasure_id))
        mine = col(AnswerEntry.tenant_id) == self._tenant_id, col(AnswerEntry.response_id).in_(found)
        options = {"synchronize_session": False}
        await self._session.execute(delete(AnswerEntry).where(*mine), execution_options=options)

    # What was told of them.

    async def traced_forms(self, erasure_id: str, after_id: str) -> str | None:
        """The next form in which something was found."""
        statement = select(func.min(col(PersonTrace.form_id))).where(
            *self._traced(erasure_id), col(PersonTrace.form_id) > after_id
        )
        return await self._session.scalar(statement)

    async def told(
        self, erasure_id: str, form_id: str, after_id: str, limit: int, *, locked: bool = False
    ) -> Sequence[Told]:
        """The events of a form about what was found, by id, after `after_id`."""
        statement = (
            select(col(Event.id), col(Event.envelope), col(Event.published_at))
            .join(
                PersonTrace,
                and_(
                    col(PersonTrace.tenant_id) == col(Event.tenant_id),
                    col(PersonTrace.erasure_id) == erasure_id,
                    col(PersonTrace.entity_id) == col(Event.entity_id),
                ),
            )
            .where(col(Event.tenant_id) == self._tenant_id, col(Event.form_id) == form_id, col(Event.id) > after_id)
            .order_by(col(Event.id))
            .limit(limit)
        )
        rows = await self._session.execute(statement.with_for_update(of=Event) if locked else statement)
        return [Told(form_id, row.id, row.envelope, row.published_at is not None) for row in rows]

    async def rewrite_events(self, envelopes: Mapping[str, str]) -> None:
        """Put other texts in the place of stored events', by id."""
        mine = col(Event.tenant_id) == self._tenant_id, col(Event.id) == bindparam("event")
        connection = await self._session.connection()
        rows = [{"event": event_id, "text": envelope} for event_id, envelope in envelopes.items()]
        if rows:
            await connection.execute(update(Event).where(*mine).values(envelope=bindparam("text")), rows)

    async def count_effects(self, event_ids: Collection[str], *, but_to: str | None = None) -> dict[str, int]:
        """How many rows hold what was told by these events; without the mails to an address, where one is given."""
        found = {}
        for table, condition in self._effects(event_ids):
            if table is Mail and but_to is not None:
                condition = and_(condition, ~self._to(but_to))
            statement = select(func.count()).select_from(table).where(condition)
            found[str(table.__tablename__)] = await self._session.scalar(statement) or 0
        return {name: count for name, count in found.items() if count}

    async def clear_effects(self, told: Mapping[str, Retold]) -> dict[str, int]:
        """Let what was made of these events say what they say now; how many rows there are, by table."""
        counts = await self.count_effects(told)
        if not counts:
            return counts
        dead, delivered = self._dead_letters(told), self._deliveries(told)
        for event_id in set(await self._session.scalars(select(col(DeadLetter.event_id)).where(dead))):
            statement = update(DeadLetter).where(self._dead_letters([event_id]))
            await self._session.execute(statement.values(envelope=told[event_id].envelope, reason=""))
        for event_id in set(await self._session.scalars(select(col(WebhookDelivery.event_id)).where(delivered))):
            statement = update(WebhookDelivery).where(self._deliveries([event_id]))
            await self._session.execute(statement.values(body=told[event_id].body))
        await self._session.execute(update(FailedEvent).where(self._failed(told)).values(error=""))
        # An error without text still says that there was one.
        error = func.substr(col(WebhookAttempt.error), 1, 0)
        attempts = update(WebhookAttempt).where(self._attempts(told)).values(error=error, response_excerpt="")
        await self._session.execute(attempts.execution_options(synchronize_session=False))
        await self._session.execute(delete(Mail).where(self._replies(told)))
        return counts

    async def audited(self, erasure_id: str) -> int:
        """How many entries of the audit trail are about what was found."""
        about = select(col(PersonTrace.entity_id)).where(*self._traced(erasure_id))
        statement = select(func.count()).where(
            col(AuditEntry.tenant_id) == self._tenant_id, col(AuditEntry.entity_id).in_(about)
        )
        return await self._session.scalar(statement) or 0

    # What names the person.

    async def letters(self, email: str) -> int:
        """How many mails went to this address."""
        return await self._session.scalar(select(func.count()).select_from(Mail).where(self._to(email))) or 0

    async def remove_letters(self, email: str, limit: int) -> int:
        """Remove up to `limit` mails to this address; how many there were."""
        chosen = select(col(Mail.id)).where(self._to(email)).limit(limit)
        result: Any = await self._session.execute(
            delete(Mail).where(col(Mail.tenant_id) == self._tenant_id, col(Mail.id).in_(chosen))
        )
        return int(result.rowcount)

    async def jobs_naming(self, text: str, after_id: str, limit: int) -> Sequence[str]:
        """Finished jobs whose order, result or error has the text in it, by id, after `after_id`."""
        pattern = "%" + "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in text) + "%"
        told = (Job.payload, Job.result, Job.error, Job.attempts)
        named = or_(*(func.lower(cast(col(column), Text)).like(pattern, escape="\\") for column in told))
        statement = (
            select(col(Job.id))
            .where(col(Job.tenant_id) == self._tenant_id, col(Job.state).in_(_FINISHED), col(Job.id) > after_id, named)
            .order_by(col(Job.id))
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def remove_jobs(self, job_ids: Collection[str]) -> None:
        """Remove jobs."""
        await self._session.execute(delete(Job).where(col(Job.tenant_id) == self._tenant_id, col(Job.id).in_(job_ids)))

    def _of_form(self, form_id: str) -> tuple[Any, ...]:
        return (
            col(Response.tenant_id) == self._tenant_id,
            col(Response.form_id) == form_id,
            col(Response.status) != "purged",
        )

    def _traced(self, erasure_id: str) -> tuple[Any, ...]:
        return col(PersonTrace.tenant_id) == self._tenant_id, col(PersonTrace.erasure_id) == erasure_id

    def _effects(self, event_ids: Collection[str]) -> tuple[tuple[Any, Any], ...]:
        return (
            (DeadLetter, self._dead_letters(event_ids)),
            (FailedEvent, self._failed(event_ids)),
            (WebhookDelivery, self._deliveries(event_ids)),
            (WebhookAttempt, self._attempts(event_ids)),
            (Mail, self._replies(event_ids)),
        )

    def _dead_letters(self, event_ids: Collection[str]) -> Any:
        return and_(col(DeadLetter.tenant_id) == self._tenant_id, col(DeadLetter.event_id).in_(event_ids))

    def _failed(self, event_ids: Collection[str]) -> Any:
        return and_(col(FailedEvent.tenant_id) == self._tenant_id, col(FailedEvent.event_id).in_(event_ids))

    def _deliveries(self, event_ids: Collection[str]) -> Any:
        # By endpoint, since that is how deliveries are indexed.
        endpoints = select(col(WebhookEndpoint.id)).where(col(WebhookEndpoint.tenant_id) == self._tenant_id)
        return and_(
            col(WebhookDelivery.tenant_id) == self._tenant_id,
            col(WebhookDelivery.endpoint_id).in_(endpoints),
            col(WebhookDelivery.event_id).in_(event_ids),
        )

    def _attempts(self, event_ids: Collection[str]) -> Any:
        deliveries = select(col(WebhookDelivery.id)).where(self._deliveries(event_ids))
        return and_(col(WebhookAttempt.tenant_id) == self._tenant_id, col(WebhookAttempt.delivery_id).in_(deliveries))

    def _replies(self, event_ids: Collection[str]) -> Any:
        causes = [f"{event_id}:autoresponse" for event_id in event_ids]
        return and_(col(Mail.tenant_id) == self._tenant_id, col(Mail.cause).in_(causes))

    def _to(self, email: str) -> Any:
        return and_(col(Mail.tenant_id) == self._tenant_id, func.lower(col(Mail.recipient)) == email)
