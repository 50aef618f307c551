"""F8: the texts of a form in all its languages."""

from typing import Any

import pytest

from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.engine.translations import best_language
from tests.deployments.kit.engine.forms import COLUMNS, ROWS, SIDES, make_document, make_element, refused

GERMAN: dict[str, Any] = {
    "title": "Fest",
    "buttons": {"submit": "Absenden"},
    "pages": {"p1": {"title": "Erste Seite"}},
    "elements": {
        "side": {"title": "Beilage", "options": {"corn": "Mais"}},
        "views": {"rows": {"han": "Hans"}, "columns": {"good": "Gut"}},
        "mood": {"min_label": "schlecht"},
        "items": {"item_title": "Ding"},
        "inner": {"title": "Innen", "description": "Drinnen"},
        "nested": {"title": "Im Abschnitt"},
    },
    "rules": {"r": "Nein."},
}


def make_translated(**translations: Any) -> dict[str, Any]:
    document = make_document(
        make_element("choice", "side", options=SIDES),
        make_element("matrix", "views", rows=ROWS, columns=COLUMNS),
        make_element("scale", "mood", min_label="bad", max_label="good"),
        make_element(
            "group", "items", item_title="Thing", elements=[make_element("nps", "inner", description="Inside")]
        ),
        make_element("section", "sec", elements=[make_element("short_text", "nested")]),
        title="Party",
        languages=["en", "de", "pt-BR", "ar"],
        rules=[{"id": "r", "check": "true", "message": "No."}],
        translations=translations,
    )
    document["pages"][0]["title"] = "First page"
    return document


class TestLocalized:
    FORM = parse_definition(make_translated(de=GERMAN, ar={"title": "حفلة"}))

    def test_every_text_is_in_the_language(self) -> None:
        """F8: what is translated is in the language, the rest in the form's first one."""
        form = self.FORM.localized("de")
        page = form.pages[0]
        side, views, mood, items, section = page.elements

        assert (form.title, form.languages[0], form.buttons.submit, form.rules[0].message) == (
            "Fest",
            "de",
            "Absenden",
            "Nein.",
        )
        assert (page.title, side.title) == ("Erste Seite", "Beilage")
        assert side.texts()["options"] == {"corn": "Mais", "yams": "Yams, candied"}
        assert views.texts()["rows"] == {"han": "Hans", "leia": "Leia"}
        assert views.texts()["columns"] == {"good": "Gut", "bad": "Unfavorable"}
        assert (mood.texts()["min_label"], mood.texts()["max_label"]) == ("schlecht", "good")
        assert (items.texts()["item_title"], items.title) == ("Ding", "Items")
        assert [field.title for field in form.inner_fields().__next__()[0].fields] == ["Innen"]
        assert section.elements[0].title == "Im Abschnitt"  # type: ignore[attr-defined]

    def test_it_is_a_form_like_any_other(self) -> None:
        form = self.FORM.localized("de")

        assert parse_definition(form.document()) == form
        assert compile_form(form).check({"side": "corn"}) == ({"side": "corn"}, ())

    @pytest.mark.parametrize(
        ("wanted", "chosen"),
        [
            ("de", "de"),
            ("de-AT", "de"),
            ("DE_at", "de"),
            ("pt-BR", "pt-BR"),
            ("pt", "pt-BR"),
            ("pt-PT", "pt-BR"),
            ("ar-EG", "ar"),
            ("fr", "en"),
            ("", "en"),
            ("en-GB", "en"),
        ],
    )
    def test_the_best_language_is_chosen(self, wanted: str, chosen: str) -> None:
        """F8: a less exact language is better than none, and the first of the form is always there."""
        assert self.FORM.localized(wanted).languages[0] == chosen

    def test_a_less_exact_language_is_better_than_a_sibling(self) -> None:
        """RFC 4647 §3.4: what is read in Taiwan is not what is read in Beijing."""
        assert best_language(["en", "zh-Hans", "zh-Hant"], "zh-Hant-TW") == "zh-Hant"

    def test_translations_survive_the_round_trip(self) -> None:
        assert parse_definition(self.FORM.document()) == self.FORM
        assert self.FORM.document()["translations"]["de"] == GERMAN

    def test_a_form_without_translations_is_itself(self) -> None:
        form = parse_definition(make_document(make_element("nps")))

        assert form.localized("de") is form


@pytest.mark.parametrize(
    ("language", "texts", "expected"),
    [
        ("fr", {"title": "Fête"}, [("", "definition.unknown_language")]),
        ("en", {"title": "Party!"}, [("", "definition.unknown_language")]),
        ("de", {"description": "x"}, [("/description", "definition.no_text")]),
        ("de", {"colour": "x"}, [("/colour", "definition.unknown_property")]),
        ("de", {"pages": {"p9": {"title": "x"}}}, [("/pages/p9", "definition.unknown_page")]),
        ("de", {"pages": {"p1": {"description": "x"}}}, [("/pages/p1/description", "definition.no_text")]),
        ("de", {"elements": {"gone": {"title": "x"}}}, [("/elements/gone", "definition.unknown_field")]),
        ("de", {"elements": {"side": {"min_label": "x"}}}, [("/elements/side/min_label", "definition.no_text")]),
        ("de", {"elements": {"side": {"rows": {"a": "x"}}}}, [("/elements/side/rows", "definition.no_text")]),
        (
            "de",
            {"elements": {"side": {"options": {"peas": "x"}}}},
            [("/elements/side/options/peas", "definition.no_text")],
        ),
        ("de", {"elements": {"side": {"title": ""}}}, [("/elements/side/title", "definition.too_short")]),
        ("de", {"rules": {"gone": "x"}}, [("/rules/gone", "definition.no_text")]),
    ],
)
def test_translations_of_what_there_is_not_are_refused(
    language: str, texts: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """F8: a translation that nobody would ever see is a mistake, and it is named."""
    found = refused(make_translated(**{language: texts}))

    assert found == [(f"/translations/{language}{suffix}", code) for suffix, code in expected]
