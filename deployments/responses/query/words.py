"""Full text: the words of a text as the index has them, and those of a search.

Case, accents and, in the languages of the form, endings do not count. Scripts without spaces between words are taken in
pairs of characters. The same on both databases, because it happens here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import snowballstemmer  # type: ignore[import-untyped]

from db.repositories.answer_values import LONGEST
from db.repositories.response_filters import Word

MAX_WORDS: Final = 16

_LANGUAGES: Final = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
# Vowel signs and accents belong to the letter before them, but are no letters themselves.
_MARKS: Final = "".join(mark for mark in map(chr, range(0x300, 0x20000)) if unicodedata.category(mark)[0] == "M")
_WORD: Final = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")
_ASCII_WORD: Final = re.compile(r"[a-z0-9]+")
# Thai, Lao, Burmese, Khmer, kana, Han with its extensions, and Hangul is written with spaces, so it is not here.
_WITHOUT_SPACES: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+"
)


class Words:
    """The words of texts in some languages (BCP 47); a language without a stemmer has its words as they are."""

    def __init__(self, languages: Iterable[str]) -> None:
        names = {_LANGUAGES.get(language.partition("-")[0].lower(), "") for language in languages}
        self._stemmers = tuple(_stemmer(name) for name in sorted(names - {""}))
        self._forms = lru_cache(maxsize=65_536)(self._forms_of)

    def forms(self, text: str) -> set[str]:
        """Every form under which a word of the text can be found."""
        return set().union(*map(self._forms, _words(text, letters=True)))

    def search(self, query: str) -> tuple[Word, ...]:
        """The words of a search, each once. A word that ends in `*` stands for all that begin so."""
        found: dict[Word, None] = {}
        for part in query.split():
            words = list(_words(part))
            for place, word in enumerate(words, 1):
                forms = tuple(sorted(self._forms(word)))
                if forms and place == len(words) and part.endswith("*"):
                    found[Word((_plain(word),), is_prefix=True)] = None
                elif forms:
                    found[Word(forms)] = None
        return tuple(found)

    def matcher(
        self, words: tuple[Word, ...], texts: Callable[[Mapping[str, Any]], Iterable[str]]
    ) -> Callable[[Mapping[str, Any]], bool]:
        """Whether answers have all the words in their texts."""

        def has_words(answers: Mapping[str, Any]) -> bool:
            forms: set[str] = set().union(*(self.forms(text) for text in texts(answers)))
            return all(_is_among(word, forms) for word in words)

        return has_words

    def _forms_of(self, word: str) -> frozenset[str]:
        plain = _plain(word)
        if word.isalnum() and not word.isalpha():
            return frozenset((plain,))  # what has digits has no endings
        stems = {_plain(stem(each)) for stem in self._stemmers for each in {word, plain}}
        return frozenset(form[:LONGEST] for form in {plain, *stems} if form)


def _is_among(word: Word, forms: set[str]) -> bool:
    if word.is_prefix:
        return any(form.startswith(word.forms) for form in forms)
    return not forms.isdisjoint(word.forms)


def _words(text: str, *, letters: bool = False) -> Iterable[str]:
    """`letters`: of scripts without spaces each character, too."""
    if text.isascii():
        yield from _ASCII_WORD.findall(text.lower())
        return
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match.group()
        place = 0
        for dense in _WITHOUT_SPACES.finditer(word):
            if place < dense.start():
                yield word[place : dense.start()]
            yield from _pairs(dense.group())
            if letters:
                yield from dense.group()
            place = dense.end()
        if place < len(word):
            yield word[place:]


def _pairs(text: str) -> Iterable[str]:
    return (text[place : place + 2] for place in range(max(1, len(text) - 1)))


@lru_cache(maxsize=65_536)
def _plain(word: str) -> str:
    """The word without accents."""
    if word.isascii():
        return word[:LONGEST]
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(character for character in decomposed if not unicodedata.combining(character))[:LONGEST]


@lru_cache(maxsize=64)
def _stemmer(name: str) -> Callable[[str], str]:
    stem: Callable[[str], str] = snowballstemmer.stemmer(name).stemWord
    return stem
