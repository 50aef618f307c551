"""Calls taken apart and put together again: every text keeps its answer."""

import numpy as np

from deployments.models.batching import BATCHABLE, MAX_PART_CHARACTERS, MAX_PART_TEXTS, parts
from deployments.models.contracts import Embeddings, Entities, Entity, Judgements


def test_parts_are_bounded_and_lose_nothing() -> None:
    texts = ["a"] * 70 + ["b" * 7_000, "c" * 2_000, "d" * 20_000, "e"]
    found = [list(part) for part in parts(texts)]
    assert [text for part in found for text in part] == texts
    assert [len(part) for part in found] == [32, 32, 7, 1, 1, 1]
    assert all(len(part) <= MAX_PART_TEXTS for part in found)
    assert all(sum(map(len, part)) <= MAX_PART_CHARACTERS for part in found if len(part) > 1)
    assert [list(part) for part in parts([])] == [[]]


def test_rows_and_joined_are_opposites() -> None:
    """A1: nobody gets a row of somebody else's text."""
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    entity = Entity(type="email", text="a@b.co", start=0, end=6)
    answers = {
        "embed": Embeddings(model="m", dimensions=3, vectors=rows.tobytes()),
        "classify": Judgements(model="m", labels=("a", "b"), threshold=0.5, scores=((0.1, 0.9),) * 2 + ((1, 0),) * 2),
        "extract": Entities(model="m", entities=((entity,), (), (), (entity, entity))),
    }
    assert answers.keys() == BATCHABLE.keys()
    for method, whole in answers.items():
        kind = BATCHABLE[method]
        cut = [kind.rows(whole, start, end) for start, end in ((0, 1), (1, 1), (1, 4))]
        assert kind.joined(cut) == whole
    assert BATCHABLE["embed"].rows(answers["embed"], 1, 2).vectors == rows[1].tobytes()
