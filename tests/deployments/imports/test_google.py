"""Google Forms: every cell is found again, whatever the locale."""

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.imports.errors import FileUnreadable
from deployments.imports.google.boxes import find_boxes
from deployments.imports.google.timestamps import learn
from tests.deployments.imports.samples import GOOGLE, codes, elements, read, refused, taken


class TestForm:
    def test_columns_become_questions(self, tmp_path: Path) -> None:
        """F6: options with the separator in them, grids, links, titles that come twice."""
        found = elements(read("google_csv", GOOGLE, tmp_path))
        assert {name: element["type"] for name, element in found.items()} == {
            "timestamp": "hidden",
            "e_mail_adresse": "short_text",
            "punktzahl": "hidden",
            "wie_oft": "choice",
            "was_magst_du": "multi_choice",
            "service": "matrix",
            "datei": "short_text",
            "notiz": "short_text",
            "notiz_2": "long_text",
            "alter": "integer",
        }
        assert [option["label"] for option in found["was_magst_du"]["options"]] == ["Äpfel", "Birnen, reif", "Brot"]
        assert [option["label"] for option in found["wie_oft"]["options"]] == ["Ja, immer", "Nein, nie"]
        assert [row["label"] for row in found["service"]["rows"]] == ["Küche", "Bar"]
        assert found["e_mail_adresse"]["personal"] is True

    def test_the_owner_is_told_what_was_guessed(self, tmp_path: Path) -> None:
        source = read("google_csv", GOOGLE, tmp_path)
        assert codes(source) == [("Zeitstempel", "answers.utc"), ("Datei", "files.links")]

    def test_an_order_that_nothing_decides_is_told(self, tmp_path: Path) -> None:
        for day, told in (("13", False), ("3", True)):
            source = read("google_csv", f"Timestamp,Name\n{day}/4/2024 15:04:05,Ann\n", tmp_path / day)
            assert (("Timestamp", "time.ambiguous") in codes(source)) is told

    @pytest.mark.parametrize(("content", "reason"), [("", "empty"), ("a,b\n", "no response below")])
    def test_other_files_are_refused(self, content: str, reason: str, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable, match=reason):
            read("google_csv", content, tmp_path)


class TestRows:
    def test_every_cell_is_found_again(self, tmp_path: Path) -> None:
        """F6: what is exported has the texts of the file; a row with a stray cell is reported with its line."""
        source = read("google_csv", GOOGLE, tmp_path)
        rows = taken(source)
        expected = [Counter(cell for cell in row if cell) for row in list(csv.reader(io.StringIO(GOOGLE)))[1:-1]]
        for row, cells in zip(rows, expected, strict=True):
            exported = Counter(
                text for column in source.form.columns if (text := column.cell(source.form.check(row.answers)[0]))
            )
            ticked = [cell for cell in cells if cell.startswith(("Äpfel", "Brot"))]
            for cell in ticked:
                cells -= Counter([cell])
                cells += Counter(cell.replace("Birnen, reif", "Birnen").split(", "))
            renamed = Counter({"Birnen" if text == "Birnen, reif" else text: n for text, n in exported.items()})
            assert renamed == cells
        assert rows[0].submitted_at == datetime(2024, 1, 31, 15, 4, 5, tzinfo=UTC)
        assert [row.line for row in refused(source)] == [8]
        assert {row.meta["source"] for row in rows} == {"google_csv"}


class TestTimestamps:
    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            (["2024/01/31 3:04:05 PM GMT+1"], "2024-01-31T14:04:05"),
            (["2024/01/31 12:04:05 AM GMT-3:30"], "2024-01-31T03:34:05"),
            (["1/31/2024 15:04:05"], "2024-01-31T15:04:05"),
            (["31/01/2024 15:04:05"], "2024-01-31T15:04:05"),
            (["3/4/2024 15:04:05", "4/13/2024 1:00:00"], "2024-03-04T15:04:05"),
            (["3/4/2024 15:04:05", "13/4/2024 1:00:00"], "2024-04-03T15:04:05"),
            (["3/4/2024 15:04:05"], "2024-03-04T15:04:05"),
            (["03.04.2024 15:04:05"], "2024-04-03T15:04:05"),
            (["31-01-2024 15:04"], "2024-01-31T15:04:00"),
            (["2024-01-31 15:04:05"], "2024-01-31T15:04:05"),
            (["31. 1. 2024 15:04:05"], "2024-01-31T15:04:05"),
            (["31.01.2024, 3:04:05 nachm."], "2024-01-31T15:04:05"),
        ],
    )
    def test_are_read_in_every_locale(self, texts: list[str], expected: str) -> None:
        """F6: the order of day and month is learnt from all of them."""
        times = learn(texts)
        assert times is not None
        assert times.read(texts[0]) == datetime.fromisoformat(expected).replace(tzinfo=UTC)

    def test_the_order_that_nothing_decides_is_reported(self) -> None:
        times, sure = learn(["3/4/2024 15:04:05"]), learn(["13/4/2024 15:04:05"])
        assert times is not None
        assert sure is not None
        assert (times.ambiguous, sure.ambiguous) == (True, False)

    @pytest.mark.parametrize("texts", [[], ["hello"], ["31/01/2024 15:04:05", "x", "y"]])
    def test_other_texts_are_none(self, texts: list[str]) -> None:
        assert learn(texts) is None

    def test_a_day_that_does_not_exist_is_none(self) -> None:
        times = learn(["31/01/2024 15:04:05"])
        assert times is not None
        assert times.read("31/02/2024 15:04:05") is None


class TestBoxes:
    @given(st.lists(st.lists(st.sampled_from(["red", "blue, dark", "green"]), unique=True, min_size=1), min_size=1))
    def test_no_cell_loses_anything(self, choices: list[list[str]]) -> None:
        """F6: whatever is found, the pieces of a cell make up the cell."""
        cells = Counter(", ".join(chosen) for chosen in choices)
        boxes = find_boxes(cells)
        for cell in cells if boxes else ():
            assert boxes is not None
            options, rest = boxes.split(cell)
            assert sorted(", ".join([*options, *([rest] if rest else [])]).split(", ")) == sorted(cell.split(", "))

    def test_sentences_with_commas_are_no_options(self) -> None:
        assert find_boxes(Counter(f"Well, I think {n}, or so" for n in range(50))) is None

    def test_semicolons_separate_too(self) -> None:
        """Google's own download has them, the sheet has commas."""
        boxes = find_boxes(Counter({"a;b, c": 3, "b, c": 4, "a": 5}))
        assert boxes is not None
        assert boxes.options == ("a", "b, c")
