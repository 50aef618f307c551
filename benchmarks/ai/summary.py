"""How good and how quick the topics of a summary are: 10,000 customer messages as answers, against their known intents.

`folder` holds `text/banking77_train.csv` (PolyAI, CC BY 4.0). The intents are not shown to the summary; they only say
afterwards how pure its topics are. Writes `docs/ai/summary.md`.
"""

import asyncio
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks.machine import describe
from deployments.inference.naming import names
from deployments.inference.sifting import sift
from deployments.inference.summarising import summarised
from deployments.inference.topics import NO_TOPIC, Topics, find_topics
from deployments.kit.vectors import Vectors, unpacked
from deployments.models import minilm
from deployments.models.contracts import Embeddings
from deployments.models.deployment import Models
from deployments.models.registry import Registry
from deployments.models.settings import ModelsSettings

_PAGE = Path(__file__).parents[2] / "docs" / "ai" / "summary.md"
_ANSWERS = 10_000
_SHOWN = 12


@dataclass
class Purity:
    """How topics agree with intents. `assigned` counts the texts that have a topic."""

    topics: int
    rand: float
    information: float
    purity: float
    assigned: int


def run(folder: Path) -> None:
    """Measure, print and publish."""
    texts, intents = _read(folder / "text" / "banking77_train.csv")
    with tempfile.TemporaryDirectory() as registry:
        minilm.build(Registry(Path(registry)))
        models = _Kept(ModelsSettings(folder=Path(registry)))
        asyncio.run(models.embed(["warm"]))
        before = psutil.Process().memory_info().rss
        began = time.process_time()
        found = asyncio.run(summarised(models, texts, language="en", topics=None, quotes=2))
        seconds = time.process_time() - began
        grown = (psutil.Process().memory_info().rss - before) / 2**20
    began = time.process_time()
    sifted = sift(texts)
    places = [each[0] for each in sifted.places]
    vectors = np.stack([models.known[text] for text in sifted.texts])
    topics = find_topics(vectors)
    grouping = time.process_time() - began
    known = [intents[place] for place in places]
    measured = [_purity(each, known) for each in (topics, find_topics(vectors, count=20))]
    for topic in found.topics:
        for quote in topic.quotes:
            assert quote.span.of(texts[quote.place]) in texts[quote.place]
    named = names(sifted.texts, topics.groups.tolist(), "en")
    rows = [_row(topic, named[topic], topics, known) for topic in range(_SHOWN)]
    page = _page(len(texts), seconds, grouping, grown, measured, rows, found.counts.unassigned)
    print(page)
    _PAGE.parent.mkdir(parents=True, exist_ok=True)
    _PAGE.write_text(page)


def _read(path: Path) -> tuple[list[str], list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))[:_ANSWERS]
    return [row["text"] for row in rows], [row["category"] for row in rows]


class _Kept(Models):
    """Keeps the vectors that it answers with, so that they are computed once."""

    def __init__(self, settings: ModelsSettings) -> None:
        super().__init__(settings)
        self.known: dict[str, Vectors] = {}

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        answer = await super().embed(texts)
        self.known.update(zip(texts, unpacked(answer.vectors, answer.dimensions), strict=True))
        return answer


def _purity(topics: Topics, intents: Sequence[str]) -> Purity:
    known = np.array(intents)
    there = topics.groups != NO_TOPIC
    most = sum(max(Counter(known[topics.groups == topic]).values()) for topic in range(topics.count))
    return Purity(
        topics=topics.count,
        rand=adjusted_rand_score(known, topics.groups),
        information=normalized_mutual_info_score(known, topics.groups),
        purity=most / int(there.sum()),
        assigned=int(there.sum()),
    )


def _row(topic: int, phrases: Sequence[str], topics: Topics, intents: Sequence[str]) -> str:
    inside = Counter(intent for intent, group in zip(intents, topics.groups.tolist(), strict=True) if group == topic)
    largest = ", ".join(f"`{intent}` {count}" for intent, count in inside.most_common(3))
    return f"| {', '.join(phrases)} | {sum(inside.values())} | {largest} |"


def _page(
    answers: int,
    seconds: float,
    grouping: float,
    grown: float,
    measured: Sequence[Purity],
    rows: Sequence[str],
    unassigned: int,
) -> str:
    table = "\n".join(
        f"| {each.topics}{' (found out)' if place == 0 else ''} | {each.rand:.3f} | {each.information:.3f} "
        f"| {each.purity:.3f} | {each.assigned} |"
        for place, each in enumerate(measured)
    )
    shown = "\n".join(rows)
    return f"""# Topics of a summary

{answers:,} customer messages of Banking77 (PolyAI, CC BY 4.0, the training part) as answers to one question. Their 77
intents are not shown to the summary; they say afterwards how well its topics agree. Made by
`python -m benchmarks.ai --data <folder> summary`.

```
{describe()}
```

A summary of all of them, from texts to topics with names and quotes, took {seconds:.0f} s of processor time with one
thread for the encoder, of which grouping is {grouping:.1f} s; the process grew by {grown:.0f} MiB. {unassigned} texts
were like no others. Processor time, because it was measured beside other work.

| Topics | Adjusted Rand | Mutual information (normalised) | Purity | Texts with a topic |
|---|---|---|---|---|
{table}

Purity is the share of texts whose intent is the commonest of their topic; with fewer topics than intents it cannot be
1.
At most 50 topics are found out, because nobody reads more. The largest topics, as they are named:

| Name | Texts | Commonest intents |
|---|---|---|
{shown}
"""
