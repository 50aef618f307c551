"""The score that a model gives responses, after they were stored (R6): a submission never waits for it (A6)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from db.models.responses import Response
from db.repositories.responses import COMPLETE, ResponseRepository
from db.session import Database, UnitOfWork
from deployments.kit.engine import Definition
from deployments.kit.errors import Unavailable
from deployments.kit.features import is_enabled
from deployments.kit.passages import grouped, passages
from deployments.kit.principal import Principal
from deployments.models.contracts import HeadRef, ModelsApi
from deployments.responses import quarantine
from deployments.responses.errors import FormNotFound
from deployments.responses.published import PublishedForm, PublishedForms
from eventing.events.envelope import Event
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import Done, JobKind, JobRun, JobSpec, Retry, enqueue_all
from eventing.subscription import Subscription

JUDGE: Final = "responses.judge"

_ACTOR: Final = "screening"
_HEAD: Final = HeadRef(name="spam")
_SPAM: Final = "spam"
_TOGETHER: Final = 50
_READ: Final = frozenset({"short_text", "long_text"})
# A model that is away comes back; until then its judgement would come too late to be of use.
_DELAYS: Final = (10.0, 60.0, 300.0, 900.0)


class JudgementOrders:
    """Orders the judgement of new responses, where their form asks for it."""

    def __init__(self, database: Database) -> None:
        self._forms = PublishedForms(database)

    async def select(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """The submissions to forms that ask for it; what was imported is nobody's spam any more."""
        asking = {
            form_id
            for form_id in {event.form_id for event in events}
            if await _asks(self._forms, unit.tenant, form_id or "")
        }
        return [event for event in events if event.form_id in asking and not event.data.get("imported")]

    async def on_responses_submitted(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Order the judgement. Once per event: the inbox row is in the same transaction."""
        by_form: dict[str, list[str]] = defaultdict(list)
        for event in events:
            fact = event.read(ResponseSubmitted)
            by_form[fact.form_id].append(fact.response_id)
        created_by = Principal.system(unit.tenant, _ACTOR).subject
        orders = [
            JobSpec(JUDGE, {"form_id": form_id, "responses": some}, created_by=created_by, queue="batch")
            for form_id, responses in by_form.items()
            for some in (responses[start : start + _TOGETHER] for start in range(0, len(responses), _TOGETHER))
        ]
        await enqueue_all(unit, orders)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What is listened to."""
        types = (ResponseSubmitted.type,)
        return (Subscription(_ACTOR, types, self.on_responses_submitted, select=self.select),)


class Judging:
    """Has the texts of responses judged, and keeps apart what looks like spam."""

    def __init__(self, database: Database, models: ModelsApi) -> None:
        self._database = database
        self._models = models
        self._forms = PublishedForms(database)

    async def run(self, job: JobRun) -> Done:
        """Judge the responses as they are now. Raises Retry while the model is away."""
        form = await _asks(self._forms, job.tenant_id, job.payload["form_id"])
        if form is None or form.spam is None or form.spam.ai_threshold is None:
            return Done({"judged": 0, "suspected": 0})
        rows, texts = await self._read(job.tenant_id, job.payload["responses"])
        together, places = grouped(texts)
        try:
            scores = await self._scores(together)
        except Unavailable as error:
            raise Retry(error.detail or error.title) from error
        judged = [max(scores[place], default=0.0) for place in places]
        suspects = {
            row.id: (row.revision, score)
            for row, score in zip(rows, judged, strict=True)
            if score >= form.spam.ai_threshold
        }

        async def effect(unit: UnitOfWork) -> None:
            await _put_apart(unit, suspects)

        return Done({"judged": len(rows), "suspected": len(suspects)}, effect)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job."""
        return (JobKind(JUDGE, "batch", self.run, max_attempts=len(_DELAYS) + 1, delays=_DELAYS, places=1),)

    async def _read(self, tenant_id: str, ids: Sequence[str]) -> tuple[list[Response], list[list[str]]]:
        """Those of the responses that can be suspected, and the passages of each."""
        rows: list[Response] = []
        texts: list[list[str]] = []
        async with self._database.read(tenant_id) as unit:
            responses = ResponseRepository(unit.session, unit.tenant)
            for response_id in ids:
                row = await responses.find(response_id)
                if row is None or row.status != COMPLETE:
                    continue
                rules = await self._forms.rules(unit, row.form_id, row.version)
                if rules is not None:
                    rows.append(row)
                    texts.append(passages(written_texts(rules.definition, row.answers)))
        return rows, texts

    async def _scores(self, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        judgements = await self._models.classify(_HEAD, texts)
        place = judgements.labels.index(_SPAM)
        return [scores[place] for scores in judgements.scores]


async def _asks(forms: PublishedForms, tenant_id: str, form_id: str) -> PublishedForm | None:
    """The form, if it has responses judged."""
    try:
        form = await forms.get(tenant_id, form_id=form_id)
    except FormNotFound:
        return None
    asks = form.spam is not None and form.spam.ai_threshold is not None
    return form if asks and is_enabled(form.tenant_settings, "ai") else None


def written_texts(definition: Definition, answers: Mapping[str, Any]) -> Iterator[str]:
    """What a person wrote in the text fields of a form, also in those of repeating groups. Addresses and numbers that
    fields of other types ask for are not among it: they say nothing about a message."""
    for field in definition.fields:
        answer = answers.get(field.id)
        if field.type in _READ and isinstance(answer, str):
            yield answer
    for group, field in definition.inner_fields():
        items = answers.get(group.id)
        for item in items if field.type in _READ and isinstance(items, list) else ():
            if isinstance(answer := item.get(field.id), str):
                yield answer


async def _put_apart(unit: UnitOfWork, suspects: Mapping[str, tuple[int, float]]) -> None:
    principal = Principal.system(unit.tenant, _ACTOR)
    responses = ResponseRepository(unit.session, unit.tenant)
    # In one order, so that nobody waits in a circle.
    for response_id in sorted(suspects):
        revision, score = suspects[response_id]
        row = await responses.find(response_id, for_update=True)
        # Who changed its answers since has looked at it.
        if row is not None and row.revision == revision:
            await quarantine.put_for_score(unit, principal, row, score)
