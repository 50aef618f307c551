"""Which messages are spam, by the built-in head."""

from collections.abc import Sequence
from typing import Final

from deployments.inference.contracts import SpamVerdict, SpamVerdicts
from deployments.kit.passages import grouped, passages
from deployments.models.contracts import HeadRef, ModelsApi

_HEAD: Final = HeadRef(name="spam")
_SPAM: Final = "spam"


async def judged(models: ModelsApi, texts: Sequence[str]) -> SpamVerdicts:
    """A verdict for each text: that of its worst passage. A text without words is no spam."""
    together, places = grouped(passages([text]) or [""] for text in texts)
    judgements = await models.classify(_HEAD, together)
    label = judgements.labels.index(_SPAM)
    scores = [scores[label] for scores in judgements.scores]
    worst = [max(scores[place]) for place in places]
    return SpamVerdicts(
        model=judgements.model,
        results=[SpamVerdict(spam=score >= judgements.threshold, score=round(score, 4)) for score in worst],
    )
