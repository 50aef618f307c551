"""Typeform: what becomes of its fields, jumps and responses."""

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from deployments.imports.errors import FileUnreadable
from deployments.imports.target import TYPES
from tests.deployments.imports.samples import (
    TYPEFORM,
    TYPEFORM_RESPONSES,
    codes,
    elements,
    json_lines,
    read,
    refused,
    taken,
)

ONE_OBJECT = json.dumps({"form": TYPEFORM, "responses": TYPEFORM_RESPONSES})
TWO_FILES = json.dumps(TYPEFORM) + "\n" + json.dumps(TYPEFORM_RESPONSES)
LINES = json_lines([TYPEFORM, *TYPEFORM_RESPONSES["items"]])


class TestForm:
    def test_fields_become_elements(self, tmp_path: Path) -> None:
        """F6: groups, matrices, scales, hidden fields; references that people wrote are the ids."""
        source = read("typeform_json", json.dumps(TYPEFORM), tmp_path)
        found = elements(source)
        assert source.form.definition.document()["languages"] == ["de"]
        assert list(found) == [
            *("welcome", "likes", "which_field_likes", "one", "why", "contact", "mail", "scale", "grid", "upload"),
            *("order", "day", "utm", "score"),
        ]
        assert found["likes"] == {"id": "likes", "type": "yes_no", "title": "Like it?", "required": True}
        assert found["scale"] | {"visible_if": ""} == {
            "id": "scale",
            "type": "scale",
            "title": "Scale",
            "min": 0,
            "max": 10,
            "visible_if": "",
            "min_label": "bad",
            "max_label": "good",
        }
        assert [row["label"] for row in found["grid"]["rows"]] == ["Row 1", "Row 2"]
        assert (found["utm"]["type"], found["one"]["type"]) == ("hidden", "dropdown")

    def test_jumps_become_visibility(self, tmp_path: Path) -> None:
        """F6: a question is shown unless one before it jumps past it."""
        found = elements(read("typeform_json", json.dumps(TYPEFORM), tmp_path))
        assert found["which_field_likes"]["visible_if"] == "not (answers.likes == false)"
        assert found["why"]["visible_if"] == "answers.one == 'a'"
        assert "visible_if" not in found["mail"]
        assert found["grid"]["visible_if"] == found["day"]["visible_if"] == "not (answers.scale < 3)"

    def test_branches_are_taken_as_typeform_takes_them(self, tmp_path: Path) -> None:
        """F6: for every way through a form with branches, the same questions are shown."""
        fields = [{"id": name, "ref": name, "title": name, "type": "yes_no"} for name in ("qa", "qb", "qc", "qd", "qe")]
        jumps = {"qa": [("qc", True)], "qb": [("qe", None)], "qc": [("qe", False), ("qd", True)]}
        logic = [
            {
                "type": "field",
                "ref": ref,
                "actions": [
                    {
                        "action": "jump",
                        "details": {"to": {"type": "field", "value": to}},
                        "condition": {"op": "always", "vars": []}
                        if when is None
                        else {
                            "op": "is",
                            "vars": [{"type": "field", "value": ref}, {"type": "constant", "value": when}],
                        },
                    }
                    for to, when in actions
                ],
            }
            for ref, actions in jumps.items()
        ]
        source = read("typeform_json", json.dumps({"fields": fields, "logic": logic}), tmp_path)
        names = [field["ref"] for field in fields]
        for values in product((True, False), repeat=len(names)):
            answers = dict(zip(names, values, strict=True))
            place, path = 0, []
            while place < len(names):
                name = names[place]
                path.append(name)
                to = next((to for to, when in jumps.get(name, ()) if when is None or when is answers[name]), None)
                place = place + 1 if to is None else names.index(to)
            kept, faults = source.form.check(answers, partial=True)
            assert not faults
            assert list(kept) == path, answers

    def test_what_is_lost_is_reported_with_its_pointer(self, tmp_path: Path) -> None:
        source = read("typeform_json", json.dumps(TYPEFORM), tmp_path)
        found = codes(source)
        for expected in (
            ("/fields/1", "text.reference"),
            ("/logic/3/actions/0", "logic.untranslated"),
            ("/thankyou_screens", "property.unknown"),
        ):
            assert expected in found, expected
        back = next(notice for notice in source.warnings() if notice.where == "/logic/3/actions/0")
        assert "It jumps back" in back.detail
        assert (("/fields/6", "type.nearest") in found) == ("file" not in TYPES)


class TestResponses:
    @pytest.mark.parametrize("content", [ONE_OBJECT, TWO_FILES, LINES], ids=["one object", "two files", "lines"])
    def test_every_answer_is_found_again(self, content: str, tmp_path: Path) -> None:
        """F6: typed answers by reference or id, other texts, matrix rows, hidden fields, variables."""
        source = read("typeform_json", content, tmp_path)
        first, third = taken(source)
        answers: dict[str, Any] = dict(first.answers)
        unmapped: dict[str, Any] = dict(first.meta["unmapped"])
        assert answers.pop("score", unmapped.pop("variables.score", None)) in ("3", 3)
        assert answers == {
            "likes": True,
            "which_field_likes": {"options": ["red"], "other": "Green"},
            "one": "a",
            "why": "because",
            "mail": "a@b.co",
            "scale": 0,
            "grid": {"row_1": "x", "row_2": "y"},
            "order": ["q", "p"],
            "day": "2024-05-05",
            "utm": "mail",
        }
        assert unmapped == {
            "upload": "https://files.example.com/1",
            "hidden.strange": "1",
            "metadata": {"browser": "default"},
        }
        assert (first.key, first.submitted_at) == ("r1", datetime(2024, 1, 1, 0, 1, tzinfo=UTC))
        assert (third.key, third.answers) == ("r3", {})
        assert [(row.line, row.detail) for row in refused(source)] == [(2, "'Zzz' is no option of one.")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "no form"),
        (json.dumps(TYPEFORM_RESPONSES), "no form"),
        (json.dumps([TYPEFORM, TYPEFORM]), "more than one form"),
        ("nonsense", "not JSON"),
    ],
)
def test_other_files_are_refused(content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=reason):
        read("typeform_json", content, tmp_path)
