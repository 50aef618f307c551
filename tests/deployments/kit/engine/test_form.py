"""F2: a form checks all answers at once, and no JSON value whatever makes it raise."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deployments.kit.engine.forms import SIDES, codes, every_type, make_element, make_form

FORM = make_form(*every_type())
IDS = [element["id"] for element in every_type()]

texts = st.text(st.characters(codec=None), max_size=20)
words = "corn yams han leia good bad option options other"
formats = "2024-02-29 09:30 2024-05-01T12:00:00+02:00 a@b.co https://a.b"
good_looking = st.sampled_from([*words.split(), *formats.split(), "+49 301234567"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | texts | good_looking,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | good_looking, inner, max_size=4),
    max_leaves=12,
)
answer_objects = st.dictionaries(st.sampled_from(IDS) | texts, json_values, max_size=len(IDS) + 2)


class TestHostileAnswers:
    @settings(max_examples=150)
    @given(answers=answer_objects | json_values, partial=st.booleans())
    def test_any_json_is_answered_with_json(self, answers: Any, partial: bool) -> None:
        """F2: never raises; the normalised answers are JSON and check to themselves; faults can be encoded."""
        values, faults = FORM.check(answers, partial=partial)

        json.dumps(values, allow_nan=False).encode()
        json.dumps(values, allow_nan=False, ensure_ascii=False).encode()
        assert len(faults) <= 100
        for fault in faults:
            assert fault.pointer.startswith("/answers")
            f"{fault.pointer}{fault.detail}".encode()
        if isinstance(answers, dict):
            assert FORM.check(values, partial=True) == (values, ())
        for column in FORM.columns:
            assert isinstance(column.cell(values), str)

    def test_depth_of_100_000(self) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        values, faults = FORM.check({name: deep for name in IDS if name != "thanks"}, partial=True)

        assert values == {"total": 0}
        # The phone and the sides are hidden by answers that are faulty, so their own faults are told as well.
        assert {fault.pointer.split("/")[2] for fault in faults} == set(IDS) - {"thanks", "total"}
        while deep:
            deep = deep.pop()

    @pytest.mark.parametrize("answers", [None, [], "text", 5, float("nan"), True])
    def test_answers_that_are_no_object(self, answers: Any) -> None:
        assert codes(FORM.check(answers)[1]) == [("/answers", "type")]

    def test_faults_are_bounded(self) -> None:
        assert len(FORM.check({f"x{i}": 1 for i in range(5_000)})[1]) == 100
        assert len(FORM.check({"sides": ["peas"] * 1_000, "main": "corn", "terms": 1}, partial=True)[1]) == 100

    def test_unknown_fields_are_named_and_escaped(self) -> None:
        _, faults = make_form(make_element("short_text")).check({"a/b~c": 1, "\ud800": 2, "k" * 500: 3})

        assert codes(faults) == [
            ("/answers/a~1b~0c", "unknown_field"),
            ("/answers/\\ud800", "unknown_field"),
            ("/answers/" + "k" * 64, "unknown_field"),
        ]

    def test_a_statement_takes_no_answer(self) -> None:
        form = make_form(make_element("statement"))

        assert codes(form.check({"field": "x"})[1]) == [("/answers/field", "unknown_field")]


class TestRequired:
    FORM = make_form(
        make_element("short_text", "name", required=True),
        make_element("multi_choice", "sides", required=True, options=SIDES, allow_other=True),
        make_element("integer", "age", required=True),
    )

    @pytest.mark.parametrize("empty", [None, "", [], {}])
    def test_empty_answers_count_as_absent(self, empty: Any) -> None:
        """F2: every required answer that is missing is named, all at once."""
        values, faults = self.FORM.check({"name": empty, "sides": empty, "age": empty})

        assert values == {}
        assert codes(faults) == [(f"/answers/{name}", "required") for name in ("name", "sides", "age")]

    def test_blank_and_hollow_answers_count_as_absent(self) -> None:
        _, faults = self.FORM.check({"name": " \n", "sides": {"options": [], "other": " "}, "age": 0})

        assert codes(faults) == [("/answers/name", "required"), ("/answers/sides", "required")]

    def test_a_bad_answer_is_not_also_missing(self) -> None:
        _, faults = self.FORM.check({"name": 5, "sides": ["peas"], "age": 1})

        assert codes(faults) == [("/answers/name", "type"), ("/answers/sides/0", "option.unknown")]

    def test_partial_answers_may_lack_required_ones_but_are_checked(self) -> None:
        """R2: what has been given so far is checked, what is missing is not asked for."""
        assert self.FORM.check({"name": "Ann"}, partial=True) == ({"name": "Ann"}, ())
        assert codes(self.FORM.check({"age": "x"}, partial=True)[1]) == [("/answers/age", "type")]

    def test_required_if_sees_answers_that_come_later(self) -> None:
        """F3: an answer is required on a condition over any other answer."""
        form = make_form(
            make_element("email", required_if="answers.contact"),
            make_element("yes_no", "contact"),
        )

        assert form.check({"contact": False})[1] == ()
        assert codes(form.check({"contact": True})[1]) == [("/answers/field", "required")]
        assert form.check({"contact": True}, partial=True)[1] == ()
        assert form.check({"contact": True, "field": "a@b.co"})[1] == ()


class TestVisibility:
    def test_answers_to_hidden_fields_are_dropped_unchecked(self) -> None:
        """F3: a hidden field has no answer, is not required, and its faults do not matter."""
        form = make_form(
            make_element("yes_no", "more"),
            make_element("integer", "age", required=True, visible_if="answers.more"),
        )

        assert form.check({"more": False, "age": "nonsense"}) == ({"more": False}, ())
        assert codes(form.check({"more": True, "age": "nonsense"})[1]) == [("/answers/age", "type")]
        assert codes(form.check({"more": True})[1]) == [("/answers/age", "required")]

    def test_hiding_goes_on_to_what_depends_on_the_hidden(self) -> None:
        """F3: a dropped answer is absent for other conditions, wherever the fields stand."""
        form = make_form(
            make_element("short_text", "third", visible_if="answers.second != null"),
            make_element("short_text", "second", visible_if="answers.first == 'yes'"),
            make_element("short_text", "first"),
        )

        answers = {"first": "no", "second": "x", "third": "y"}
        assert form.check(answers)[0] == {"first": "no"}
        assert form.check({**answers, "first": "yes"})[0] == {**answers, "first": "yes"}

    def test_answers_keep_the_order_of_the_form(self) -> None:
        form = make_form(
            make_element("short_text", "b"),
            make_element("short_text", "a", visible_if="answers.b == 'x'"),
            make_element("short_text", "c"),
        )

        assert list(form.check({"c": "1", "a": "2", "b": "x"})[0]) == ["b", "a", "c"]
