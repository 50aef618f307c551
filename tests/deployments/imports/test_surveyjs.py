"""SurveyJS: what becomes of its questions and of its results."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.imports.errors import FileUnreadable
from deployments.imports.target import TYPES
from tests.deployments.imports.samples import (
    SURVEYJS,
    SURVEYJS_RESULTS,
    codes,
    elements,
    json_lines,
    read,
    refused,
    taken,
)

ONE_OBJECT = json.dumps({"survey": SURVEYJS, "results": SURVEYJS_RESULTS})
TWO_FILES = json.dumps(SURVEYJS) + "\n" + json.dumps(SURVEYJS_RESULTS)
LINES = json_lines([SURVEYJS, *SURVEYJS_RESULTS])


def survey(*questions: dict[str, Any], **properties: Any) -> str:
    return json.dumps({"pages": [{"name": "p", "elements": list(questions)}], **properties})


class TestForm:
    def test_questions_become_elements(self, tmp_path: Path) -> None:
        """F6: every kind of question, nested or not."""
        found = elements(read("surveyjs_json", json.dumps(SURVEYJS), tmp_path))
        types = {name: element["type"] for name, element in found.items()}
        assert types["your_name"] == "short_text"
        assert found["age"]["validation"] == {"min": 18, "max": 99}
        assert [option["id"] for option in found["car"]["options"]] == ["Ford", "Tesla", "3", "none"]
        assert types["color_comment"] == "long_text"
        assert (types["nps"], types["mood"], types["ok"]) == ("nps", "choice", "yes_no")
        assert [row["id"] for row in found["quality"]["rows"]] == ["Price", "q"]
        assert (types["table_how"], types["table_note_a"]) == ("matrix", "short_text")
        assert (types["who_first"], types["who_m"]) == ("short_text", "email")
        assert (found["intro"]["title"], found["intro"]["description"]) == ("Hi", "there you")
        assert types["upload"] == ("file" if "file" in TYPES else "statement")

    def test_logic_is_translated(self, tmp_path: Path) -> None:
        """F6: conditions of questions, panels and triggers."""
        found = elements(read("surveyjs_json", json.dumps(SURVEYJS), tmp_path))
        assert found["panel"]["visible_if"] == "answers.age >= 21"
        assert "visible_if" not in found["car"]
        assert found["color"]["visible_if"] == "answers.car contains 'Ford' and not empty(answers.your_name)"
        assert found["color"]["required_if"] == "answers.car contains 'Tesla' or answers.car contains '3'"
        assert found["more"]["visible_if"] == "answers.quality.q == '2' or answers.who_first == 'x'"
        assert found["order"]["visible_if"] == "answers.ok == true"

    def test_what_is_lost_is_reported_with_its_pointer(self, tmp_path: Path) -> None:
        found = codes(read("surveyjs_json", json.dumps(SURVEYJS), tmp_path))
        for expected in (
            ("", "property.unknown"),
            ("/triggers/0", "logic.untranslated"),
            ("/pages/0/elements/1", "logic.untranslated"),
            ("/pages/0/elements/4", "type.nearest"),
            ("/pages/0/elements/10", "property.images"),
        ):
            assert expected in found, expected

    def test_a_property_that_nobody_knows_is_told_with_its_value(self, tmp_path: Path) -> None:
        question = {"type": "text", "name": "a", "shimmer": "gold", "enableIf": "{b} = 1"}
        source = read("surveyjs_json", survey(question), tmp_path)
        assert codes(source) == [
            ("/pages/0/elements/0", "logic.untranslated"),
            ("/pages/0/elements/0", "property.unknown"),
        ]
        assert "shimmer: gold" in source.warnings()[1].detail

    def test_an_expression_that_the_engine_refuses_is_left_out(self, tmp_path: Path) -> None:
        """F6: a circle costs one condition and is reported; the form comes in."""
        first = {"type": "text", "name": "a", "visibleIf": "{b} = 'x'"}
        second = {"type": "text", "name": "b", "visibleIf": "{a} = 'x'"}
        source = read("surveyjs_json", survey(first, second), tmp_path)
        assert sum("visible_if" in element for element in elements(source).values()) == 1
        assert [code for _, code in codes(source)] == ["definition.cycle"]


class TestResults:
    @pytest.mark.parametrize("content", [ONE_OBJECT, TWO_FILES, LINES], ids=["one object", "two files", "lines"])
    def test_every_value_is_found_again(self, content: str, tmp_path: Path) -> None:
        """F6: answers in their fields, what is no answer in the meta, broken results reported with their number."""
        source = read("surveyjs_json", content, tmp_path)
        first, second = taken(source)
        assert source.total == 4
        answers = dict(first.answers)
        assert answers.pop("car") == {"options": ["Ford"], "other": "Bike"}
        assert answers.pop("quality") == {"Price": "Bad", "q": "2"}
        assert answers.pop("table_how") == {"A": "1"}
        if "total" in answers:
            assert answers.pop("total") == "60"
        assert answers == {
            "your_name": "Ann",
            "age": 30,
            "color": "red",
            "color_comment": "why",
            "nps": 9,
            "ok": True,
            "table_note_a": "t",
            "who_first": "F",
            "kids": [{"kid": "x"}, {"kid": "y"}],
            "who_m": "a@b.co",
            "animal": "lion",
            "order": ["b", "a"],
        }
        assert first.meta["unmapped"]["upload"] == [{"name": "f", "content": "data:,"}]
        assert (first.key, first.submitted_at) == ("i1", datetime(2024, 2, 1, tzinfo=UTC))
        assert second.answers == {"your_name": "Bob", "age": 20, "car": ["none"], "kids": [{"kid": "z"}]}
        assert [(row.line, row.detail) for row in refused(source)] == [
            (3, "'green' is no option of color."),
            (4, "A result must be an object."),
        ]

    def test_the_same_results_have_the_same_keys(self, tmp_path: Path) -> None:
        first, second = (
            [row.key for row in taken(read("surveyjs_json", content, tmp_path / name))]
            for name, content in (("a", ONE_OBJECT), ("b", LINES))
        )
        assert first == second

    def test_free_texts_kept_in_the_value_are_found(self, tmp_path: Path) -> None:
        cars = {"type": "checkbox", "name": "car", "choices": ["Ford"], "hasOther": True}
        kind = {"type": "dropdown", "name": "kind", "choices": ["a"], "showOtherItem": True}
        results = [{"car": ["Ford", "my own"], "kind": "else"}, {"kind": "other", "kind-Comment": "said"}]
        source = read("surveyjs_json", json_lines([json.loads(survey(cars, kind)), *results]), tmp_path)
        assert [row.answers for row in taken(source)] == [
            {"car": {"options": ["Ford"], "other": "my own"}, "kind": {"other": "else"}},
            {"kind": {"other": "said"}},
        ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "no survey"),
        ("[1, 2]", "no survey"),
        (survey() + survey(), "more than one survey"),
        ("{", "not JSON"),
        ('{"pages": [], "pages": []}', "comes twice"),
        ("[" * 200, "nested"),
        ('{"a":' * 200, "nested"),
        (b"\xff\xfe{}", "not JSON"),
        ('"' + "x" * (11 << 20), "A text in the file"),
        (json.dumps({"pages": [{"elements": [1] * 500_000}]}), "too large"),
    ],
    ids=range(10),
)
def test_hostile_files_are_refused(content: str | bytes, reason: str, tmp_path: Path) -> None:
    """H3: bounded in depth, size and names."""
    with pytest.raises(FileUnreadable, match=reason):
        read("surveyjs_json", content, tmp_path)
