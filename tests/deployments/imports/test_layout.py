"""Headers: one row or two, and which columns are one question."""

from pathlib import Path

import pytest

from deployments.imports.errors import FileUnreadable
from tests.deployments.imports.reading import read

METADATA = (
    "Respondent ID,Collector ID,Start Date,End Date,IP Address,Email Address,First Name,Last Name,"
    "Custom Data 1,LanguageCode"
)
ROW = "101,7,2024-01-02 10:00:00,2024-01-02 10:05:00,10.0.0.1,a@b.org,Ann,Lee,vip,en"


class TestMetadata:
    def test_the_columns_of_the_collector_are_hidden_fields(self, tmp_path: Path) -> None:
        reading = read(tmp_path, f"{METADATA},Why?\n{ROW},because\n")
        assert list(reading.types) == [
            *("respondent_id", "collector_id", "start_date", "end_date", "ip_address", "email_address"),
            *("first_name", "last_name", "custom_data", "language_code", "why"),
        ]
        assert set(list(reading.types.values())[:-1]) == {"hidden"}
        assert reading.elements["ip_address"]["personal"] is True
        assert reading.elements["email_address"]["title"] == "Email Address"
        assert reading.exported == reading.cells

    @pytest.mark.parametrize(
        ("end", "moment"),
        [
            ("2024-03-09 15:14:00", "2024-03-09T15:14:00+00:00"),
            ("03/09/2024 03:14:00 PM", "2024-03-09T15:14:00+00:00"),
            ("03/09/2024 15:14:00", "2024-03-09T15:14:00+00:00"),
            ("3/9/2024 15:14", "2024-03-09T15:14:00+00:00"),
            ("09.03.2024 15:14", "2024-03-09T15:14:00+00:00"),
            ("03/09/2024", "2024-03-09T00:00:00+00:00"),
        ],
    )
    def test_the_end_date_is_the_time_of_the_response(self, end: str, moment: str, tmp_path: Path) -> None:
        reading = read(tmp_path, f"RespondentID,StartDate,EndDate,Why?\n1,,{end},x\n")
        assert reading.rows[0].submitted_at is not None
        assert reading.rows[0].submitted_at.isoformat() == moment
        assert reading.exported == reading.cells

    def test_one_cell_above_twelve_tells_that_the_day_comes_first(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,EndDate,Q\n1,03/04/2024 10:00,x\n2,25/04/2024 10:00,x\n")
        assert [row.submitted_at and row.submitted_at.month for row in reading.rows] == [4, 4]

    def test_without_an_end_date_the_next_best_is_taken(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,StartDate,EndDate,Q\n1,2024-01-02 10:00:00,,x\n2,,nonsense,x\n")
        assert [row.submitted_at and row.submitted_at.hour for row in reading.rows] == [10, None]

    def test_a_question_may_ask_for_an_email_address(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,Your view?,Email Address\n1,good,a@b.org\n2,bad,c@d.org\n")
        assert reading.types == {"respondent_id": "hidden", "your_view": "short_text", "email_address": "short_text"}


class TestTwoHeaderRows:
    def test_titles_are_carried_over_blanks(self, tmp_path: Path) -> None:
        text = (
            "Respondent ID,Do you fly?,Which airlines?,,,Why?\n"
            ",Response,Alpha,Beta,Other (please specify),Open-Ended Response\n"
            "1,Yes,Alpha,,Gamma,cheap\n2,No,,Beta,,near\n3,Yes,Alpha,Beta,,\n"
        )
        reading = read(tmp_path, text)
        assert reading.layout.header_rows == 2
        assert reading.types == {
            "respondent_id": "hidden",
            "do_you_fly": "choice",
            "which_airlines": "multi_choice",
            "why": "short_text",
        }
        assert reading.answers("which_airlines") == [
            {"options": ["alpha"], "other": "Gamma"},
            ["beta"],
            ["alpha", "beta"],
        ]
        assert reading.rows[0].line == 3
        assert reading.exported == reading.cells

    @pytest.mark.parametrize("blank", ["", "Unnamed: 3", "Which?"])
    def test_blanks_may_have_been_named_by_other_programs(self, blank: str, tmp_path: Path) -> None:
        text = f"Respondent ID,Fly?,Which?,{blank}\n,Response,Alpha,Beta\n1,Yes,Alpha,\n2,No,,Beta\n"
        reading = read(tmp_path, text)
        assert reading.types == {"respondent_id": "hidden", "fly": "choice", "which": "multi_choice"}

    def test_without_metadata_the_word_response_tells(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "Fly?,Why?\nResponse,Open-Ended Response\nYes,cheap\nNo,near\n")
        assert reading.layout.header_rows == 2
        assert len(reading.rows) == 2

    def test_the_word_may_stand_under_every_column(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,Fly?,Why?\nResponse,Response,Open-ended response\n1,Yes,near\n")
        assert reading.layout.header_rows == 2
        assert [row.key for row in reading.rows] == ["1"]

    def test_open_ended_answers_stay_texts_even_when_they_repeat(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "Fly?,Why?\nResponse,Open-Ended Response\n" + "Yes,cheap\nNo,cheap\n" * 5)
        assert reading.types == {"fly": "choice", "why": "short_text"}

    def test_a_first_response_without_an_id_is_no_header(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "Respondent ID,Fly?,Why?\n,Yes,\n2,No,near\n3,Yes,cheap\n")
        assert reading.layout.header_rows == 1
        assert len(reading.rows) == 3


class TestOneHeaderRow:
    def test_names_that_begin_alike_are_one_question(self, tmp_path: Path) -> None:
        header = "RespondentID,Sides? - Corn,Sides? - Peas - green,Pies? - Apple,Age\n"
        text = f"{header}1,Corn,Peas - green,,31\n2,,,Apple,32\n"
        reading = read(tmp_path, text)
        assert reading.types == {
            "respondent_id": "hidden",
            "sides": "multi_choice",
            "pies": "multi_choice",
            "age": "integer",
        }
        assert reading.labels("sides") == ["Corn", "Peas - green"]
        assert reading.exported == reading.cells

    def test_questions_that_only_begin_alike_stay_apart(self, tmp_path: Path) -> None:
        text = "RespondentID,Work - hours,Work - city\n" + "".join(f"{n},{n},Town {n}\n" for n in range(1, 9))
        reading = read(tmp_path, text)
        assert reading.types == {"respondent_id": "hidden", "work_hours": "integer", "work_city": "short_text"}

    def test_a_column_without_a_name_is_kept_when_it_holds_something(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,Q,,\n1,x,stray,\n2,y,,\n")
        assert list(reading.types) == ["respondent_id", "q", "column_3"]
        assert reading.exported == reading.cells

    def test_equal_names_get_different_ids(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,Why?,Where?,Why?\n1,a,b,c\n")
        assert list(reading.types) == ["respondent_id", "why", "where", "why_2"]

    @pytest.mark.timeout(20)
    def test_a_name_of_many_blanks_takes_no_time(self, tmp_path: Path) -> None:
        reading = read(tmp_path, f"RespondentID,a{' ' * 120_000}b,a - c\n1,x,y\n")
        assert len(reading.rows) == 1

    def test_names_in_any_script_get_usable_ids(self, tmp_path: Path) -> None:
        reading = read(tmp_path, "RespondentID,Почему?,Größe?,5 things\n1,a,b,c\n")
        assert list(reading.types) == ["respondent_id", "q2", "grosse", "n5_things"]


class TestNothingToImport:
    @pytest.mark.parametrize(
        "text", ["RespondentID,Q\n", "RespondentID,Q\n,\n\n", "RespondentID,Q\n,Response\n", '"RespondentID,Q\n1,x\n']
    )
    def test_is_refused_with_the_reason(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable):
            read(tmp_path, text)
