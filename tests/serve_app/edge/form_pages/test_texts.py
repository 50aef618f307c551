"""F8: the page's own words, complete in every language, and which language a visitor gets."""

import re

import pytest

from deployments.kit.errors import Fault
from serve_app.edge.form_pages.locales import countries, moment
from serve_app.edge.form_pages.texts import LANGUAGES, catalogue, language_name, negotiated, texts_in
from tests.serve_app.edge.fakes import NOW

VALUE = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_are_complete(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert other[key].strip()
        assert set(VALUE.findall(other[key])) == set(VALUE.findall(text)), key


def test_translations_differ() -> None:
    """No catalogue is English under another name."""
    for language in LANGUAGES[1:]:
        same = [key for key, text in catalogue(language).items() if text == catalogue("en")[key]]
        assert len(same) < 8, same


@pytest.mark.parametrize(
    ("offered", "asked", "accepted", "expected"),
    [
        (["en", "de"], None, None, "en"),
        (["en", "de"], "de", "en", "de"),
        (["en", "de"], "fr", "de", "de"),
        (["en", "de"], None, "fr, de;q=0.5, en;q=0.4", "de"),
        (["en", "de"], None, "en;q=0, de;q=0.1", "de"),
        (["en", "de-AT"], None, "de", "de-AT"),
        (["en", "de"], None, "de-CH-1996", "de"),
        (["en", "de"], "DE", None, "de"),
        (["en"], "de\r\nSet-Cookie: a=b", "\0;q=x,,;", "en"),
        (["en", "de"], None, "x;q=1," * 100_000 + "de", "en"),
    ],
)
def test_negotiation(offered: list[str], asked: str | None, accepted: str | None, expected: str) -> None:
    assert negotiated(offered, asked, accepted) == expected


def test_a_language_without_a_catalogue_is_spoken_to_in_english() -> None:
    texts = texts_in("he")
    assert (texts.language, texts.right_to_left, texts("next")) == ("he", True, "Next")
    assert texts_in("de-AT")("next") == "Weiter"
    assert language_name("de-AT") == "Deutsch"
    assert language_name("tlh") == "tlh"


def test_faults_are_told_in_the_language() -> None:
    german = texts_in("de")
    text = {"id": "a", "type": "short_text", "validation": {"max_length": 5}}
    fault = Fault("/answers/a", "length.max", "Enter at most 5 characters.")
    assert german.fault(fault, text) == "Geben Sie höchstens 5 Zeichen ein."
    # Without the limit in the definition only the engine knows it; a code of an author's rule has its own words.
    assert german.fault(fault, {"id": "a", "type": "short_text"}) == fault.detail
    assert german.fault(Fault("/answers/a", "rule.sum", "Too much."), text) == "Too much."
    assert german.fault(Fault("/answers/a", "type", ""), {"type": "integer"}) == "Geben Sie eine Zahl ein."
    day = {"type": "date", "validation": {"min": "2026-01-01"}}
    assert texts_in("en").fault(Fault("/answers/a", "range.min", ""), day) == "Enter 2026-01-01 or later."
    stars = {"type": "rating", "max": 5}
    assert texts_in("en").fault(Fault("/answers/a", "range.max", ""), stars) == "Enter 5 or less."


def test_countries_are_named_in_the_language() -> None:
    german = dict(countries("de"))
    assert (german["DE"], german["JP"]) == ("Deutschland", "Japan")
    assert len(german) == 249
    assert {"EU", "ZZ", "XK"}.isdisjoint(german)
    assert dict(countries("ar"))["EG"] == "مصر"
    assert countries("xx-invalid-") == countries("en")


def test_moments_are_written_out() -> None:
    assert moment(NOW, "de") == "1. März 2026, 12:00:00 UTC"
