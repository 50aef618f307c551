"""Suggested replies: the snippet that is about what somebody wrote, with their answers in it; none when none is."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np

from deployments.inference.filling import fill, plain
from deployments.inference.generate_contracts import Citation, Generation, Snippet
from deployments.inference.quoting import spans
from deployments.inference.summarising import embedded
from deployments.kit.vectors import Vectors
from deployments.models.contracts import ModelsApi

FITS: Final = 0.4
"""Least likeness of a snippet that is suggested; texts of different matters of one business stay below."""

_KEPT: Final = 20_000
_PIECES: Final = 30


@dataclass(frozen=True, slots=True)
class Subject:
    """What a reply is to: texts, and what its placeholders stand for."""

    texts: Sequence[str]
    answers: Mapping[str, str]
    values: Mapping[str, str]


class Replies:
    """Compares texts with snippets; the vectors of snippets are kept by their words, in this process."""

    def __init__(self, models: ModelsApi) -> None:
        self._models = models
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()

    async def reply(self, subject: Subject, snippets: Sequence[Snippet], language: str | None) -> Generation:
        """The reply that fits best, or one without a text."""
        texts = [span.of(text) for text in subject.texts for span in spans(text)][:_PIECES]
        texts = [text for text in texts if text.strip()]
        if not texts:
            return _nothing(None, "There is no text to reply to.")
        if not snippets:
            return _nothing(None, "There are no snippets.")
        model, vectors = await embedded(self._models, texts)
        likeness = await self._likeness(model, vectors, snippets)
        # In the wanted language first; in another one only when that is all there is.
        spoken = [_speaks(snippet, language) for snippet in snippets]
        order = sorted(range(len(snippets)), key=lambda place: (not spoken[place], -likeness[place], place))
        best = order[0]
        if likeness[best] < FITS:
            return _nothing(model, "No snippet is about this.", float(likeness[best]))
        snippet = snippets[best]
        filled = fill(snippet.text, subject.answers, subject.values)
        notes = [] if spoken[best] else [f"There is no snippet in the language {language}."]
        return Generation(
            task="reply",
            text=filled.text,
            method="extractive",
            model=model,
            citations=[Citation(snippet_id=snippet.id, start=0, end=len(snippet.text), quote=snippet.text)],
            confidence=round(float(likeness[best]), 4),
            missing=list(filled.missing),
            notes=notes,
        )

    async def _likeness(self, model: str, vectors: Vectors, snippets: Sequence[Snippet]) -> Vectors:
        # Titles and tags say what a snippet is for, its words what it says.
        words = [
            part
            for snippet in snippets
            for part in (" ".join((snippet.title, *snippet.tags)), plain(snippet.text)[:2_000] or snippet.title)
        ]
        keys = [sha256(f"{model}\0{word}".encode("utf-8", "surrogatepass")).digest() for word in words]
        unknown = {key: word for key, word in zip(keys, words, strict=True) if key not in self._known}
        if unknown:
            _, found = await embedded(self._models, list(unknown.values()))
            self._known.update(zip(unknown, found, strict=True))
        rows = np.stack([self._known[key] for key in keys])
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        whole = vectors.mean(axis=0)
        asked = np.vstack([vectors, whole / max(float(np.linalg.norm(whole)), 1e-12)])
        best: Vectors = (rows @ asked.T).max(axis=1).reshape(-1, 2).max(axis=1)
        return best


def _speaks(snippet: Snippet, language: str | None) -> bool:
    if language is None or snippet.language is None:
        return True
    return snippet.language.partition("-")[0].lower() == language.partition("-")[0].lower()


def _nothing(model: str | None, note: str, confidence: float | None = None) -> Generation:
    return Generation(
        task="reply", text="", method="extractive", model=model, citations=[], confidence=confidence, notes=[note]
    )
