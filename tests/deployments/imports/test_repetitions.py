"""F6: what is asked several times becomes a repeating group, with its conditions and answers, and leaves as one."""

import io
import json
from pathlib import Path
from typing import Any

import orjson
from openpyxl import load_workbook

from deployments.imports.notices import Notices
from deployments.imports.surveyjs.writing import write_surveyjs
from deployments.imports.xlsform.writing import write_xlsform
from deployments.kit.engine import parse_definition
from tests.deployments.imports.samples import codes, elements, read, sheet, taken, workbook

ROWS = sheet(
    {"type": "integer", "name": "age", "label": "Age"},
    {"type": "begin_repeat", "name": "kids", "label": "Kids", "relevant": "${age} > 20", "repeat_count": "5"},
    {"type": "text", "name": "kid", "label": "Name", "constraint": "regex(., '^[A-Z].*$')"},
    {"type": "select_one yn", "name": "school", "label": "At school?", "relevant": "${kid} != '' and ${age} > 30"},
    {"type": "calculate", "name": "double", "calculation": "${age} * 2"},
    {"type": "begin_repeat", "name": "toys", "label": "Toys"},
    {"type": "text", "name": "toy", "label": "Toy"},
    {"type": "end_repeat"},
    {"type": "end_repeat"},
    {"type": "note", "name": "some", "label": "Well", "relevant": "${kid} = 'Ada'"},
)
CHOICES = sheet(
    {"list_name": "yn", "name": "yes", "label": "Yes"},
    {"list_name": "yn", "name": "no", "label": "No"},
)
DYNAMIC = {
    "type": "paneldynamic",
    "name": "kids",
    "maxPanelCount": 3,
    "templateElements": [
        {"type": "text", "name": "kid", "isRequired": True},
        {"type": "radiogroup", "name": "school", "choices": ["yes", "no"], "showOtherItem": True},
        {"type": "text", "name": "which", "visibleIf": "{panel.school} = 'yes' and {age} > 30"},
    ],
}
FAR = {"name": "far", "cellType": "text", "inputType": "number", "visibleIf": "{row.by} = 'car'"}
TABLE = {
    "type": "matrixdynamic",
    "name": "trips",
    "choices": ["car", "train"],
    "columns": [
        {"name": "by"},
        {"name": "far", "cellType": "text", "inputType": "number", "visibleIf": "{row.by} = 'car'"},
    ],
}
AGE = {"type": "text", "name": "age", "inputType": "number"}


def survey(*results: Any) -> str:
    return json.dumps({"survey": {"pages": [{"name": "p", "elements": [AGE, DYNAMIC, TABLE]}]}, "results": results})


def test_a_repeat_of_xlsform(tmp_path: Path) -> None:
    source = read("xlsform", workbook(survey=ROWS, choices=CHOICES), tmp_path)
    group = elements(source)["kids"]
    assert (group["type"], group["max_items"], group["visible_if"]) == ("group", 5, "answers.age > 20")
    inner = {each["id"]: each for each in group["elements"]}
    assert list(inner) == ["kid", "school", "double", "toys", "toy"]
    assert inner["kid"]["validation"] == {"pattern": "[A-Z].*"}
    assert inner["school"]["visible_if"] == "not empty(item.kid) and answers.age > 30"
    assert inner["double"]["value"] == "answers.age * 2"
    # Repetitions in repetitions are asked once; outside of a group what its items say is a list.
    assert codes(source) == [("survey row 7", "type.repeat"), ("survey row 11", "definition.expression_type")]


def test_a_number_of_repetitions_that_is_no_number_is_reported(tmp_path: Path) -> None:
    rows = sheet(
        {"type": "integer", "name": "age", "label": "Age"},
        {"type": "begin_repeat", "name": "kids", "label": "Kids", "repeat_count": "${age}"},
        {"type": "text", "name": "kid", "label": "Name"},
        {"type": "end_repeat"},
    )
    source = read("xlsform", workbook(survey=rows), tmp_path)
    assert codes(source) == [("survey row 3", "property.repeat_count")]


def test_panels_and_rows_of_surveyjs(tmp_path: Path) -> None:
    found = elements(read("surveyjs_json", survey(), tmp_path))
    kids = {each["id"]: each for each in found["kids"]["elements"]}
    assert (found["kids"]["type"], found["kids"]["max_items"]) == ("group", 3)
    assert kids["kid"]["required"] is True
    assert kids["which"]["visible_if"] == "item.school == 'yes' and answers.age > 30"
    trips = {each["id"]: each for each in found["trips"]["elements"]}
    assert [option["id"] for option in trips["by"]["options"]] == ["car", "train"]
    assert trips["far"]["visible_if"] == "item.by == 'car'"


def test_every_item_of_the_results_comes_in(tmp_path: Path) -> None:
    """No item is lost; what the group does not ask is kept beside the answers."""
    result = {
        "age": 40,
        "kids": [
            {"kid": "Ada", "school": "yes", "which": "Hill"},
            {"kid": "Bo", "school": "other", "school-Comment": "?"},
        ],
        "trips": [{"by": "car", "far": 12}, {"by": "train", "unheard": 1}],
    }
    (row,) = taken(read("surveyjs_json", survey(result), tmp_path))
    assert row.answers["kids"] == [
        {"kid": "Ada", "school": "yes", "which": "Hill"},
        {"kid": "Bo", "school": {"other": "?"}},
    ]
    assert row.meta["unmapped"] == {"trips": result["trips"]}


INSIDE: list[dict[str, Any]] = [
    {"id": "kid", "type": "short_text", "title": "Name", "required": True},
    {"id": "old", "type": "integer", "title": "Age", "visible_if": "not empty(item.kid) and answers.many > 1"},
    {
        "id": "likes",
        "type": "matrix",
        "title": "Likes",
        "rows": [{"id": "art", "label": "Art"}],
        "columns": [{"id": "much", "label": "Much"}],
        "visible_if": "item.old >= 3",
    },
]
HOME = {
    "languages": ["en"],
    "pages": [
        {"id": "p1", "elements": [{"id": "many", "type": "integer", "title": "How many?"}]},
        {
            "id": "p2",
            "visible_if": "answers.many > 0",
            "elements": [
                {
                    "id": "home",
                    "type": "section",
                    "title": "At home",
                    "visible_if": "answers.many < 9",
                    "required_if": "answers.many > 5",
                    "elements": [
                        {"id": "kids", "type": "group", "title": "Kids", "item_title": "Kid", "elements": INSIDE},
                        {"id": "pets", "type": "yes_no", "title": "Pets?"},
                    ],
                },
                {"id": "next", "type": "section", "title": "Nothing yet", "elements": []},
            ],
        },
    ],
}


def test_groups_and_sections_leave_as_xlsform_and_come_back(tmp_path: Path) -> None:
    """Other tools see repeats, groups and their questions with their conditions."""
    notices = Notices()
    content = write_xlsform(HOME, "Home", notices)
    header, *rows = load_workbook(io.BytesIO(content))["survey"].iter_rows(values_only=True)
    columns = [header.index(name) for name in ("type", "name", "relevant")]
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("begin_group", "p1", None),
        ("integer", "many", None),
        ("end_group", None, None),
        ("begin_group", "p2", "${many} > 0"),
        ("begin_group", "home", "${many} < 9"),
        ("begin_repeat", "kids", None),
        ("text", "kid", None),
        ("integer", "old", "not(${kid} = '') and ${many} > 1"),
        ("begin_group", "likes", "${old} >= 3"),
        ("select_one likes", "likes_art", None),
        ("end_group", None, None),
        ("end_repeat", None, None),
        ("select_one yes-no", "pets", None),
        ("end_group", None, None),
        ("begin_group", "next", None),
        ("note", "next_empty", None),
        ("end_group", None, None),
        ("end_group", None, None),
    ]
    appearances = [row[header.index("appearance")] for row in rows if row[columns[1]] in ("p1", "p2")]
    assert appearances == ["field-list", None]  # ODK takes no repeats on a screen of several questions
    assert {(notice.where, notice.code) for notice in notices} == {
        ("pets", "type.nearest"),
        ("kids", "property.item_title"),
        ("home", "property.required_if"),
    }
    assert read("xlsform", content, tmp_path).form.definition == parse_definition(HOME)


def test_groups_and_sections_leave_as_surveyjs_and_come_back(tmp_path: Path) -> None:
    """SurveyJS sees panels, which repeat where the group does, with their questions and conditions."""
    notices = Notices()
    content = write_surveyjs(HOME, "Home", notices)
    page = orjson.loads(content)["pages"][1]
    assert page["visibleIf"] == "{many} > 0"
    home, empty = page["elements"]
    assert (home["type"], home["visibleIf"], empty["elements"]) == ("panel", "{many} < 9", [])
    kids = home["elements"][0]
    assert (kids["type"], kids["maxPanelCount"], kids["templateTitle"]) == ("paneldynamic", 20, "Kid")
    assert {inner["name"]: inner.get("visibleIf") for inner in kids["templateElements"]} == {
        "kid": None,
        "old": "{panel.kid} notempty and {many} > 1",
        "likes": "{panel.old} >= 3",
    }
    # A panel that is required is another thing there: one answer is enough.
    assert "requiredIf" not in home
    assert [(notice.where, notice.code) for notice in notices] == [("home", "property.required_if")]
    assert read("surveyjs_json", content, tmp_path).form.definition == parse_definition(HOME)


def test_conditions_of_pages_and_groups_stay_theirs(tmp_path: Path) -> None:
    """Groups are pages and sections, deeper ones headings; a page about its own questions has no condition."""
    rows = sheet(
        {"type": "begin_group", "name": "first", "label": "First", "relevant": "${age} > 20 or ${age} = ''"},
        {"type": "integer", "name": "age", "label": "Age"},
        {"type": "end_group"},
        {"type": "begin_group", "name": "second", "label": "Second", "relevant": "${age} > 20"},
        {"type": "begin_group", "name": "inner", "label": "Inner", "relevant": "${age} > 30"},
        {"type": "text", "name": "why", "label": "Why?"},
        {"type": "begin_group", "name": "deeper", "label": "Deeper", "relevant": "${age} > 40"},
        {"type": "text", "name": "how", "label": "How?"},
        {"type": "end_group"},
        {"type": "end_group"},
        {"type": "end_group"},
    )
    source = read("xlsform", workbook(survey=rows), tmp_path)
    first, second = source.form.definition.document()["pages"]
    assert "visible_if" not in first  # the question asks for itself, which nothing can: it is reported
    assert [code for _, code in codes(source)] == ["definition.cycle"]
    assert second["visible_if"] == "answers.age > 20"
    (inner,) = second["elements"]
    assert (inner["type"], inner["visible_if"]) == ("section", "answers.age > 30")
    assert {each["id"]: (each["type"], each.get("visible_if")) for each in inner["elements"]} == {
        "why": ("short_text", None),
        "deeper": ("statement", "answers.age > 40"),
        "how": ("short_text", "answers.age > 40"),
    }
