"""CSV records: every separator and line end, and a broken quote costs nobody else."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.imports.records import Dialect, read_records, sniff


def file_of(folder: Path, text: str) -> Path:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def cells(folder: Path, text: str, width: int | None = None) -> list[tuple[int, list[str] | str]]:
    path = file_of(folder, text)
    return [(r.line, r.problem or r.cells) for r in read_records(path, sniff(path), width)]


class TestSniff:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_finds_the_separator(self, delimiter: str, tmp_path: Path) -> None:
        lines = [["id", "name", "why"], ["1", "Ann", "yes, and no; well"], ["2", "Bob", "x,y,z | a"]]
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter).writerows(lines)
        assert sniff(file_of(tmp_path, out.getvalue())) == Dialect(delimiter)

    def test_commas_in_titles_do_not_hide_semicolons(self, tmp_path: Path) -> None:
        text = 'id;In a row, who sits, and why?;"Age, in years"\n1;me, you, them;5\n2;a;6\n'
        assert sniff(file_of(tmp_path, text)) == Dialect(";")

    def test_one_column_is_one_column(self, tmp_path: Path) -> None:
        assert sniff(file_of(tmp_path, "Comment\nfine; really\nok\n")) == Dialect(",")

    def test_the_line_that_excel_adds_is_obeyed_and_skipped(self, tmp_path: Path) -> None:
        assert cells(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n") == [(2, ["a", "b"]), (3, ["1,5", "2"])]


class TestRecords:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_end_as_they_like_and_empty_ones_are_left_out(self, end: str, tmp_path: Path) -> None:
        text = end.join(["a,b", "", '1,"x', 'y"', "2,z", ""])
        assert cells(tmp_path, text) == [(1, ["a", "b"]), (3, ["1", f"x{end}y"]), (5, ["2", "z"])]

    def test_the_last_line_needs_no_end(self, tmp_path: Path) -> None:
        assert cells(tmp_path, 'a,b\n1,"2"') == [(1, ["a", "b"]), (2, ["1", "2"])]

    def test_quotes_inside_cells(self, tmp_path: Path) -> None:
        text = 'a,b\n6\'3",x\n"she said ""hi""","1,2"\n"a"b,c\n'
        read = [["a", "b"], ["6'3\"", "x"], ['she said "hi"', "1,2"], ["ab", "c"]]
        assert [found for _, found in cells(tmp_path, text)] == read

    def test_a_quote_that_is_never_closed_spoils_one_row(self, tmp_path: Path) -> None:
        """F6: a broken row is reported with its line and costs nobody else."""
        text = 'a,b,c\n1,x,y\n2,"open,y\n3,x,y\n4,x,y\n'
        assert cells(tmp_path, text, 3) == [
            (1, ["a", "b", "c"]),
            (2, ["1", "x", "y"]),
            (3, "A quote is opened and not closed properly."),
            (4, ["3", "x", "y"]),
            (5, ["4", "x", "y"]),
        ]

    def test_a_quote_that_swallows_up_to_the_next_quote_spoils_one_row(self, tmp_path: Path) -> None:
        text = 'a,b,c\n2,"open,y\n3,x,y\n4,"fine",y\n5,x,"two\nlines"\n'
        assert cells(tmp_path, text, 3) == [
            (1, ["a", "b", "c"]),
            (2, "A quote is opened and not closed properly."),
            (3, ["3", "x", "y"]),
            (4, ["4", "fine", "y"]),
            (5, ["5", "x", "two\nlines"]),
        ]

    def test_the_rest_of_a_broken_row_is_no_response(self, tmp_path: Path) -> None:
        text = 'a,b,c\n2,"open\nsecond line"y,z\n3,x,y\n4,x\n'
        assert cells(tmp_path, text, 3) == [
            (1, ["a", "b", "c"]),
            (2, "A quote is opened and not closed properly."),
            (3, "This belongs to a row with a broken quote."),
            (4, ["3", "x", "y"]),
            (5, ["4", "x"]),
        ]

    def test_an_open_quote_in_a_long_file_is_found_in_bounded_memory(self, tmp_path: Path) -> None:
        tail = "".join(f"{n},x,{'y' * 1000}\n" for n in range(3000))
        found = cells(tmp_path, 'a,b,c\n1,"open,y\n' + tail, 3)
        assert len(found) == 3002
        assert [line for line, read in found if isinstance(read, str)] == [2]

    def test_a_cell_beyond_all_measure_is_reported(self, tmp_path: Path) -> None:
        text = f"a,b\n1,{'x' * 3_000_000}\n2,y\n"
        (_, (line, problem), last) = cells(tmp_path, text, 2)
        assert (line, last) == (2, (3, ["2", "y"]))
        assert "longer than" in problem

    @given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2)))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_a_csv_writer_wrote_is_read(self, tmp_path: Path, rows: list[list[str]]) -> None:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        path = file_of(tmp_path, out.getvalue())
        assert [record.cells for record in read_records(path, Dialect(","))] == rows

    @given(st.text(st.sampled_from('ab",;\n\r\t 1'), max_size=60), st.integers(1, 4))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
    def test_any_text_is_read_to_its_end(self, tmp_path: Path, text: str, width: int) -> None:
        path = file_of(tmp_path, text)
        lines = [record.line for record in read_records(path, sniff(path), width)]
        assert lines == sorted(set(lines))
        assert all(1 <= line <= text.count("\n") + text.count("\r") + 1 for line in lines)
