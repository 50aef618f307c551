"""The form that is inferred: the narrowest types, and never at the cost of a cell."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deployments.imports.reading import read


def survey(*rows: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def column(*cells: str, title: str = "Q") -> str:
    """A survey of one question."""
    return survey(["RespondentID", title], *([str(number), cell] for number, cell in enumerate(cells, 1)))


class TestSingleColumns:
    @pytest.mark.parametrize(
        ("cells", "kind"),
        [
            (("1", "20", "-3", "0"), "integer"),
            (("1", "2.5", "-3.25"), "number"),
            (("2024-02-29", "2023-12-31"), "date"),
            (("2024-02-29T10:00:00Z", "2023-12-31T23:59:59Z"), "datetime"),
            (("Yes", "No", "Yes"), "choice"),
            (tuple("ABCDEFGHIJ") * 2, "dropdown"),
            (("fine", "I liked it", "meh"), "short_text"),
            (("one\ntwo", "three"), "long_text"),
            (("x" * 300, "y"), "long_text"),
            (("", "", ""), "short_text"),
        ],
    )
    def test_get_the_narrowest_type(self, cells: tuple[str, ...], kind: str, tmp_path: Path) -> None:
        reading = read(tmp_path, column(*cells))
        assert reading.types["q"] == kind
        assert reading.exported == reading.cells

    @pytest.mark.parametrize(
        "cells",
        [
            ("007", "8"),
            ("1.50", "2.5"),
            ("1e3", "2"),
            ("+5", "6"),
            ("-0", "1"),
            ("-0.0", "1.5"),
            (" 5", "6"),
            ("1,000", "2"),
            ("٣", "4"),
            ("9" * 30, "1"),
            ("0.1234567890123456789", "1"),
            ("NaN", "1"),
            ("2024-02-30", "2024-01-01"),
            ("2/29/2024", "3/1/2024"),
            ("20240229", "2024-01-01"),
            ("2024-01-01T10:00:00+01:00", "2024-01-01T10:00:00Z"),
        ],
    )
    def test_stay_texts_when_the_type_would_write_them_otherwise(self, cells: tuple[str, ...], tmp_path: Path) -> None:
        """F6: the import is exact."""
        reading = read(tmp_path, column(*cells))
        assert reading.types["q"] == "short_text"
        assert reading.exported == reading.cells

    def test_blanks_around_a_text_are_kept(self, tmp_path: Path) -> None:
        reading = read(tmp_path, column(" Yes", "Yes", "Yes ", "Yes", "Yes ", " Yes", "  two  blanks "))
        assert reading.exported == reading.cells

    def test_texts_that_hardly_repeat_are_no_choice(self, tmp_path: Path) -> None:
        reading = read(tmp_path, column(*(f"reason {n}" for n in range(30)), *["None"] * 40))
        assert reading.types["q"] == "short_text"

    def test_many_different_texts_are_no_choice(self, tmp_path: Path) -> None:
        reading = read(tmp_path, column(*(f"town {n}" for n in range(400)), *(f"town {n}" for n in range(400))))
        assert reading.types["q"] == "short_text"

    def test_long_titles_and_labels_fit(self, tmp_path: Path) -> None:
        reading = read(tmp_path, column("Yes", "No", "Yes", title="Why " * 1000))
        (field_id,) = set(reading.types) - {"respondent_id"}
        assert len(field_id) <= 64
        assert len(reading.elements[field_id]["title"]) == 2000

    def test_nothing_is_required(self, tmp_path: Path) -> None:
        reading = read(tmp_path, column("Yes", "No", "Yes"))
        assert not any("required" in element for element in reading.elements.values())


class TestChoiceWithOther:
    ROWS = (
        ["1", "Car", ""],
        ["2", "Other (please specify)", "Bike"],
        ["3", "Car", "and a train"],
        ["4", "Train", ""],
        ["5", "", "Walking"],
        ["6", "Train", ""],
        ["7", "Other (please specify)", "Boat"],
    )
    ANSWERS = (
        "car",
        {"option": "other_please_specify", "other": "Bike"},
        {"option": "car", "other": "and a train"},
        "train",
        {"other": "Walking"},
        "train",
        {"option": "other_please_specify", "other": "Boat"},
    )

    @pytest.mark.parametrize(
        "header",
        [
            [["RespondentID", "How?", "How? - Other (please specify)"]],
            [["RespondentID", "How?", ""], ["", "Response", "Other (please specify)"]],
            [["RespondentID", "How?", "How?"], ["", "Response", "Sonstiges (bitte angeben)"]],
        ],
    )
    def test_the_free_text_belongs_to_the_choice(self, header: list[list[str]], tmp_path: Path) -> None:
        reading = read(tmp_path, survey(*header, *self.ROWS))
        assert reading.types == {"respondent_id": "hidden", "how": "choice"}
        assert reading.answers("how") == list(self.ANSWERS)
        assert reading.labels("how") == ["Car", "Other (please specify)", "Train"]
        assert reading.exported == reading.cells

    def test_an_option_named_other_does_not_clash(self, tmp_path: Path) -> None:
        rows = [["1", "Other", "Bike"], ["2", "Car", ""], ["3", "Other", ""], ["4", "Car", ""]]
        reading = read(tmp_path, survey(["RespondentID", "How?", "How? - Other"], *rows))
        assert reading.types["how"] == "choice"
        assert reading.exported == reading.cells

    def test_a_free_text_too_long_for_it_is_a_field_of_its_own(self, tmp_path: Path) -> None:
        rows = [["1", "Car", "x" * 3000], ["2", "Car", ""], ["3", "Train", ""], ["4", "Train", ""]]
        reading = read(tmp_path, survey(["RespondentID", "How?", "How? - Other (please specify)"], *rows))
        assert list(reading.types.values()) == ["hidden", "choice", "long_text"]
        assert reading.exported == reading.cells


class TestMultiChoice:
    def test_a_flag_and_a_free_text_of_one_name(self, tmp_path: Path) -> None:
        other = "Sides? - Other (please specify)"
        rows = [
            ["1", "Corn", "", "", ""],
            ["2", "", "", "Other (please specify)", "Rice"],
            ["3", "Corn", "", "Other (please specify)", ""],
            ["4", "", "", "", "Beans"],
            ["5", "", "", "", ""],
        ]
        reading = read(tmp_path, survey(["RespondentID", "Sides? - Corn", "Sides? - Yams", other, other], *rows))
        assert reading.types == {"respondent_id": "hidden", "sides": "multi_choice"}
        assert reading.labels("sides") == ["Corn", "Yams", "Other (please specify)"]
        assert reading.answers("sides") == [
            ["corn"],
            {"options": ["other_please_specify"], "other": "Rice"},
            ["corn", "other_please_specify"],
            {"other": "Beans"},
            None,
        ]
        assert reading.exported == reading.cells

    def test_a_single_column_that_holds_the_end_of_its_name(self, tmp_path: Path) -> None:
        rows = [["1", "Macy's Parade", "x"], ["2", "", "y"]]
        reading = read(tmp_path, survey(["RespondentID", "Will you watch? - Macy's Parade", "Why?"], *rows))
        assert reading.types["will_you_watch"] == "multi_choice"
        assert reading.exported == reading.cells

    def test_cells_that_say_something_else_than_their_label_are_kept(self, tmp_path: Path) -> None:
        rows = [["1", "1", ""], ["2", "1", "1"], ["3", "", "1"], ["4", "1", ""]]
        reading = read(tmp_path, survey(["RespondentID", "Sides?", ""], ["", "Corn", "Yams"], *rows))
        assert reading.exported == reading.cells

    def test_a_comment_beside_them_is_a_field_of_its_own(self, tmp_path: Path) -> None:
        rows = [["1", "Corn", "", "so good"], ["2", "Corn", "Yams", ""]]
        reading = read(tmp_path, survey(["RespondentID", "Sides?", "", ""], ["", "Corn", "Yams", "Comments:"], *rows))
        assert reading.types == {"respondent_id": "hidden", "sides": "multi_choice", "sides_comments": "short_text"}
        assert reading.exported == reading.cells


class TestRanking:
    HEADER = (["RespondentID", "Rank them", "", ""], ["", "Tea", "Milk", "Water"])

    def test_numbers_from_one_to_the_number_of_columns(self, tmp_path: Path) -> None:
        reading = read(tmp_path, survey(*self.HEADER, ["1", "2", "1", "3"], ["2", "", "1", ""], ["3", "3", "2", "1"]))
        assert reading.types["rank_them"] == "ranking"
        assert reading.answers("rank_them")[:2] == [{"tea": 2, "milk": 1, "water": 3}, {"milk": 1}]
        assert "allow_ties" not in reading.elements["rank_them"]
        assert reading.exported == reading.cells

    def test_a_rare_slip_is_allowed(self, tmp_path: Path) -> None:
        rows = [[str(n), "1", "2", "3"] for n in range(40)]
        reading = read(tmp_path, survey(*self.HEADER, *rows, ["99", "1", "1", "3"]))
        assert reading.elements["rank_them"]["allow_ties"] is True
        assert reading.exported == reading.cells

    def test_ratings_are_no_ranking(self, tmp_path: Path) -> None:
        reading = read(tmp_path, survey(*self.HEADER, *([str(n), "1", "1", "3"] for n in range(9))))
        assert reading.types["rank_them"] == "matrix"
        assert reading.exported == reading.cells

    def test_not_applicable_is_kept(self, tmp_path: Path) -> None:
        rows = [[str(n), "1", "N/A", "2"] for n in range(5)] + [[str(n), "N/A", "1", "2"] for n in range(5, 9)]
        reading = read(tmp_path, survey(*self.HEADER, *rows))
        assert reading.types["rank_them"] == "matrix"
        assert reading.exported == reading.cells


class TestMatrix:
    def test_columns_that_share_their_words(self, tmp_path: Path) -> None:
        rows = [["1", "Good", "Bad", ""], ["2", "Good", "Good", "slow"], ["3", "Bad", "", "late"]]
        header = ["RespondentID", "Rate - Food", "Rate - Staff", "Rate - Other (please specify)"]
        reading = read(tmp_path, survey(header, *rows))
        assert list(reading.types.values()) == ["hidden", "matrix", "short_text"]
        assert reading.answers("rate")[0] == {"food": "good", "staff": "bad"}
        assert reading.labels("rate", "rows") == ["Food", "Staff"]
        assert reading.exported == reading.cells

    def test_a_row_named_other_is_a_row(self, tmp_path: Path) -> None:
        rows = [["1", "Good", "Bad", "Good"], ["2", "Good", "Good", "Bad"], ["3", "Bad", "", "Good"]]
        reading = read(tmp_path, survey(["RespondentID", "Rate - Food", "Rate - Staff", "Rate - Other"], *rows))
        assert reading.labels("rate", "rows") == ["Food", "Staff", "Other"]
        assert reading.exported == reading.cells

    def test_columns_with_words_of_their_own_are_questions_of_their_own(self, tmp_path: Path) -> None:
        rows = [[str(n), "Male" if n % 2 else "Female", "Old" if n % 3 else "Young"] for n in range(12)]
        reading = read(tmp_path, survey(["RespondentID", "You - Gender", "You - Age"], *rows))
        assert list(reading.types.values()) == ["hidden", "choice", "choice"]
        assert reading.exported == reading.cells

    def test_boxes_of_a_table(self, tmp_path: Path) -> None:
        parts = ["Food - Fast", "Food - Tasty", "Staff - Fast", "Staff - Tasty"]
        rows = [["1", "Fast", "", "Fast", ""], ["2", "Fast", "Tasty", "", ""]]
        reading = read(tmp_path, survey(["RespondentID", "Tick", "", "", ""], ["", *parts], *rows))
        assert reading.types["tick"] == "matrix_multi"
        assert reading.answers("tick") == [{"food": ["fast"], "staff": ["fast"]}, {"food": ["fast", "tasty"]}]
        assert reading.exported == reading.cells


class TestRows:
    def test_a_row_with_too_many_cells_is_reported_and_costs_nobody_else(self, tmp_path: Path) -> None:
        """F6: broken rows are reported, none lost."""
        reading = read(tmp_path, 'RespondentID,Q\n1,"a\nb"\n2,x,stray\n3,y,,\n4\n\n,,\n5,z\n')
        assert [(row.line, row.detail) for row in reading.rejected] == [(4, "The row has 3 cells, the header has 2.")]
        assert [row.key for row in reading.rows] == ["1", "3", "4", "5"]
        assert [row.line for row in reading.rows] == [2, 5, 6, 9]

    def test_rows_without_an_id_of_their_own_are_all_kept_under_stable_keys(self, tmp_path: Path) -> None:
        text = "RespondentID,Q\n1,a\n1,b\n,c\n,c\n2,a\n1,b\n"
        first, second = read(tmp_path, text), read(tmp_path, text)
        keys = [row.key for row in first.rows]
        assert len(set(keys)) == 6
        assert (keys[0], keys[4]) == ("1", "2")
        assert keys == [row.key for row in second.rows]

    def test_rows_of_a_file_without_ids_keep_their_keys_when_rows_are_added_before_them(self, tmp_path: Path) -> None:
        before = {row.key for row in read(tmp_path, "Q,Why?\nYes,a\nNo,b\nYes,a\n").rows}
        after = {row.key for row in read(tmp_path, "Q,Why?\nNo,new\nYes,a\nNo,b\nYes,a\n").rows}
        assert before < after


WORDS = st.sampled_from(
    ["Yes", "No", "Maybe", "1", "2", "3", "07", "2.5", "2024-01-02", "Other", "a - b", " ", "x\ny", "é"]
)
CELLS = st.one_of(st.just(""), WORDS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6))
TITLES = st.sampled_from(
    [
        "",
        "Q",
        "Q - Yes",
        "Q - No",
        "Q - Other (please specify)",
        "Rank - 1",
        "Rank - 2",
        "RespondentID",
        "Email Address",
        "EndDate",
        "Unnamed: 3",
        "Q - a - b",
        "Response",
    ]
)


@st.composite
def surveys(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 7))
    titles = draw(st.lists(TITLES, min_size=width, max_size=width).filter(any))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12))
    parts = draw(
        st.none()
        | st.lists(st.sampled_from(["", "Response", "Yes", "No", "Other", "1"]), min_size=width, max_size=width)
    )
    return [titles, *([] if parts is None else [parts]), *rows]


class TestAnySurvey:
    @given(surveys())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
    def test_loses_no_cell(self, tmp_path: Path, rows: list[list[str]]) -> None:
        """F6: whatever the file holds, the export has every cell that is not blank."""
        out = io.StringIO()
        csv.writer(out).writerows([*rows, *[["last"] * len(rows[0])] * 2])
        reading = read(tmp_path, out.getvalue())
        assert reading.rejected == []
        assert reading.exported == reading.cells
