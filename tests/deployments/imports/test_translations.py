"""F6, F8: texts in several languages are carried in and out, where the formats have a place for them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from deployments.imports.notices import Notices
from deployments.imports.surveyjs.writing import write_surveyjs
from deployments.imports.translating import translation
from deployments.imports.xlsform.columns import language_code
from deployments.imports.xlsform.workbook import read_workbook
from deployments.imports.xlsform.writing import write_xlsform
from tests.deployments.imports.samples import CHOICES, SETTINGS, SURVEY, codes, read, workbook

FORM: dict[str, Any] = {
    "title": "Visit",
    "pages": [
        {
            "id": "p",
            "title": "You",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name"},
                {"id": "how", "type": "scale", "title": "How was it?", "min_label": "bad"},
                {"id": "side", "type": "choice", "title": "Side", "options": [{"id": "corn", "label": "Corn"}]},
            ],
        }
    ],
    "languages": ["en", "de", "fr"],
    "translations": {
        "de": {
            "title": "Besuch",
            "pages": {"p": {"title": "Sie"}},
            "elements": {
                "name": {"title": "Ihr Name"},
                "how": {"title": "Wie war es?", "min_label": "schlecht"},
                "side": {"options": {"corn": "Mais"}},
            },
        },
        "fr": {"elements": {"name": {"title": "Nom"}}},
    },
}


def test_an_xlsform_with_columns_of_languages(tmp_path: Path) -> None:
    source = read("xlsform", workbook(survey=SURVEY, choices=CHOICES, settings=SETTINGS), tmp_path)
    document = source.form.definition.document()
    assert document["languages"] == ["en", "de"]
    texts = document["translations"]["de"]
    assert texts["pages"]["who"] == {"title": "Über dich"}
    assert texts["elements"]["work"]["options"] == {"yes": "Ja", "no": "Nein"}
    assert "language.left_out" not in [code for _, code in codes(source)]


def test_a_survey_with_texts_in_languages(tmp_path: Path) -> None:
    survey = {
        "title": {"default": "Visit", "de": "Besuch", "made up": "?"},
        "pages": [
            {
                "name": "p",
                "elements": [
                    {
                        "type": "radiogroup",
                        "name": "side",
                        "title": {"default": "Side", "de": "Beilage", "zh-cn": "配菜"},
                        "choices": [{"value": "corn", "text": {"default": "Corn", "de": "Mais"}}, "yams"],
                    }
                ],
            }
        ],
    }
    source = read("surveyjs_json", json.dumps(survey), tmp_path)
    document = source.form.definition.document()
    assert document["languages"] == ["en", "de", "zh-cn"]
    assert document["translations"] == {
        "de": {"title": "Besuch", "elements": {"side": {"title": "Beilage", "options": {"corn": "Mais"}}}},
        "zh-cn": {"elements": {"side": {"title": "配菜"}}},
    }
    assert codes(source) == [("", "language.left_out")]


def test_other_tools_see_the_languages() -> None:
    """What is written has them where XLSForm and SurveyJS look for them."""
    content = write_xlsform(FORM, "A form", Notices())
    book = read_workbook(io.BytesIO(content))
    assert book.headers["survey"][2:5] == ["label::English (en)", "label::German (de)", "label::French (fr)"]
    (name,) = [row.cells for row in book.rows["survey"] if row.get("name") == "name"]
    assert [name[f"label::{each}"] for each in ("German (de)", "French (fr)")] == ["Ihr Name", "Nom"]
    survey = json.loads(write_surveyjs(FORM, "A form", Notices()))
    assert survey["title"] == {"default": "Visit", "de": "Besuch"}
    how = survey["pages"][0]["elements"][1]
    assert how["minRateDescription"] == {"default": "bad", "de": "schlecht"}


def test_a_text_that_was_changed_elsewhere_counts(tmp_path: Path) -> None:
    """What a mark keeps of a translation does not undo what somebody wrote into its column."""
    content = write_xlsform(FORM, "A form", Notices())
    book = load_workbook(io.BytesIO(content))
    header, *rows = book["survey"].iter_rows()
    names = [cell.value for cell in header]
    (row,) = [row for row in rows if row[names.index("name")].value == "name"]
    row[names.index("label::French (fr)")].value = "Votre nom"
    book.save(changed := io.BytesIO())
    document = read("xlsform", changed.getvalue(), tmp_path).form.definition.document()
    assert document["translations"]["fr"] == {"elements": {"name": {"title": "Votre nom"}}}
    assert document["translations"]["de"]["elements"]["how"] == {"title": "Wie war es?", "min_label": "schlecht"}


@pytest.mark.parametrize(
    ("name", "tag"),
    [("Deutsch (de)", "de"), ("pt-BR", "pt-BR"), ("French", "fr"), ("español", "es"), ("Klingon?", None)],
)
def test_a_column_names_its_language(name: str, tag: str | None) -> None:
    assert language_code(name) == tag


def test_only_what_both_have_is_a_translation() -> None:
    base = {"pages": [{"id": "p", "elements": [{"id": "a", "title": "A"}]}], "rules": [{"id": "r", "message": "No"}]}
    other = {
        "title": "T",
        "pages": [{"id": "p", "elements": [{"id": "a", "title": "Á", "description": "D"}, {"id": "b", "title": "B"}]}],
        "rules": [{"id": "r", "message": "Nein"}],
    }
    assert translation(base, other) == {"elements": {"a": {"title": "Á"}}, "rules": {"r": "Nein"}}
