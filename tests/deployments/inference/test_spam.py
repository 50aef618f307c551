"""A2: a message counts as its worst passage."""

from collections.abc import Sequence
from typing import Any

from deployments.inference.spam import judged
from deployments.models.contracts import HeadRef, Judgements


class Censor:
    """A model that takes for spam what speaks of prizes; what is asked of `ModelsApi`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        self.asked += texts
        scores = tuple((0.05, 0.95) if "prize" in text else (0.9, 0.1) for text in texts)
        return Judgements(model=f"{head.name}@1", labels=("ham", "spam"), threshold=0.5, scores=scores)


async def test_spam_at_the_end_of_a_long_text_is_found() -> None:
    models: Any = Censor()
    said = await judged(models, ["", "The corn was great. " * 100 + "Claim your prize!", "See you."])
    assert [(each.spam, each.score) for each in said.results] == [(False, 0.1), (True, 0.95), (False, 0.1)]
    assert said.model == "spam@1"
    assert len(models.asked) > 5
    assert max(map(len, models.asked)) <= 400
