"""Summaries of the answers to a field of a form: ordered, made by a job, read by whoever may see the answers.

What is kept are numbers, phrases and the places of quotes. The quotes are read from the responses when somebody reads
the summary, with that person's own rights, and are left out when they do not stand there any more.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from db.models.generation import AnswerSummary
from db.models.jobs import Job
from db.repositories.answer_summaries import AnswerSummaryRepository
from db.repositories.jobs import JobRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.tenants import TenantRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.inference.errors import FormNotFound, InvalidGeneration, SummaryNotFound, TooManySummaries
from deployments.inference.generate_contracts import (
    Citation,
    Counts,
    Generation,
    OrderedSummary,
    OrderTopics,
    Summary,
)
from deployments.inference.quoting import Span, digest
from deployments.inference.summarising import Found, summarised, told
from deployments.kit.engine import stored_definition
from deployments.kit.errors import DeadlineExceeded, DomainError, NotFound, Unavailable
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal
from deployments.models.contracts import ModelsApi
from deployments.responses.contracts import ListResponses, ResponsesApi
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue

MAKE: Final = "inference.summary"
QUEUE: Final = "batch"
LIFE: Final = timedelta(days=7)
MAX_ANSWERS: Final = 50_000
"""Most answers of a summary; of more, the latest."""

_MOST: Final = 200
_PAGE: Final = 1_000
_READ: Final = "responses:read"
_PERSONAL: Final = "responses:read_personal"
_TEXTS: Final = frozenset({"short_text", "long_text"})
_STATES: Final = {"queued": "queued", "running": "running", "cancelled": "cancelled"}
_AGAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class AnsweredField:
    """What is known of a field over all versions of its form; `language` is that of the newest."""

    is_text: bool
    is_personal: bool
    language: str | None


def selection_of(form_id: str, wanted: OrderTopics, limit: int = _PAGE, cursor: str | None = None) -> ListResponses:
    """The responses whose answers count, the latest first."""
    return ListResponses(
        form_id=form_id,
        filter=wanted.filter,
        where=wanted.where,
        q=wanted.q,
        fields=[wanted.field],
        cursor=cursor,
        limit=limit,
    )


async def field_of(unit: UnitOfWork, form_id: str, field: str) -> AnsweredField:
    """The field of a published form. Raises FormNotFound, InvalidGeneration."""
    versions = await PublishedFormRepository(unit.session, unit.tenant).versions(form_id)
    if not versions:
        raise FormNotFound
    definitions = [stored_definition(version.definition) for version in versions]
    found = [each for definition in definitions for each in definition.fields if each.id == field]
    if not found:
        raise InvalidGeneration.at("/field", "field.unknown", f"the form has no field {field!r}")
    languages = definitions[-1].languages
    return AnsweredField(
        is_text=any(each.type in _TEXTS for each in found),
        is_personal=field in personal_fields(definitions),
        language=languages[0] if languages else None,
    )


async def require_field(unit: UnitOfWork, principal: Principal, form_id: str, wanted: OrderTopics) -> None:
    """Raise FormNotFound, InvalidGeneration, and Forbidden for personal data that the principal does not get to see."""
    principal.require(_READ, form_id)
    field = await field_of(unit, form_id, wanted.field)
    if not field.is_text:
        raise InvalidGeneration.at("/field", "field.not_text", f"the answers to {wanted.field!r} are no texts")
    if field.is_personal:
        principal.require(_PERSONAL, form_id)


async def order(unit: UnitOfWork, principal: Principal, form_id: str, wanted: OrderTopics) -> OrderedSummary:
    """Order a summary. Raises as `require_field` does, and TooManySummaries."""
    await require_field(unit, principal, form_id, wanted)
    summaries, now = AnswerSummaryRepository(unit.session, unit.tenant), utc_now()
    # The tenant's row is locked, so that nobody else adds one beside the last.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    await summaries.remove_expired(now)
    if await summaries.count() >= _MOST:
        raise TooManySummaries(f"a tenant can keep {_MOST} summaries")
    summary_id = new_id("sum")
    spec = JobSpec(MAKE, {"summary_id": summary_id, "form_id": form_id}, principal.subject, queue=QUEUE)
    job_id = await enqueue(unit, spec)
    summaries.add(
        AnswerSummary(
            tenant_id=unit.tenant,
            id=summary_id,
            form_id=form_id,
            field=wanted.field,
            wanted=wanted.model_dump(mode="json"),
            sees_personal=principal.may(_PERSONAL, form_id),
            job_id=job_id,
            requested_by=principal.subject,
            created_at=now,
            expires_at=now + LIFE,
        )
    )
    return OrderedSummary(summary_id=summary_id, job_id=job_id)


async def readable(unit: UnitOfWork, principal: Principal, summary_id: str) -> tuple[AnswerSummary, Job | None]:
    """A summary that the principal gets to see, and its job. Raises SummaryNotFound."""
    row = await AnswerSummaryRepository(unit.session, unit.tenant).find(summary_id)
    if row is None or row.expires_at <= utc_now() or not principal.may(_READ, row.form_id):
        raise SummaryNotFound
    wanted = OrderTopics.model_validate(row.wanted)
    try:
        field = await field_of(unit, row.form_id, row.field)
    except (FormNotFound, InvalidGeneration) as error:
        raise SummaryNotFound from error
    # A filter on what one must not see would tell it.
    chosen = row.sees_personal and bool(wanted.filter or wanted.where or wanted.q)
    if (field.is_personal or chosen) and not principal.may(_PERSONAL, row.form_id):
        raise SummaryNotFound
    return row, await JobRepository(unit.session, unit.tenant).find(row.job_id)


async def delete(unit: UnitOfWork, principal: Principal, summary_id: str) -> None:
    """Forget a summary; its job finds that it is not wanted. Raises SummaryNotFound."""
    row, _ = await readable(unit, principal, summary_id)
    await AnswerSummaryRepository(unit.session, unit.tenant).delete(row)


async def to_summary(principal: Principal, responses: ResponsesApi, row: AnswerSummary, job: Job | None) -> Summary:
    """The summary with the quotes that still stand where they were found."""
    state = _STATES.get(job.state if job else "", "failed") if row.result is None else "ready"
    return Summary.model_validate(
        {
            "id": row.id,
            "form_id": row.form_id,
            "field": row.field,
            "state": state,
            "job_id": row.job_id,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "expires_at": row.expires_at,
            "generation": None if row.result is None else await _generation(principal, responses, row, row.result),
        }
    )


async def _generation(
    principal: Principal, responses: ResponsesApi, row: AnswerSummary, result: dict[str, Any]
) -> Generation:
    citations: list[tuple[int, Citation]] = []
    gone = 0
    for place, topic in enumerate(result["topics"]):
        for quote in topic["quotes"]:
            try:
                response = await responses.get(principal, quote["response_id"])
            except NotFound:
                gone += 1
                continue
            citation = cited(response.answers.get(row.field), row.field, quote)
            if response.status == "quarantined" or citation is None:
                gone += 1
            else:
                citations.append((place, citation))
    generation = told(
        Counts.model_validate(result["counts"]),
        [(tuple(topic["phrases"]), topic["count"]) for topic in result["topics"]],
        citations,
        model=result["model"],
        language=result["language"],
    )
    notes = list(result["notes"])
    if gone:
        notes.append(f"{gone} quotes are left out: their answers were changed or deleted since.")
    return generation.model_copy(update={"notes": notes})


def cited(answer: object, field: str, quote: dict[str, Any]) -> Citation | None:
    """The citation, when the quote stands in the answer where it was found."""
    span = Span(quote["start"], quote["end"])
    if not isinstance(answer, str) or digest(span.of(answer)) != quote["digest"]:
        return None
    return Citation(
        response_id=quote["response_id"], field=field, start=span.start, end=span.end, quote=span.of(answer)
    )


class ReadySummaries:
    """Satisfies `SummariesApi`."""

    def __init__(self, database: Database, responses: ResponsesApi) -> None:
        self._database = database
        self._responses = responses

    async def ready(self, principal: Principal, form_id: str) -> list[Summary]:
        chosen: dict[str, tuple[AnswerSummary, Job | None]] = {}
        async with self._database.read(principal.tenant_id) as unit:
            if not is_enabled(await settings_of(unit), "ai"):
                return []
            for row in await AnswerSummaryRepository(unit.session, unit.tenant).made(form_id, utc_now()):
                wanted = OrderTopics.model_validate(row.wanted)
                if row.field in chosen or wanted.filter or wanted.where or wanted.q:
                    continue
                with suppress(SummaryNotFound):
                    chosen[row.field] = await readable(unit, principal, row.id)
        return [await to_summary(principal, self._responses, row, job) for row, job in chosen.values()]


class MakeSummary:
    """The job: reads the answers as whoever ordered it may, and keeps what they are about."""

    def __init__(self, database: Database, responses: ResponsesApi, models: ModelsApi) -> None:
        self._database = database
        self._responses = responses
        self._models = models

    async def run(self, job: JobRun) -> Done:
        """Make it. Raises GiveUp when it is not wanted or cannot be made, Retry when it cannot now."""
        row, field = await self._row(job)
        if row.result is None:
            try:
                result = await self._made(job, row, OrderTopics.model_validate(row.wanted), field)
            except (Unavailable, DeadlineExceeded) as error:
                raise Retry(error.detail, after_s=error.retry_after or _AGAIN_S) from error
            except DomainError as error:
                raise GiveUp(error.detail) from error
            async with self._database.write(job.tenant_id) as unit:
                kept = await AnswerSummaryRepository(unit.session, unit.tenant).find(row.id, for_update=True)
                if kept is None:
                    raise GiveUp("The summary is not wanted any more.")
                kept.result, kept.finished_at = result, utc_now()
                kept.expires_at = kept.finished_at + LIFE
        return Done({"summary_id": row.id, "url": f"/api/v1/summaries/{row.id}"})

    async def _row(self, job: JobRun) -> tuple[AnswerSummary, AnsweredField]:
        async with self._database.read(job.tenant_id) as unit:
            row = await AnswerSummaryRepository(unit.session, unit.tenant).find(job.payload["summary_id"])
            if row is None:
                raise GiveUp("The summary is not wanted any more.")
            try:
                return row, await field_of(unit, row.form_id, row.field)
            except DomainError as error:
                raise GiveUp(error.detail) from error

    async def _made(self, job: JobRun, row: AnswerSummary, wanted: OrderTopics, field: AnsweredField) -> dict[str, Any]:
        scopes = {_READ, _PERSONAL} if row.sees_personal else {_READ}
        reader = Principal(row.tenant_id, row.requested_by, "system", scopes=frozenset(scopes))
        ids, texts, more = await self._read(job, reader, row.form_id, wanted)
        language = wanted.language or field.language
        found = await summarised(
            self._models,
            texts,
            language=language,
            topics=wanted.topics,
            quotes=wanted.quotes,
            progress=job.progress,
        )
        notes = [f"There are more answers; these are the latest {MAX_ANSWERS}."] if more else []
        return kept_of(found, ids, texts, language, notes)

    async def _read(
        self, job: JobRun, reader: Principal, form_id: str, wanted: OrderTopics
    ) -> tuple[list[str], list[str], bool]:
        ids: list[str] = []
        texts: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._responses.list_responses(reader, selection_of(form_id, wanted, cursor=cursor))
            for response in page.data:
                ids.append(response.id)
                answer = response.answers.get(wanted.field)
                texts.append(answer if isinstance(answer, str) else "")
            await job.progress(0, len(texts))
            cursor = page.meta.next_cursor
            if cursor is None or len(texts) >= MAX_ANSWERS:
                return ids, texts, cursor is not None


def kept_of(found: Found, ids: list[str], texts: list[str], language: str | None, notes: list[str]) -> dict[str, Any]:
    """What is stored of a summary: no text of anybody."""
    return {
        "model": found.model,
        "language": language,
        "counts": found.counts.model_dump(),
        "notes": notes,
        "topics": [
            {
                "phrases": list(topic.phrases),
                "count": topic.count,
                "quotes": [
                    {
                        "response_id": ids[quote.place],
                        "start": quote.span.start,
                        "end": quote.span.end,
                        "digest": digest(quote.span.of(texts[quote.place])),
                    }
                    for quote in topic.quotes
                ],
            }
            for topic in found.topics
        ],
    }


def job_kinds(database: Database, responses: ResponsesApi, models: ModelsApi) -> tuple[JobKind, ...]:
    """The jobs of summaries."""
    make = MakeSummary(database, responses, models)
    # One at a time takes a processor as it is.
    return (JobKind(MAKE, QUEUE, make.run, max_attempts=5, soft_limit_s=1_700.0, hard_limit_s=1_800.0, places=1),)
