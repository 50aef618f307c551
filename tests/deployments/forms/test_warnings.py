"""F8, F9: what a definition may say and hardly means."""

from typing import Any

from deployments.forms.warnings import MAX_WARNINGS, missing_texts, warnings_of
from deployments.kit.engine import parse_definition
from tests.factories import PARTY


def missing(**changes: Any) -> list[tuple[str, str]]:
    document = {
        "title": "Party",
        "languages": ["en", "de"],
        "pages": [
            {
                "id": "p1",
                "title": "First",
                "elements": [
                    {
                        "id": "run",
                        "type": "section",
                        "title": "Section",
                        "elements": [
                            {
                                "id": "side",
                                "type": "choice",
                                "title": "Side",
                                "options": [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}],
                            }
                        ],
                    }
                ],
            }
        ],
        "rules": [{"id": "r1", "check": "true", "message": "No"}],
        **changes,
    }
    return [(fault.pointer, fault.code) for fault in missing_texts(document)]


def test_a_language_without_any_text() -> None:
    """F8: one warning for the language, not one for each text."""
    assert missing() == [("/languages/1", "warning.no_translation")]
    assert missing(languages=["en"]) == []


def test_each_text_that_a_language_lacks() -> None:
    """F8: titles, labels and messages, at any depth, at their places in the form."""
    translation: dict[str, Any] = {
        "title": "Feier",
        "pages": {"p1": {"title": "Erstens"}},
        "elements": {"run": {"title": "Abschnitt"}, "side": {"title": "Beilage", "options": {"corn": "Mais"}}},
        "rules": {"r1": "Nein"},
    }
    assert missing(translations={"de": translation}) == [
        ("/pages/0/elements/0/elements/0/options/1/label", "warning.missing_text")
    ]
    assert {place for place, _ in missing(translations={"de": {}})} == {
        "/title",
        "/pages/0/title",
        "/pages/0/elements/0/title",
        "/pages/0/elements/0/elements/0/title",
        "/pages/0/elements/0/elements/0/options/0/label",
        "/pages/0/elements/0/elements/0/options/1/label",
        "/rules/0/message",
    }


def test_a_form_as_it_should_be_has_none() -> None:
    assert warnings_of(parse_definition(PARTY)) == ()


def test_they_are_bounded() -> None:
    elements = [{"id": f"e{n}", "type": "short_text", "title": "Same"} for n in range(MAX_WARNINGS + 50)]
    definition = parse_definition({"pages": [{"id": "p1", "elements": elements}]})
    assert len(warnings_of(definition)) == MAX_WARNINGS
