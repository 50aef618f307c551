"""XLSForm: what becomes of its rows, and what is refused."""

import io
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from deployments.imports.errors import FileUnreadable
from deployments.imports.target import TYPES
from deployments.imports.xlsform.workbook import MAX_CELL, MAX_COLUMNS, MAX_ROWS, read_workbook
from tests.deployments.imports.samples import CHOICES, SETTINGS, SURVEY, codes, elements, read, workbook


def household(folder: Path) -> bytes:
    return workbook(survey=SURVEY, choices=CHOICES, settings=SETTINGS)


class TestForm:
    def test_rows_become_elements(self, tmp_path: Path) -> None:
        """F6: types, choices, groups as pages, tables, ranges, in the default language."""
        source = read("xlsform", household(tmp_path), tmp_path)
        found = elements(source)
        document = source.form.definition.document()
        assert (document["title"], document["languages"][0]) == ("Household", "en")
        assert [page["id"] for page in document["pages"]] == ["who", "page1"]
        assert found["name"] == {
            "id": "name",
            "type": "short_text",
            "title": "Name",
            "description": "First and last",
            "required": True,
            "validation": {"pattern": "[A-Z].*"},
        }
        assert found["age"]["validation"] == {"min": 18, "max": 119}
        assert found["fruits"]["options"] == [{"id": "apple", "label": "Apple"}, {"id": "pear_tree", "label": "Pear"}]
        assert (found["fruits"]["type"], found["fruits"]["allow_other"]) == ("multi_choice", True)
        assert found["fruits"]["validation"] == {"max_choices": 2}
        assert found["best"]["type"] == "dropdown"
        assert found["grid"]["rows"] == [{"id": "food", "label": "Food"}, {"id": "room", "label": "Room"}]
        assert [found[name]["type"] for name in ("grid", "order", "stars", "ok", "bye")] == [
            *("matrix", "ranking", "rating", "consent", "statement"),
        ]
        assert found["stars"]["max"] == 7
        assert found["heat"]["validation"] == {"min": 0, "max": 1}
        assert "start" not in found

    def test_logic_is_translated(self, tmp_path: Path) -> None:
        """F6: relevant and required, with the meaning of an absent answer kept."""
        found = elements(read("xlsform", household(tmp_path), tmp_path))
        assert found["work"]["visible_if"] == "answers.age > 20"
        assert found["fruits"]["required_if"] == "answers.work == 'yes'"
        assert found["best"]["visible_if"] == "answers.fruits contains 'apple' and answers.age == 30"

    def test_what_is_lost_is_reported_with_its_row(self, tmp_path: Path) -> None:
        """F6: nothing is dropped silently."""
        source = read("xlsform", household(tmp_path), tmp_path)
        found = codes(source)
        for expected in (
            ("survey row 2", "metadata.left_out"),
            ("survey row 4", "property.constraint_message"),
            ("survey row 9", "property.choice_filter"),
            ("survey row 19", "property.parameters"),
            ("survey row 21", "logic.untranslated"),
            ("survey row 24", "type.unknown"),
            ("survey row 25", "choice.no_list"),
            ("choices row 6", "choice.duplicate"),
            ("choices", "property.unknown"),
            ("settings", "property.unknown"),
        ):
            assert expected in found, expected
        untranslated = next(notice for notice in source.warnings() if notice.where == "survey row 21")
        assert "pulldata('a', 'b', 'c', ${age}) = 1" in untranslated.detail

    def test_types_of_the_engine_decide(self, tmp_path: Path) -> None:
        source = read("xlsform", household(tmp_path), tmp_path)
        found, lost = elements(source), codes(source)
        assert found["place"]["type"] == ("location" if "location" in TYPES else "short_text")
        assert (("survey row 22", "type.nearest") in lost) == ("location" not in TYPES)
        assert found["double"]["type"] == ("calculated" if "calculated" in TYPES else "hidden")
        assert (("survey row 23", "logic.untranslated") in lost) == ("calculated" not in TYPES)

    def test_a_question_that_becomes_another_is_reported(self, tmp_path: Path) -> None:
        rows = [("type", "name", "label"), ("select_one_from_file towns.csv", "a", "A"), ("audio", "b", "B")]
        source = read("xlsform", workbook(survey=rows), tmp_path)
        assert [element["type"] for element in elements(source).values()] == ["short_text", "file"]
        assert codes(source) == [("survey row 2", "type.nearest"), ("survey row 3", "type.nearest")]
        assert "Its options are in another file." in source.warnings()[0].detail

    def test_an_appearance_that_means_nothing_here_is_reported(self, tmp_path: Path) -> None:
        rows = [
            ("type", "name", "label", "appearance"),
            ("text", "a", "A", "multiline sketchy"),
            ("text", "b", "B", ""),
        ]
        source = read("xlsform", workbook(survey=rows), tmp_path)
        assert codes(source) == [("survey row 2", "property.appearance")]
        assert "sketchy" in source.warnings()[0].detail
        assert "multiline" not in source.warnings()[0].detail

    def test_a_row_that_was_changed_loses_its_mark(self, tmp_path: Path) -> None:
        mark = '{"of":"0000000000000000","set":{"type":"nps"}}'
        rows = [("type", "name", "label", "formstream"), ("integer", "a", "A", mark), ("text", "b", "B", "{")]
        source = read("xlsform", workbook(survey=rows), tmp_path)
        assert [element["type"] for element in elements(source).values()] == ["integer", "short_text"]
        assert codes(source) == [("survey row 2", "mark.outdated"), ("survey row 3", "mark.unreadable")]

    def test_a_constraint_on_another_field_is_not_the_own_one(self, tmp_path: Path) -> None:
        rows = [("type", "name", "label", "constraint"), ("text", "a", "A", ""), ("text", "b", "B", "regex(${a}, 'x')")]
        source = read("xlsform", workbook(survey=rows), tmp_path)
        assert "validation" not in elements(source)["b"]
        assert codes(source) == [("survey row 3", "logic.untranslated")]


class TestHostile:
    """H3: bounded and refused with a clear sentence."""

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"no zip", "not an XLSX workbook"),
            (b"PK\x03\x04" + b"\0" * 50, "not an XLSX workbook"),
            (workbook(other=[("a",)]), "sheet named survey"),
            (workbook(survey=[("name", "label"), ("a", "b")]), "column named type"),
            (workbook(survey=[("type", "type"), ("text", "b")]), "has the column type twice"),
            (workbook(survey=[("type", "name"), ("begin group", "b")]), "row 2: begin group is not ended"),
            (workbook(survey=[("type", "name"), ("end group", "b")]), "row 2: end group ends what was not begun"),
            (workbook(survey=[("type", "name"), *[("begin group", "b")] * 40]), "nested more than 30 deep"),
            (workbook(survey=[("type", *[f"c{n}" for n in range(MAX_COLUMNS + 5)])]), "more than 300 columns"),
            (workbook(survey=[("type", "name"), *[("text", "b")] * 1_100]), "at most 1000 items"),
        ],
    )
    def test_is_refused(self, content: bytes, reason: str, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable, match=reason):
            read("xlsform", content, tmp_path)

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/worksheets/sheet1.xml", b"0" * (60 << 20))
        with pytest.raises(FileUnreadable, match="too large"):
            read("xlsform", bomb.getvalue(), tmp_path)

    def test_entities_are_refused(self, tmp_path: Path) -> None:
        plain, evil = io.BytesIO(workbook(survey=[("type", "name"), ("text", "a")])), io.BytesIO()
        entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(evil, "w") as target:
            for part in source.namelist():
                content = source.read(part)
                if part.endswith("sheet1.xml"):
                    content = entity + content.replace(b"text", b"&e;")
                target.writestr(part, content)
        with pytest.raises(FileUnreadable):
            read("xlsform", evil.getvalue(), tmp_path)

    def test_formulas_are_never_computed(self, tmp_path: Path) -> None:
        rows = [("type", "name", "label"), ("text", "a", '=WEBSERVICE("http://x")'), ("text", "b", "B")]
        assert elements(read("xlsform", workbook(survey=rows), tmp_path))["a"]["title"] == "a"

    def test_rows_and_cells_are_bounded(self) -> None:
        book = Workbook(write_only=True)
        sheet = book.create_sheet("survey")
        sheet.append(["type"])
        for _ in range(MAX_ROWS + 1):
            sheet.append(["text"])
        stream = io.BytesIO()
        book.save(stream)
        with pytest.raises(FileUnreadable, match="more than 20000 rows"):
            read_workbook(stream)
        assert MAX_CELL > 32_767
