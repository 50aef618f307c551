"""An extractive summary: what texts are about, how many each, and in whose words.

Every quote is cut out of its text by its place, and every number is counted; nothing is written by a model here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from deployments.inference.generate_contracts import Citation, Counts, Generation, Topic
from deployments.inference.naming import names
from deployments.inference.quoting import Span, spans
from deployments.inference.sifting import Sifted, sift
from deployments.inference.topics import NO_TOPIC, Topics, find_topics
from deployments.kit.vectors import Vectors, unpacked
from deployments.models.contracts import ModelsApi

AT_ONCE: Final = 128
"""Texts of one call to the encoder."""

# Two quotes that are nearer say the same twice.
_SAME: Final = 0.93

Progress = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Quote:
    """A piece of the text at `place` of what was given."""

    place: int
    span: Span


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic with how many texts are about it; `phrases` is empty where only one text is."""

    phrases: tuple[str, ...]
    count: int
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What texts are about, the largest topic first; `model` compared them."""

    model: str
    counts: Counts
    topics: tuple[FoundTopic, ...]


async def summarised(
    models: ModelsApi,
    texts: Sequence[str],
    *,
    language: str | None,
    topics: int | None,
    quotes: int,
    progress: Progress | None = None,
) -> Found:
    """What texts are about. Raises ModelMissing."""
    sifted = await asyncio.to_thread(sift, texts)
    if not sifted.texts:
        return Found("", _counts(len(texts), sifted, 0), ())
    model, vectors = await embedded(models, sifted.texts, progress)
    weights = np.array([len(places) for places in sifted.places], dtype=np.float64)
    found = await asyncio.to_thread(find_topics, vectors, weights, topics)
    phrases = await asyncio.to_thread(names, sifted.texts, found.groups.tolist(), language)
    chosen = await _quoted(models, sifted, found, vectors, quotes)
    told = tuple(
        FoundTopic(
            phrases.get(topic, ()) if np.count_nonzero(found.groups == topic) > 1 else (),
            int(weights[found.groups == topic].sum()),
            chosen[topic],
        )
        for topic in range(found.count)
        if np.any(found.groups == topic)
    )
    unassigned = int(weights[found.groups == NO_TOPIC].sum())
    return Found(model, _counts(len(texts), sifted, unassigned), told)


async def embedded(models: ModelsApi, texts: Sequence[str], progress: Progress | None = None) -> tuple[str, Vectors]:
    """The model and the vectors of texts, in calls that nobody has to wait for long. At least one text."""
    parts: list[Vectors] = []
    model = ""
    for start in range(0, len(texts), AT_ONCE):
        embeddings = await models.embed(texts[start : start + AT_ONCE])
        model = embeddings.model
        parts.append(unpacked(embeddings.vectors, embeddings.dimensions))
        if progress is not None:
            await progress(min(start + AT_ONCE, len(texts)), len(texts))
    return model, np.concatenate(parts)


async def _quoted(
    models: ModelsApi, sifted: Sifted, found: Topics, vectors: Vectors, most: int
) -> list[tuple[Quote, ...]]:
    """Quotes for each topic: texts near its centre that do not say the same, and of long texts the nearest sentence."""
    wanted: list[list[int]] = []
    for topic in range(found.count):
        picked: list[int] = []
        for text in found.members(topic)[:100]:
            if all(float(vectors[text] @ vectors[other]) < _SAME for other in picked):
                picked.append(int(text))
            if len(picked) == most:
                break
        wanted.append(picked)
    pieces = {text: spans(sifted.texts[text])[:40] for picked in wanted for text in picked}
    long = [(text, span) for text, parts in pieces.items() if len(parts) > 1 for span in parts]
    nearest: dict[int, Vectors] = {}
    if long:
        _, sentences = await embedded(models, [span.of(sifted.texts[text]) for text, span in long])
        for text in {text for text, _ in long}:
            nearest[text] = sentences[[place for place, (other, _) in enumerate(long) if other == text]]
    return [
        tuple(
            Quote(
                sifted.places[text][0],
                pieces[text][int((nearest[text] @ found.centres[topic]).argmax()) if text in nearest else 0],
            )
            for text in picked
        )
        for topic, picked in enumerate(wanted)
    ]


def _counts(texts: int, sifted: Sifted, unassigned: int) -> Counts:
    return Counts(
        texts=texts,
        said=sifted.said,
        distinct=len(sifted.texts),
        empty=len(sifted.empty),
        nonsense=len(sifted.nonsense),
        unassigned=unassigned,
    )


_FRAMES: Final = {
    "en": ("{said} of {texts} answers say something.", "answers", "Nobody said anything."),
    "de": ("{said} von {texts} Antworten sagen etwas aus.", "Antworten", "Niemand hat etwas gesagt."),
    "fr": ("{said} réponses sur {texts} disent quelque chose.", "réponses", "Personne n'a rien dit."),
    "es": ("{said} de {texts} respuestas dicen algo.", "respuestas", "Nadie ha dicho nada."),
}


def told(
    counts: Counts,
    topics: Sequence[tuple[tuple[str, ...], int]],
    citations: Sequence[tuple[int, Citation]],
    *,
    model: str,
    language: str | None,
) -> Generation:
    """The summary as it is read: `topics` are phrases and counts, `citations` have the place of their topic.

    The frame of words is English where there is none of the language.
    """
    first, unit, nothing = _FRAMES.get((language or "en").partition("-")[0].lower(), _FRAMES["en"])
    lines = [first.format(said=counts.said, texts=counts.texts) if counts.said else nothing]
    shown: list[Topic] = []
    for place, (phrases, count) in enumerate(topics):
        numbers = [number for number, (topic, _) in enumerate(citations, 1) if topic == place]
        quotes = " ".join(f"“{citations[number - 1][1].quote}” [{number}]" for number in numbers)
        name = ", ".join(phrases)
        share = count / counts.said if counts.said else 0.0
        shown.append(Topic(name=name, phrases=list(phrases), count=count, share=round(share, 4), citations=numbers))
        head = f"{name}: " if name else ""
        lines.append(f"- {head}{count} {unit} ({share:.0%}). {quotes}".rstrip())
    return Generation(
        task="summary",
        text="\n".join(lines),
        method="extractive",
        model=model or None,
        citations=[citation for _, citation in citations],
        topics=shown,
        counts=counts,
    )
