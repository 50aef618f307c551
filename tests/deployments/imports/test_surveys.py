"""Real surveys: everybody is there, and every cell is found again."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from tests.deployments.imports.reading import SHIPPED, SURVEYS, read

CASES = (
    (SHIPPED, 1058, 1),
    (SURVEYS / "StarWars.csv", 1186, 2),
    (SURVEYS / "flying-etiquette.csv", 1040, 1),
)


def independent_rows(path: Path, header_rows: int) -> list[list[str]]:
    """The rows as Python's own reader sees them."""
    text = path.read_bytes().decode("utf-8", "replace")
    return list(csv.reader(io.StringIO(text, newline="")))[header_rows:]


class TestEverySurvey:
    @pytest.mark.parametrize(("path", "people", "header_rows"), CASES, ids=lambda case: getattr(case, "stem", None))
    def test_every_person_and_every_cell_is_found_again(
        self, path: Path, people: int, header_rows: int, tmp_path: Path
    ) -> None:
        """F6: an imported survey is exported whole."""
        reading = read(tmp_path, path.read_bytes())
        expected = [Counter(cell for cell in row if cell.strip()) for row in independent_rows(path, header_rows)]
        assert reading.rejected == []
        assert len(expected) == people
        assert reading.exported == expected
        assert len({row.key for row in reading.rows}) == people

    @pytest.mark.parametrize(("path", "people", "header_rows"), CASES, ids=lambda case: getattr(case, "stem", None))
    def test_the_same_file_gives_the_same_form_and_keys(
        self, path: Path, people: int, header_rows: int, tmp_path: Path
    ) -> None:
        first, second = (read(tmp_path, path.read_bytes()) for _ in range(2))
        assert first.plan.definition == second.plan.definition
        assert first.rows == second.rows


class TestThanksgiving:
    def test_questions_with_several_answers_and_free_texts(self, tmp_path: Path) -> None:
        reading = read(tmp_path, SHIPPED.read_bytes())
        sides = reading.elements["which_of_these_side_dishes_aretypically_served"]
        assert sides["type"] == "multi_choice"
        assert sides["allow_other"] is True
        assert reading.labels(sides["id"])[:2] == ["Brussel sprouts", "Carrots"]
        assert "Other (please specify)" in reading.labels(sides["id"])
        dish = reading.elements["what_is_typically_the_main_dish_at_your"]
        assert (dish["type"], dish["allow_other"]) == ("choice", True)
        assert {"option": "other_please_specify", "other": "Prime Rib"} in reading.answers(dish["id"])
        assert reading.types["respondent_id"] == "hidden"
        assert "short_text" not in reading.types.values()


class TestStarWars:
    def test_two_header_rows_a_ranking_a_matrix_and_bad_bytes(self, tmp_path: Path) -> None:
        reading = read(tmp_path, (SURVEYS / "StarWars.csv").read_bytes())
        assert reading.layout.header_rows == 2
        assert (reading.decoding.encoding, reading.decoding.replaced, reading.decoding.lines) == ("utf-8", 2, (1,))
        assert list(reading.types.values()).count("ranking") == 1
        assert list(reading.types.values()).count("matrix") == 1
        ranking = next(name for name, kind in reading.types.items() if kind == "ranking")
        assert list(reading.answers(ranking)[0].values()) == [3, 2, 1, 4, 5, 6]
        assert reading.labels(ranking)[0] == "Star Wars: Episode I  The Phantom Menace"
        matrix = next(name for name, kind in reading.types.items() if kind == "matrix")
        assert reading.labels(matrix, "rows")[0] == "Han Solo"
        assert len(reading.labels(matrix, "columns")) == 6
        assert reading.rows[0].line == 3
