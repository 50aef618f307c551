"""F4: export columns are stable, complete and hold the exact text of each answer."""

from typing import Any

import pytest

from deployments.kit.engine import merged_columns
from tests.deployments.kit.engine.forms import COLUMNS, ROWS, SIDES, every_type, make_element, make_form

OTHER = {"options": SIDES, "allow_other": True}
TABLE = {"rows": ROWS, "columns": COLUMNS}
FILES = [f"fil_{number:032x}" for number in range(2)]

CELLS: list[tuple[str, dict[str, Any], Any, dict[str, str]]] = [
    ("short_text", {}, " =1+1 ", {"field": " =1+1 "}),
    ("number", {}, 9007199254740993, {"field": "9007199254740993"}),
    ("number", {}, 1.5, {"field": "1.5"}),
    ("integer", {}, 0, {"field": "0"}),
    ("date", {}, "2024-02-29", {"field": "2024-02-29"}),
    ("yes_no", {}, False, {"field": "No"}),
    ("consent", {}, True, {"field": "Yes"}),
    ("choice", {"options": SIDES}, "yams", {"field": "Yams, candied"}),
    ("choice", OTHER, {"other": "Peas"}, {"field": "", "field.other": "Peas"}),
    ("choice", OTHER, {"option": "corn", "other": "Peas"}, {"field": "Corn", "field.other": "Peas"}),
    ("dropdown", OTHER, "corn", {"field": "Corn", "field.other": ""}),
    (
        "multi_choice",
        OTHER,
        {"options": ["yams"], "other": "Peas"},
        {"field.corn": "", "field.yams": "Yams, candied", "field.other": "Peas"},
    ),
    ("multi_choice", {"options": SIDES}, ["corn"], {"field.corn": "Corn", "field.yams": ""}),
    ("ranking", {"options": SIDES}, ["yams", "corn"], {"field.corn": "2", "field.yams": "1"}),
    ("ranking", {"options": SIDES}, {"yams": 2}, {"field.corn": "", "field.yams": "2"}),
    ("matrix", TABLE, {"leia": "good"}, {"field.han": "", "field.leia": "Favorable"}),
    (
        "location",
        {},
        {"latitude": 52.5, "longitude": 13},
        {"field.latitude": "52.5", "field.longitude": "13", "field.accuracy": ""},
    ),
    (
        "address",
        {},
        {"city": "Bonn", "country": "DE"},
        {
            "field.street": "",
            "field.street2": "",
            "field.city": "Bonn",
            "field.region": "",
            "field.postal_code": "",
            "field.country": "DE",
        },
    ),
    ("file", {"max_files": 2}, FILES, {"field": " ".join(FILES)}),
    (
        "group",
        {"elements": [make_element("short_text", "note"), make_element("choice", "side", options=SIDES)]},
        [{"note": "ä\n", "side": "corn"}],
        {"field": '[{"note":"ä\\n","side":"corn"}]'},
    ),
    (
        "matrix_multi",
        TABLE,
        {"han": ["bad"]},
        {"field.han.good": "", "field.han.bad": "Unfavorable", "field.leia.good": "", "field.leia.bad": ""},
    ),
]


@pytest.mark.parametrize(("kind", "properties", "answer", "cells"), CELLS)
def test_cells(kind: str, properties: dict[str, Any], answer: Any, cells: dict[str, str]) -> None:
    form = make_form(make_element(kind, **properties))
    values, faults = form.check({"field": answer})

    assert faults == ()
    assert {column.key: column.cell(values) for column in form.columns} == cells
    assert {column.cell({}) for column in form.columns} == {""}


@pytest.mark.parametrize(
    ("value", "cell"),
    [("1 / 4", "0.25"), ("3.0", "3"), ("1 < 2", "Yes"), ("false", "No"), ("'=a'", "=a"), ("null", "")],
)
def test_cells_of_calculated_values(value: str, cell: str) -> None:
    form = make_form(make_element("calculated", value=value))
    (column,) = form.columns

    assert column.cell(form.check({})[0]) == cell
    assert column.cell({}) == ""


def test_keys_and_titles() -> None:
    form = make_form(
        make_element("multi_choice", "sides", **OTHER),
        make_element("matrix", "views", **TABLE),
        make_element("statement", "thanks"),
    )

    assert [(column.key, column.title, column.field_id) for column in form.columns] == [
        ("sides.corn", "Sides - Corn", "sides"),
        ("sides.yams", "Sides - Yams, candied", "sides"),
        ("sides.other", "Sides - Other", "sides"),
        ("views.han", "Views - Han Solo", "views"),
        ("views.leia", "Views - Leia", "views"),
    ]


def test_keys_are_unique() -> None:
    keys = [column.key for column in make_form(*every_type()).columns]

    assert len(keys) == len(set(keys))


class TestMerged:
    OLD = make_form(
        make_element("choice", "main", options=[{"id": "fish", "label": "Fish"}, *SIDES]),
        make_element("email", "contact"),
        make_element("multi_choice", "sides", options=SIDES),
    )
    NEW = make_form(
        make_element("short_text", "name"),
        {**make_element("short_text", "contact"), "title": "How to reach you"},
        make_element("choice", "main", options=[{"id": "corn", "label": "Sweet corn"}], allow_other=True),
        make_element("multi_choice", "sides", options=[{"id": "peas", "label": "Peas"}, SIDES[0]]),
    )

    def test_columns_stay_and_new_ones_follow(self) -> None:
        """F4: a column keeps its place, removed fields and options stay, the newest title wins."""
        merged = merged_columns([self.OLD, self.NEW])

        assert [(column.key, column.title) for column in merged] == [
            ("main", "Main"),
            ("contact", "How to reach you"),
            ("sides.corn", "Sides - Corn"),
            ("sides.yams", "Sides - Yams, candied"),
            ("name", "Name"),
            ("main.other", "Main - Other"),
            ("sides.peas", "Sides - Peas"),
        ]

    def test_answers_of_every_version_are_read(self) -> None:
        """F4: labels are the newest ones, and those of removed options are still known."""
        cells = {column.key: column.cell for column in merged_columns([self.OLD, self.NEW])}

        assert cells["main"]({"main": "corn"}) == "Sweet corn"
        assert cells["main"]({"main": "fish"}) == "Fish"
        assert cells["main.other"]({"main": {"other": "Soup"}}) == "Soup"
        assert cells["contact"]({"contact": "a@b.co"}) == "a@b.co"
        assert cells["sides.yams"]({"sides": ["yams"]}) == "Yams, candied"
        assert cells["main"]({}) == ""

    def test_an_option_that_became_the_free_text_keeps_its_label(self) -> None:
        before = make_form(make_element("multi_choice", "sides", options=[{"id": "other", "label": "Something else"}]))
        after = make_form(make_element("multi_choice", "sides", **OTHER))
        cells = {column.key: column.cell for column in merged_columns([before, after])}

        assert cells["sides.other"]({"sides": ["other"]}) == "Something else"
        assert cells["sides.other"]({"sides": {"other": "Peas"}}) == "Peas"

    def test_one_version_is_its_own_table(self) -> None:
        assert merged_columns([self.NEW]) == self.NEW.columns
        assert merged_columns([]) == ()
