"""What the page itself says, in the visitor's language."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from deployments.kit.errors import Fault

LANGUAGES: Final = ("en", "de", "fr", "es", "ar")
"""Languages with a catalogue; the first stands in for all others."""

RIGHT_TO_LEFT: Final = frozenset({"ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"})

_MOST_RANGES = 20
_TEMPORAL = frozenset({"date", "time", "datetime"})
_NUMERIC = frozenset({"number", "currency", "integer", "rating", "scale", "nps"})
_LIMITS: Final = {
    "length.min": "min_length",
    "length.max": "max_length",
    "range.min": "min",
    "range.max": "max",
    "decimals.max": "max_decimals",
    "choices.min": "min_choices",
    "choices.max": "max_choices",
    "items.min": "min_items",
    "items.max": "max_items",
}
_TEMPORAL_CODES: Final = {"range.min": "range.earliest", "range.max": "range.latest"}


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language. `language` is the one that was asked for, `right_to_left` how it is written."""

    language: str
    right_to_left: bool
    _catalogue: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with `values` in it."""
        text = self._catalogue[key]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def fault(self, fault: Fault, element: Mapping[str, Any] | None) -> str:
        """What is wrong with an answer to `element`. A code without a text of its own is told as the engine does."""
        kind = "" if element is None else element["type"]
        code = fault.code
        if code == "type" and kind in _NUMERIC:
            code = "type.number"
        if kind in _TEMPORAL:
            code = _TEMPORAL_CODES.get(code, code)
        text = self._catalogue.get(f"fault.{code}")
        if text is None:
            return fault.detail
        if "{limit}" not in text:
            return text
        limit = _limit(element or {}, _LIMITS[fault.code])
        return fault.detail if limit is None else text.replace("{limit}", str(limit))


def texts_in(language: str) -> Texts:
    """The texts in `language`, or in English where there is no catalogue for it."""
    root = language.partition("-")[0].lower()
    return Texts(language, root in RIGHT_TO_LEFT, catalogue(root if root in LANGUAGES else LANGUAGES[0]))


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The texts of one of LANGUAGES, by key."""
    file = resources.files("serve_app.web").joinpath("form", "texts", f"{language}.json")
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def language_name(language: str) -> str:
    """What a language is called by those who speak it; its tag when that is not known."""
    root = language.partition("-")[0].lower()
    return catalogue(root)["language_name"] if root in LANGUAGES else language


def negotiated(offered: Sequence[str], asked: str | None, accepted: str | None) -> str:
    """One of `offered`: the one that was asked for, else the best of an Accept-Language header (RFC 9110 §12.5.4,
    matched by lookup, RFC 4647 §3.4), else the first."""
    known = {tag.lower(): tag for tag in reversed(offered)}
    for wanted in ([asked] if asked else []) + _ranges(accepted or ""):
        tag = wanted.lower()
        while tag:
            if tag in known:
                return known[tag]
            tag = tag.rpartition("-")[0]
        root = wanted.lower().partition("-")[0]
        found = next((language for language in offered if language.lower().partition("-")[0] == root), None)
        if found is not None:
            return found
    return offered[0]


def _ranges(header: str) -> list[str]:
    weighed = []
    for part in header[:1000].split(",")[:_MOST_RANGES]:
        tag, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                continue
        if tag and quality > 0:
            weighed.append((quality, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


def _limit(element: Mapping[str, Any], name: str) -> object:
    limit = element.get("validation", {}).get(name)
    return element.get(name) if limit is None else limit
