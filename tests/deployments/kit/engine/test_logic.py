"""F2, F3: ways through a form, groups, calculated values and rules, as answers are checked."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.kit.engine import CompiledForm, FileRules, compile_form, parse_definition
from tests.deployments.kit.engine.forms import codes, make_document, make_element, make_form

FILES = [f"fil_{number:032x}" for number in range(3)]


def make_pages(*pages: dict[str, Any], **properties: Any) -> CompiledForm:
    return compile_form(parse_definition({"pages": list(pages), **properties}))


class TestPages:
    FORM = make_pages(
        {
            "id": "p1",
            "elements": [make_element("integer", "age", required=True)],
            "next": [{"if": "answers.age < 18", "to": "end"}],
        },
        {"id": "p2", "elements": [make_element("short_text", "job", required=True)]},
    )

    def test_answers_on_pages_that_are_not_reached_are_dropped(self) -> None:
        """F3: what a jump leaves out is not asked for and not kept."""
        assert self.FORM.check({"age": 12, "job": 5}) == ({"age": 12}, ())
        assert codes(self.FORM.check({"age": 18})[1]) == [("/answers/job", "required")]
        assert self.FORM.check({"age": 18, "job": "x"}) == ({"age": 18, "job": "x"}, ())

    def test_a_faulty_answer_before_a_jump_does_not_hide_the_faults_behind_it(self) -> None:
        """F2: everything that may be wrong is told at once."""
        form = make_pages(
            {
                "id": "p1",
                "elements": [make_element("integer", "age")],
                "next": [{"if": "empty(answers.age)", "to": "end"}],
            },
            {"id": "p2", "elements": [make_element("integer", "rooms")]},
        )

        assert codes(form.check({"age": "x", "rooms": "y"})[1]) == [
            ("/answers/age", "type"),
            ("/answers/rooms", "type"),
        ]
        assert form.check({"rooms": "y"}) == ({}, ())

    def test_a_jump_may_depend_on_what_is_calculated(self) -> None:
        form = make_pages(
            {"id": "p1", "elements": [make_element("rating", "a"), make_element("rating", "b")]},
            {
                "id": "p2",
                "elements": [make_element("calculated", "sum", value="answers.a + answers.b")],
                "next": [{"if": "answers.sum > 6", "to": "p4"}],
            },
            {"id": "p3", "elements": [make_element("long_text", "why", required=True)]},
            {"id": "p4", "elements": [make_element("email", "email", required=True)]},
        )

        assert codes(form.check({"a": 5, "b": 5})[1]) == [("/answers/email", "required")]
        assert codes(form.check({"a": 1, "b": 5})[1]) == [("/answers/why", "required"), ("/answers/email", "required")]


class TestCalculated:
    def test_what_is_sent_for_it_does_not_count(self) -> None:
        """F3: the server calculates for itself, in whatever order the fields stand."""
        form = make_form(
            make_element("calculated", "total", value="answers.twice + 1"),
            make_element("calculated", "twice", value="answers.n * 2"),
            make_element("number", "n"),
        )

        assert form.check({"n": 2, "twice": 99, "total": "x"}) == ({"n": 2, "twice": 4, "total": 5}, ())
        assert form.check({"total": 5}) == ({}, ())

    def test_hidden_it_has_no_value(self) -> None:
        form = make_form(
            make_element("number", "n"),
            make_element("calculated", "k", value="1", visible_if="answers.n > 1"),
            make_element("calculated", "l", value="coalesce(answers.k, 0)"),
        )

        assert form.check({"n": 1})[0] == {"n": 1, "l": 0}
        assert form.check({"n": 2})[0] == {"n": 2, "k": 1, "l": 1}

    def test_the_time_is_given(self) -> None:
        """F3: today is what the caller says, so that an edit later on calculates the same."""
        form = make_form(make_element("calculated", "day", value="today()"))

        assert form.check({}, now=datetime(2024, 2, 29, 23, 59, tzinfo=UTC))[0] == {"day": "2024-02-29"}
        assert len(form.check({})[0]["day"]) == 10

    def test_texts_do_not_grow_without_bound(self) -> None:
        """F3: what a calculation costs is bounded, even if each doubles the one before."""
        doubled = [
            make_element("calculated", f"k{n}", value=f"concat(answers.k{n - 1}, answers.k{n - 1})")
            for n in range(1, 40)
        ]
        form = make_form(make_element("calculated", "k0", value="'0123456789'"), *doubled)
        values, _ = form.check({})

        assert max(len(value) for value in values.values()) == 5_120
        assert "k11" not in values

    def test_long_texts_are_not_rewritten(self) -> None:
        """F3: a long answer times many functions would be a long wait."""
        names = (
            "lower(answers.t)",
            "trim(answers.t)",
            "left(answers.t, 1)",
            "length(answers.t)",
            "answers.t contains 'x'",
        )
        fields = [make_element("calculated", f"k{n}", value=text) for n, text in enumerate(names)]
        form = make_form(make_element("long_text", "t"), *fields)

        assert form.check({"t": "X" * 10_000})[0]["k0"] == "x" * 10_000
        assert form.check({"t": "X" * 10_001})[0].keys() == {"t", "k3", "k4"}


class TestGroups:
    FORM = make_form(
        make_element("yes_no", "strict"),
        make_element(
            "group",
            "items",
            required=True,
            min_items=2,
            elements=[
                make_element("integer", "amount", required_if="answers.strict"),
                make_element("short_text", "why", visible_if="item.amount > 9", required=True),
                make_element("calculated", "half", value="item.amount / 2"),
            ],
        ),
    )

    def test_every_item_is_checked_by_itself(self) -> None:
        """F1, F2: pointers lead into the item, as it was sent."""
        answers = {"strict": True, "items": [{"amount": 10}, {}, {"why": "x"}, {"amount": "x"}]}

        assert codes(self.FORM.check(answers)[1]) == [
            ("/answers/items/0/why", "required"),
            ("/answers/items/2/amount", "required"),
            ("/answers/items/3/amount", "type"),
        ]

    def test_normal_form(self) -> None:
        answers = {"items": [{"amount": 1, "why": "hidden"}, {}, {"amount": 10, "why": "x", "half": 7}]}
        wanted = {"items": [{"amount": 1, "half": 0.5}, {"amount": 10, "why": "x", "half": 5}]}

        assert self.FORM.check(answers) == (wanted, ())
        assert self.FORM.check(wanted) == (wanted, ())

    def test_required_items(self) -> None:
        assert codes(self.FORM.check({})[1]) == [("/answers/items", "required")]
        assert codes(self.FORM.check({"items": [{}, {"amount": None}]})[1]) == [("/answers/items", "required")]
        assert codes(self.FORM.check({"items": [{"amount": 1}]})[1]) == [("/answers/items", "items.min")]

    def test_partial_items_may_lack_answers_and_be_few(self) -> None:
        """R2: what is saved on the way may be unfinished."""
        answers = {"strict": True, "items": [{"amount": 10}]}

        assert self.FORM.check(answers, partial=True) == (
            {"strict": True, "items": [{"amount": 10, "half": 5}]},
            (),
        )

    def test_faults_are_bounded(self) -> None:
        form = make_form(make_element("group", "g", max_items=100, elements=[make_element("nps", "a")]))

        assert len(form.check({"g": [{"a": "x", "b": 1}] * 100})[1]) == 100
        assert len(form.check({"g": [{f"k{i}": 1 for i in range(500)}]})[1]) == 100


class TestRules:
    FORM = compile_form(
        parse_definition(
            make_document(
                make_element("date", "start"),
                make_element("date", "end", visible_if="answers.start != null"),
                rules=[
                    {
                        "id": "order",
                        "check": "empty(answers.end) or answers.start <= answers.end",
                        "message": "The end is before the start.",
                        "fields": ["end", "start"],
                    }
                ],
            )
        )
    )

    def test_a_broken_rule_is_a_fault_at_its_field(self) -> None:
        """F2: rules over several answers are told together with all other faults."""
        _, (fault,) = self.FORM.check({"start": "2024-01-02", "end": "2024-01-01"})

        assert (fault.pointer, fault.code) == ("/answers/end", "rule.order")
        assert fault.detail == "The end is before the start."
        assert self.FORM.check({"start": "2024-01-01", "end": "2024-01-01"})[1] == ()

    @pytest.mark.parametrize("end", ["x", "2024-13-01"])
    def test_it_is_not_asked_of_faulty_answers(self, end: str) -> None:
        answers = {"start": "2024-01-02", "end": end}

        assert codes(self.FORM.check(answers)[1]) == [("/answers/end", "format.date")]

    def test_it_is_not_asked_of_partial_answers(self) -> None:
        assert self.FORM.check({"start": "2024-01-02", "end": "2024-01-01"}, partial=True)[1] == ()


class TestUnique:
    FORM = make_form(
        make_element("short_text", "code", validation={"unique": True}),
        make_element("email", "email", validation={"unique": True}),
        make_element("phone", "phone", default_country="DE", validation={"unique": True}),
        make_element("number", "number", validation={"unique": True}),
        make_element("integer", "badge", validation={"unique": True}),
        make_element("datetime", "slot", validation={"unique": True}),
        make_element("short_text", "free"),
    )

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"code": " ab  c"}, {"code": "AB c "}),
            ({"code": "Straße"}, {"code": "STRASSE"}),
            ({"code": "é"}, {"code": "e\u0301"}),
            ({"email": "Ann@Example.com"}, {"email": "ann@EXAMPLE.com"}),
            ({"phone": "030 123456"}, {"phone": "+49 30 123-456"}),
            ({"number": 3}, {"number": 3.0}),
            ({"badge": 3}, {"badge": 3.0}),
            ({"slot": "2024-05-01T12:00:00+02:00"}, {"slot": "2024-05-01T10:00:00Z"}),
        ],
    )
    def test_what_is_the_same_has_one_text(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        """F2: uniqueness is decided by meaning, not by spelling."""
        texts = [self.FORM.unique(self.FORM.check(answers)[0]) for answers in (one, other)]

        assert texts[0] == texts[1]
        assert len(texts[0]) == 1

    def test_what_differs_differs(self) -> None:
        answers = [
            {"code": "ab"},
            {"code": "a b"},
            {"number": 0.1},
            {"number": -0.1},
            {"badge": 2**62},
            {"badge": 2**62 + 1},
        ]

        assert len({self.FORM.unique(self.FORM.check(each)[0]) for each in answers}) == len(answers)

    def test_only_what_must_be_unique(self) -> None:
        assert self.FORM.unique({"free": "x"}) == ()
        assert self.FORM.unique({"code": "x", "badge": 7}) == (("code", "x"), ("badge", "7"))


def test_files_are_named_with_their_fields_and_rules() -> None:
    """R5: who keeps the files learns which are named where, and what each field allows."""
    inner = make_element("image", "photo", max_size=5)
    form = make_form(
        make_element("file", "papers", max_files=2, accept=["application/pdf"]),
        make_element("group", "items", elements=[inner, make_element("nps", "score")]),
        make_element("signature", "signed", visible_if="answers.papers == null"),
    )
    values, faults = form.check({"papers": FILES[:2], "items": [{"score": 1}, {"photo": [FILES[2]]}], "signed": FILES})

    assert faults == ()
    assert form.files(values) == (("papers", FILES[0]), ("papers", FILES[1]), ("photo", FILES[2]))
    assert form.file_fields == {
        "papers": FileRules("file", 2, 10 * 1024**2, ("application/pdf",)),
        "photo": FileRules("image", 1, 5, ("image/*",)),
        "signed": FileRules("signature", 1, 10 * 1024**2, ("image/png",)),
    }
    assert make_form(make_element("nps")).files({"field": 1}) == ()
