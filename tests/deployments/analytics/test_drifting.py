"""L5: differences that matter and are sure are told; those of chance and those of few answers are not."""

import numpy as np
import pytest

from deployments.analytics.forecasts.answers import Compared, tallied
from deployments.analytics.forecasts.drifting import Sides, compare

Counts = dict[str, int]


def options(now: Counts, before: Counts, kind: str = "one", answered: tuple[int, int] = (0, 0)) -> Sides:
    return Sides(answered[0] or sum(now.values()), answered[1] or sum(before.values()), now, before, kind)


def test_another_share_is_drift_and_the_index_is_that_of_its_definition() -> None:
    (found,) = compare([options({"a": 800, "b": 200}, {"a": 500, "b": 500})])
    assert found.is_drifted
    assert found.psi == pytest.approx(0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5), rel=0.02)
    # 2 × 2 table: the statistic by hand is 197.8 with one degree of freedom.
    assert found.p_value is not None
    assert found.p_value < 1e-40
    assert found.q_value == found.p_value
    assert found.values == [("a", 800, 500), ("b", 200, 500)]


def test_a_sure_but_small_difference_is_none() -> None:
    (found,) = compare([options({"a": 52_000, "b": 48_000}, {"a": 50_000, "b": 50_000})])
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert not found.is_drifted


def test_few_answers_are_not_compared() -> None:
    (found,) = compare([options({"a": 49}, {"b": 4_000})])
    assert (found.psi, found.p_value, found.q_value, found.is_drifted) == (None, None, None, False)


def test_among_many_fields_chance_is_not_told() -> None:
    """Two hundred fields whose answers come from one distribution: none is told, though many have a small p-value."""
    dice = np.random.default_rng(5)
    fields = []
    for _ in range(200):
        now, before = (dict(zip("abcde", map(int, dice.multinomial(300, [0.2] * 5)), strict=True)) for _ in range(2))
        fields.append(options(now, before))
    found = compare(fields)
    assert sum((each.p_value or 1) < 0.05 for each in found) > 2
    assert not any(each.is_drifted for each in found)


def test_numbers_are_put_into_ranges_of_the_reference() -> None:
    dice = np.random.default_rng(6)

    def counts(mean: float) -> dict[str, int]:
        values, times = np.unique(dice.normal(mean, 10, 2_000).round(1), return_counts=True)
        return {repr(float(value)): int(count) for value, count in zip(values, times, strict=True)}

    same, moved = compare([options(counts(50), counts(50), "numbers"), options(counts(60), counts(50), "numbers")])
    assert not same.is_drifted
    assert moved.is_drifted
    assert sum(before for _, _, before in moved.values) == 2_000
    assert moved.values[0][0].startswith("> ")
    (alike,) = compare([options({"7": 100}, {"7": 100}, "numbers")])
    assert (alike.psi, alike.p_value) == (0, 1)


def test_of_several_choices_each_is_looked_at() -> None:
    """Nobody chooses less of the others: shares of 1,000 people, not of the crosses they made."""
    now, before = {"corn": 600, "yams": 400}, {"corn": 300, "yams": 400}
    (found,) = compare([options(now, before, "many", (1_000, 1_000))])
    assert found.is_drifted
    assert found.values[0] == ("corn", 600, 300)


@pytest.mark.parametrize(
    ("kind", "answers", "counts"),
    [
        ("one", ["corn", {"option": "corn", "other": "x"}, {"other": "y"}, True, 9, 4.5, None], None),
        ("many", [["corn", "yams"], {"options": ["corn"], "other": "grits"}, []], {"corn": 4, "yams": 2, "other": 2}),
        ("numbers", [1, 2.5, True, "3", [4]], {"1": 2, "2.5": 2}),
    ],
)
def test_answers_are_counted_by_value_and_free_texts_as_one(
    kind: str, answers: list[object], counts: dict[str, int] | None
) -> None:
    field = Compared("f", "F", kind, False, {})  # type: ignore[arg-type]
    found = tallied([*(("f", answer, 2) for answer in answers), ("g", "corn", 9)], field)
    assert found == (counts or {"corn": 4, "other": 4, "true": 2, "9": 2, "4.5": 2})
