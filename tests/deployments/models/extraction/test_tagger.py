"""A3: people, organisations and places."""

import pytest

from deployments.models.extraction import names, tagger
from deployments.models.extraction.reading import Reading
from tests.deployments.models.extraction.finding import entities

SENTENCES = [
    ("My name is Ada Lovelace and I live in London.", [("person", "Ada Lovelace"), ("place", "London")]),
    ("thanks to john smith, great service", [("person", "john smith")]),
    ("Can I use my card in the UK or in New York?", [("place", "UK"), ("place", "New York")]),
    ("Delivery from Amazon took ages", [("organisation", "Amazon")]),
    (
        "Ich heiße Jürgen Müller und arbeite bei der Siemens AG in München.",
        [("person", "Jürgen Müller"), ("organisation", "Siemens AG"), ("place", "München")],
    ),
    ("Je m'appelle Amélie Dupont, j'habite à Lyon.", [("person", "Amélie Dupont"), ("place", "Lyon")]),
    ("Me llamo José García y vivo en Sevilla.", [("person", "José García"), ("place", "Sevilla")]),
    ("Das Essen im Restaurant war lecker, besonders die Suppe.", []),
    ("The staff was great but the food was cold.", []),
    ("Le service client était très gentil.", []),
    ("La habitación estaba sucia y el desayuno frío.", []),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_who_and_where(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(each.type, each.text) for each in entities(text)] == expected


def test_confidence_is_a_probability() -> None:
    sure, unsure = entities("My name is Ada Lovelace.")[0], entities("it was severo or so with Blue")
    assert 0.9 < sure.confidence <= 1
    assert all(0.7 <= each.confidence <= 1 for each in unsure)


def test_the_artefacts_are_small_and_say_what_they_are() -> None:
    assert tagger.FILE.stat().st_size < 2_000_000
    assert names.PLACES.stat().st_size < 200_000
    assert tagger.FILE.with_name("tagger.md").read_text().startswith("# ")
    assert tagger.Tagger().version in tagger.FILE.with_name("tagger.md").read_text()


def test_a_text_of_many_parts_is_read_to_its_end() -> None:
    text = "nothing . " * 3_000 + "My name is Ada Lovelace."
    found = list(tagger.Tagger().findings(Reading(text)))
    assert [text[each.start : each.end] for each in found] == ["Ada Lovelace"]
