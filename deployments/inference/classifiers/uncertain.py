"""Which answers to label next: those that the classifier can hardly decide (margin sampling)."""

from typing import Final

from db.session import Database
from deployments.inference.classifiers import service
from deployments.inference.classify_contracts import UncertainAnswer, UncertainAnswers
from deployments.inference.errors import NoField
from deployments.kit.principal import Principal
from deployments.models.contracts import ModelsApi
from deployments.responses.contracts import ListResponses, ResponsesApi

LOOKED_AT: Final = 500
_CHARACTERS: Final = 40_000
"""Of all answers that are looked at together: as many as are read within a request."""

_AT_ONCE: Final = 128


async def least_certain(
    database: Database,
    models: ModelsApi,
    responses: ResponsesApi,
    principal: Principal,
    classifier_id: str,
    limit: int,
) -> UncertainAnswers:
    """Answers of the classifier's field that the principal may read, among the most recent ones.

    Raises ClassifierNotFound, NoField, ClassifierUntrained, and what reading the responses raises.
    """
    async with database.read(principal.tenant_id) as unit:
        row = await service.find(unit, principal, classifier_id)
        if row.form_id is None or row.field is None:
            raise NoField
        head = await service.head_of(unit, row)
    query = ListResponses(form_id=row.form_id, fields=[row.field], limit=LOOKED_AT)
    page = await responses.list_responses(principal, query)
    said = [(each.id, each.answers.get(row.field)) for each in page.data]
    texts = {service.digest_of(text): (id_, text) for id_, text in said if isinstance(text, str) and text.strip()}
    async with database.read(principal.tenant_id) as unit:
        known = await service.classifiers_of(unit).known(row.id, list(texts))
    open_ = _some([each for digest, each in texts.items() if digest not in known])
    found: list[UncertainAnswer] = []
    for start in range(0, len(open_), _AT_ONCE):
        batch = open_[start : start + _AT_ONCE]
        judgements = await models.classify(head, [text for _, text in batch])
        for (response_id, text), scores in zip(batch, judgements.scores, strict=True):
            first, second = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:2]
            found.append(
                UncertainAnswer(
                    response_id=response_id,
                    text=text,
                    label=judgements.labels[first],
                    second=judgements.labels[second],
                    confidence=round(scores[first], 6),
                    margin=round(scores[first] - scores[second], 6),
                )
            )
    found.sort(key=lambda each: (each.margin, each.response_id))
    return UncertainAnswers(looked_at=len(open_), data=found[:limit])


def _some(answers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first of them that are not too long together."""
    read = 0
    for number, (_, text) in enumerate(answers):
        read += len(text)
        if read > _CHARACTERS and number:
            return answers[:number]
    return answers
