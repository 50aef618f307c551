"""CSV lines: whatever the cells hold, a reader gets them back and a spreadsheet runs none of them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.kit.tabular import csv_line

DANGEROUS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "\0=1",
)
HARMLESS = ("-5", "+3.2", "-.5", "5.", "1e5", "-1.5E-3", "a=b", " =1", "", "Yes", "'quoted'", "6'3\"", "a;b", "1-2")


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


class TestCsvLine:
    @pytest.mark.parametrize("cell", DANGEROUS)
    def test_a_cell_that_a_spreadsheet_would_run_is_made_a_text(self, cell: str) -> None:
        """F6: the export cannot inject formulas."""
        assert read(csv_line(["x", cell])) == [["x", "'" + cell.replace("\0", "")]]

    @pytest.mark.parametrize("cell", HARMLESS)
    def test_any_other_cell_stays_as_it_is(self, cell: str) -> None:
        assert read(csv_line(["x", cell])) == [["x", cell]]

    @pytest.mark.parametrize("cell", ["-5 apples", "-1-1", "+", "-", "-٣", "=", "+1,5"])
    def test_only_a_plain_number_may_begin_with_a_sign(self, cell: str) -> None:
        assert read(csv_line([cell])) == [["'" + cell]]

    def test_quotes_as_rfc_4180_says(self) -> None:
        assert csv_line(['a"b', "c,d", "e\nf", "g\r\nh", "i"]) == '"a""b","c,d","e\nf","g\r\nh",i\r\n'

    def test_a_single_empty_cell_is_no_empty_line(self) -> None:
        assert csv_line([""]) == '""\r\n'
        assert csv_line(["", ""]) == ",\r\n"

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
    def test_a_reader_gets_the_cells_back(self, cells: list[str]) -> None:
        (back,) = read(csv_line(cells))
        plain = [cell.replace("\0", "") for cell in cells]
        assert len(back) == len(cells)
        assert all(got in (cell, "'" + cell) for got, cell in zip(back, plain, strict=True))
        assert not any(got[:1] in tuple("=@\t\r\n＝＋－＠") for got in back if got)
