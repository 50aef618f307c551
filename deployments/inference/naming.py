"""Names of groups of texts: the phrases that tell a group from the others.

Class-based TF-IDF (Grootendorst, "BERTopic", 2022): a group is one document; a phrase weighs by how many texts of the
group have it and how rare it is in the others. Endings do not count; shown is the form that is written most.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import snowballstemmer  # type: ignore[import-untyped]
import stop_words

MOST_PHRASES: Final = 3
_LONGEST: Final = 3
_TEXT: Final = 1_000
_WORD: Final = re.compile(r"[^\W\d_](?:[^\W_]|['’-](?=[^\W\d_]))*")
_LANGUAGES: Final = {
    "ar": "arabic",
    "bg": "bulgarian",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "he": "hebrew",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sk": "slovak",
    "sv": "swedish",
    "tr": "turkish",
    "uk": "ukrainian",
    "vi": "vietnamese",
}
# What people put around everything they say in answers.
_MANNERS: Final = {
    "english": "please thanks thank hi hello hey get got also still just like want need would could really very much "
    "anything something everything thing things one way know tell dont don't can't cant i'm i've it's didn't doesn't "
    "isn't wasn't won't haven't hasn't there's that's what's im ive",
    "german": "bitte danke hallo gern gerne immer auch schon mal sehr mehr ganz geht gibt wäre hätte",
    "french": "merci bonjour svp très plus aussi",
    "spanish": "gracias hola favor muy más también",
}
_GUESSED: Final = ("english", "german", "french", "spanish", "italian", "dutch", "portuguese", "polish", "swedish")


class Vocabulary:
    """The words of a language (BCP 47); without one, that whose little words the texts use most."""

    def __init__(self, language: str | None, texts: Sequence[str]) -> None:
        name = _LANGUAGES.get((language or "").partition("-")[0].lower(), "")
        self.name = name or ("" if language else _guessed(texts))
        self._idle = _idle(self.name) if self.name else frozenset()
        self._stem = _stemmer(self.name)
        self._shown: dict[str, Counter[str]] = {}

    def phrases(self, text: str) -> set[tuple[str, ...]]:
        """The phrases of a text as stems, each once: words that say something, next to each other."""
        found: set[tuple[str, ...]] = set()
        for run in self._runs(text[:_TEXT]):
            stems = [self._stemmed(word) for word in run]
            for size in range(1, _LONGEST + 1):
                for start in range(len(run) - size + 1):
                    phrase = tuple(stems[start : start + size])
                    found.add(phrase)
                    self._shown.setdefault(" ".join(phrase), Counter())[" ".join(run[start : start + size])] += 1
        return found

    def shown(self, phrase: tuple[str, ...]) -> str:
        """The phrase as it is written most."""
        forms = self._shown[" ".join(phrase)]
        return min(forms, key=lambda form: (-forms[form], form))

    def _stemmed(self, word: str) -> str:
        return self._stem(word)

    def _runs(self, text: str) -> Iterator[list[str]]:
        run: list[str] = []
        end = 0
        plain = unicodedata.normalize("NFKC", text).casefold()
        for match in _WORD.finditer(plain):
            word = match.group()
            if run and plain[end : match.start()].strip():
                yield run
                run = []
            end = match.end()
            if word in self._idle or len(word) < 2:
                if run:
                    yield run
                run = []
            else:
                run.append(word)
        if run:
            yield run


def names(texts: Sequence[str], groups: Sequence[int], language: str | None = None) -> dict[int, tuple[str, ...]]:
    """Up to three phrases for each group but those below 0, the most telling first. `groups` is the group of each text.

    A phrase stands in two texts of the group at least, where the group has so many.
    """
    vocabulary = Vocabulary(language, texts)
    sizes = Counter(group for group in groups if group >= 0)
    per_group: dict[int, Counter[tuple[str, ...]]] = {group: Counter() for group in sizes}
    overall: Counter[tuple[str, ...]] = Counter()
    for text, group in zip(texts, groups, strict=True):
        if group >= 0:
            found = vocabulary.phrases(text)
            per_group[group].update(found)
            overall.update(found)
    total = sum(sizes.values())
    return {group: _best(found, overall, sizes[group], total, vocabulary) for group, found in sorted(per_group.items())}


def _best(
    found: Counter[tuple[str, ...]], overall: Counter[tuple[str, ...]], size: int, total: int, vocabulary: Vocabulary
) -> tuple[str, ...]:
    least = min(2, size)

    def weight(phrase: tuple[str, ...]) -> float:
        within = found[phrase] / size
        outside = (overall[phrase] - found[phrase] + 0.5) / (total - size + 1)
        longer: float = 1 + 0.35 * (len(phrase) - 1)
        return within * math.log1p(within / outside) * longer

    ranked = sorted((p for p in found if found[p] >= least), key=lambda p: (-weight(p), p))
    chosen: list[tuple[str, ...]] = []
    for phrase in ranked[:50]:
        if all(set(phrase).isdisjoint(other) for other in chosen):
            chosen.append(phrase)
        if len(chosen) == MOST_PHRASES:
            break
    return tuple(vocabulary.shown(phrase) for phrase in chosen)


def language_of(text: str) -> str | None:
    """The language (BCP 47) whose little words a text uses most; None when it has none."""
    name = _guessed([text])
    return next((tag for tag, known in _LANGUAGES.items() if known == name), None)


def _guessed(texts: Sequence[str]) -> str:
    words = Counter(word for text in texts[:2_000] for word in _WORD.findall(text[:_TEXT].casefold()))
    hits = {name: sum(count for word, count in words.items() if word in _idle(name)) for name in _GUESSED}
    best = max(_GUESSED, key=lambda name: hits[name])
    return best if hits[best] else ""


@lru_cache(maxsize=64)
def _idle(name: str) -> frozenset[str]:
    words = {unicodedata.normalize("NFKC", word).casefold() for word in stop_words.get_stop_words(name)}
    return frozenset(words | set(_MANNERS.get(name, "").split()))


@lru_cache(maxsize=64)
def _stemmer(name: str) -> Callable[[str], str]:
    if name not in snowballstemmer.algorithms():
        return lambda word: word
    stem: Callable[[str], str] = lru_cache(maxsize=65_536)(snowballstemmer.stemmer(name).stemWord)
    return stem
