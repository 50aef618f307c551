"""F1, F2, F3: a definition is taken in its canonical form, or refused with everything that is wrong with it."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployments.kit.engine import (
    InvalidDefinition,
    answer_types,
    compile_form,
    definition_schema,
    parse_definition,
    stored_definition,
)
from deployments.kit.engine.fields import ELEMENT_TYPES
from tests.deployments.kit.engine.forms import (
    COLUMNS,
    ROWS,
    SIDES,
    every_type,
    faults_of,
    make_document,
    make_element,
    refused,
)

EXAMPLE = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                make_element("short_text", "name", required=True, validation={"max_length": 80}),
                make_element("email", "email", required=True),
                make_element("multi_choice", "side", options=SIDES, allow_other=True),
                make_element("nps", "score", visible_if="answers.email != ''"),
            ],
        }
    ],
    "languages": ["en"],
}
AT = "/pages/0/elements/0"


class TestDocument:
    def test_what_says_no_more_than_the_defaults_is_canonical(self) -> None:
        assert parse_definition(EXAMPLE).document() == EXAMPLE

    def test_defaults_are_left_out_and_languages_written(self) -> None:
        raw = {"pages": [{"id": "p", "title": None, "elements": [make_element("nps", required=False, personal=False)]}]}

        assert parse_definition(raw).document() == {
            "pages": [{"id": "p", "elements": [make_element("nps")]}],
            "languages": ["en"],
        }

    def test_every_type_makes_the_round_trip(self) -> None:
        """F1: the stored document is JSON and parses to an equal definition."""
        definition = parse_definition(make_document(*every_type(), title="All", description="Each type once"))
        stored = json.loads(json.dumps(definition.document(), allow_nan=False))

        again = parse_definition(stored)
        assert {field.id for field in again.fields} == {*(element["id"] for element in every_type()), "nick"} - {
            "thanks",
            "more",
        }
        assert again == definition
        assert again.document() == stored
        assert pickle.loads(pickle.dumps(definition)) == definition  # noqa: S301

    def test_the_example_covers_every_type(self) -> None:
        named = {element["type"] for element in every_type()}

        assert len(named) == len(ELEMENT_TYPES)


class TestSchema:
    def test_takes_what_the_parser_takes(self) -> None:
        """F1: the published JSON Schema is valid and describes what is stored."""
        schema = definition_schema()
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)

        assert validator.is_valid(EXAMPLE)
        assert validator.is_valid(parse_definition(make_document(*every_type())).document())
        for broken in ({}, make_document(make_element("film")), make_document(make_element("nps", colour="red"))):
            assert not validator.is_valid(broken)
            assert refused(broken)


REFUSED: list[tuple[Any, str, str]] = [
    (make_element("film"), "/type", "definition.unknown_type"),
    ({"id": "a", "title": "A"}, "/type", "definition.missing"),
    ({"id": "a", "type": "nps"}, "/title", "definition.missing"),
    ({"type": "nps", "title": "A"}, "/id", "definition.missing"),
    (make_element("nps", title=""), "/title", "definition.too_short"),
    (make_element("nps", title="a\0"), "/title", "definition.bad_text"),
    (make_element("nps", title="a\ud800"), "/title", "definition.bad_text"),
    (make_element("nps", title="a" * 2_001), "/title", "definition.too_long"),
    (make_element("nps", title=5), "/title", "definition.type"),
    (make_element("nps", required="yes"), "/required", "definition.type"),
    (make_element("nps", required=1), "/required", "definition.type"),
    (make_element("nps", "Age"), "/id", "definition.bad_id"),
    (make_element("nps", "a" * 65), "/id", "definition.bad_id"),
    (make_element("nps", "a\n"), "/id", "definition.bad_id"),
    (make_element("nps", colour="red"), "/colour", "definition.unknown_property"),
    (make_element("statement", required=True), "/required", "definition.unknown_property"),
    (make_element("short_text", validation={"max": 3}), "/validation/max", "definition.unknown_property"),
    (make_element("short_text", validation={"max_length": 0}), "/validation/max_length", "definition.range"),
    (make_element("short_text", validation={"min_length": "3"}), "/validation/min_length", "definition.type"),
    (
        make_element("short_text", validation={"min_length": 4, "max_length": 3}),
        "/validation/min_length",
        "definition.range",
    ),
    (make_element("short_text", validation={"pattern": "(a"}), "/validation/pattern", "definition.bad_pattern"),
    (make_element("short_text", validation={"pattern": r"(a)\1"}), "/validation/pattern", "definition.bad_pattern"),
    (make_element("short_text", validation={"pattern": "(?=a)"}), "/validation/pattern", "definition.bad_pattern"),
    (
        make_element("short_text", validation={"pattern": "((a{100}){100}){100}"}),
        "/validation/pattern",
        "definition.bad_pattern",
    ),
    (make_element("short_text", validation={"pattern": "a" * 501}), "/validation/pattern", "definition.too_long"),
    (make_element("number", validation={"min": True}), "/validation/min", "definition.type"),
    (make_element("number", validation={"min": float("nan")}), "/validation/min", "definition.type"),
    (make_element("number", validation={"min": 2, "max": 1.5}), "/validation/min", "definition.range"),
    (make_element("number", validation={"max": 2**63}), "/validation/max", "definition.range"),
    (make_element("integer", validation={"min": 1.5}), "/validation/min", "definition.type"),
    (make_element("currency", currency="eur"), "/currency", "definition.bad_text"),
    (make_element("scale", min=5, max=1), "/min", "definition.range"),
    (make_element("rating", max=100), "/max", "definition.range"),
    (make_element("date", validation={"min": "1.1.2024"}), "/validation/min", "definition.format"),
    (
        make_element("date", validation={"min": "2024-02-01", "max": "2024-01-01"}),
        "/validation/min",
        "definition.range",
    ),
    (make_element("choice"), "/options", "definition.missing"),
    (make_element("choice", options=[]), "/options", "definition.too_few"),
    (make_element("choice", options={"corn": "Corn"}), "/options", "definition.type"),
    (make_element("choice", options=[{"id": "a b", "label": "A"}]), "/options/0/id", "definition.bad_id"),
    (make_element("choice", options=[{"id": "a"}]), "/options/0/label", "definition.missing"),
    (make_element("choice", options=[*SIDES, SIDES[0]]), "/options/2/id", "definition.duplicate_id"),
    (
        make_element("choice", options=[{"id": str(i), "label": "x"} for i in range(1_001)]),
        "/options",
        "definition.too_many",
    ),
    (
        make_element("multi_choice", options=[{"id": "other", "label": "Other"}], allow_other=True),
        "/options/0/id",
        "definition.reserved_id",
    ),
    (
        make_element("multi_choice", options=SIDES, validation={"min_choices": 2, "max_choices": 1}),
        "/validation/min_choices",
        "definition.range",
    ),
    (make_element("ranking", options=[SIDES[0], SIDES[0]]), "/options/1/id", "definition.duplicate_id"),
    (make_element("matrix", rows=[ROWS[0], ROWS[0]], columns=COLUMNS), "/rows/1/id", "definition.duplicate_id"),
    (make_element("matrix", rows=ROWS, columns=[*COLUMNS, COLUMNS[0]]), "/columns/2/id", "definition.duplicate_id"),
    (
        make_element(
            "matrix_multi",
            rows=[{"id": str(i), "label": "x"} for i in range(101)],
            columns=[{"id": str(i), "label": "x"} for i in range(10)],
        ),
        "/rows",
        "definition.too_many",
    ),
    (make_element("country", default_country="DE"), "/default_country", "definition.unknown_property"),
    (make_element("phone", default_country="XX"), "/default_country", "definition.unknown_country"),
    (make_element("phone", default_country="de"), "/default_country", "definition.bad_text"),
    (make_element("address", required_parts=["planet"]), "/required_parts/0", "definition.type"),
    (make_element("address", required_parts=["city", "city"]), "/required_parts/1", "definition.duplicate_id"),
    (make_element("file", max_files=0), "/max_files", "definition.range"),
    (make_element("file", accept=["pdf"]), "/accept/0", "definition.bad_text"),
    (make_element("image", accept=["application/pdf"]), "/accept/0", "definition.bad_text"),
    (make_element("signature", max_files=2), "/max_files", "definition.unknown_property"),
    (make_element("short_text", validation={"unique": "yes"}), "/validation/unique", "definition.type"),
    (make_element("choice", options=[{**SIDES[0], "score": "1"}]), "/options/0/score", "definition.type"),
    (make_element("choice", options=[{**SIDES[0], "score": float("nan")}]), "/options/0/score", "definition.range"),
    (make_element("choice", options=[{**SIDES[0], "score": 1e10}]), "/options/0/score", "definition.range"),
    (make_element("calculated"), "/value", "definition.missing"),
    (make_element("calculated", value="1 +"), "/value", "definition.expression"),
    (make_element("calculated", value="answers.field + 1"), "/value", "definition.cycle"),
    (make_element("calculated", value="[1, 2]"), "/value", "definition.expression_type"),
    (make_element("calculated", value="1", required=True), "/required", "definition.not_here"),
    (make_element("group", elements=[]), "/elements", "definition.too_few"),
    (make_element("group", elements=[make_element("nps", "a"), {"id": "b"}]), "/elements/1/type", "definition.missing"),
    (make_element("group", elements=[make_element("nps")]), "/elements/0/id", "definition.duplicate_id"),
    (
        make_element("group", elements=[make_element("section", "s", elements=[])]),
        "/elements/0/type",
        "definition.not_here",
    ),
    (
        make_element("group", elements=[make_element("group", "g", elements=[make_element("nps", "a")])]),
        "/elements/0/type",
        "definition.not_here",
    ),
    (
        make_element("group", elements=[make_element("email", "a", validation={"unique": True})]),
        "/elements/0/validation/unique",
        "definition.not_here",
    ),
    (
        make_element("group", elements=[make_element("nps", "a", colour=1)]),
        "/elements/0/colour",
        "definition.unknown_property",
    ),
    (
        make_element("group", elements=[make_element("nps", "a")], min_items=3, max_items=2),
        "/min_items",
        "definition.range",
    ),
    (
        make_element("group", elements=[make_element("nps", "a", visible_if="item.b")]),
        "/elements/0/visible_if",
        "definition.expression",
    ),
    (
        make_element("group", elements=[make_element("nps", "a", visible_if="answers.a")]),
        "/elements/0/visible_if",
        "definition.expression",
    ),
    (
        make_element("group", elements=[make_element("nps", "a", visible_if="item.a > 1")]),
        "/elements/0/visible_if",
        "definition.cycle",
    ),
    (
        make_element("section", elements=[make_element("section", "s", elements=[])]),
        "/elements/0/type",
        "definition.not_here",
    ),
    (
        make_element("section", elements=[make_element("nps", "a", visible_if="answers.b")]),
        "/elements/0/visible_if",
        "definition.expression",
    ),
    (make_element("section", elements=[], required=True), "/required", "definition.unknown_property"),
    (make_element("section", elements=[], visible_if="item.a"), "/visible_if", "definition.expression"),
    (make_element("nps", visible_if="1 + 'a' == 2"), "/visible_if", "definition.expression_type"),
    (make_element("nps", visible_if="answers.gone == 1"), "/visible_if", "definition.expression"),
    (make_element("nps", required_if="answers.field =="), "/required_if", "definition.expression"),
    (make_element("nps", required_if="answers.field.part == 1"), "/required_if", "definition.expression"),
    (make_element("nps", visible_if="true or " * 250 + "true"), "/visible_if", "definition.too_long"),
    (make_element("nps", visible_if="answers.field > 1"), "/visible_if", "definition.cycle"),
    (5, "", "definition.type"),
]


def test_a_published_version_stays_readable() -> None:
    """F4: what was published is never refused again, even if it would not be taken today."""
    senseless = make_document(make_element("nps", "a"), make_element("nps", "b", visible_if="answers.a == '1'"))

    assert refused(senseless) == [("/pages/0/elements/1/visible_if", "definition.expression_type")]
    assert compile_form(stored_definition(senseless)).check({"a": 1, "b": 2}) == ({"a": 1}, ())


def test_types_of_answers() -> None:
    """F1: whoever stores, filters or draws answers learns what they are."""
    types = answer_types(parse_definition(make_document(*every_type())))

    assert {name: types[name] for name in ("name", "age", "born", "visit", "contact", "sides", "views", "spot")} == {
        "name": "text",
        "age": "number",
        "born": "date",
        "visit": "datetime",
        "contact": "truth",
        "sides": "list of text",
        "views": "map",
        "spot": "map",
    }
    assert (types["total"], types["items"], types["papers"]) == ("number", "list of map", "list of text")
    assert types.keys() == {field.id for field in parse_definition(make_document(*every_type())).fields}


class TestRefused:
    @pytest.mark.parametrize(("element", "suffix", "code"), REFUSED)
    def test_each_mistake_has_its_pointer_and_code(self, element: Any, suffix: str, code: str) -> None:
        """F1: one mistake, one fault, at the place of the mistake."""
        assert refused(make_document(element)) == [(AT + suffix, code)]

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (None, ("", "definition.type")),
            ([], ("", "definition.type")),
            ({}, ("/pages", "definition.missing")),
            ({"pages": []}, ("/pages", "definition.too_few")),
            ({"pages": {"p": 1}}, ("/pages", "definition.type")),
            ({"pages": [5]}, ("/pages/0", "definition.type")),
            ({"pages": [{"id": f"p{i}", "elements": []} for i in range(51)]}, ("/pages", "definition.too_many")),
            (make_document(languages=["english!"]), ("/languages/0", "definition.bad_text")),
            (make_document(colour="red"), ("/colour", "definition.unknown_property")),
        ],
    )
    def test_mistakes_around_the_elements(self, raw: Any, expected: tuple[str, str]) -> None:
        assert refused(raw) == [expected]

    def test_elements_of_all_pages_are_bounded(self) -> None:
        pages = [
            {"id": f"p{page}", "elements": [make_element("nps", f"f{page}_{i}") for i in range(501)]}
            for page in range(2)
        ]

        assert refused({"pages": pages}) == [("/pages", "definition.too_many")]

    def test_ids_are_unique_over_pages(self) -> None:
        page = {"id": "p", "elements": [make_element("nps", "a")]}

        assert refused({"pages": [page, page]}) == [
            ("/pages/1/id", "definition.duplicate_id"),
            ("/pages/1/elements/0/id", "definition.duplicate_id"),
        ]

    def test_everything_wrong_is_named_at_once(self) -> None:
        """F2: faults of shape do not hide faults of meaning, nor those of other elements."""
        document = make_document(
            make_element("film", "photo"),
            make_element("nps", "photo", colour="red"),
            make_element("short_text", "name", validation={"pattern": "("}, visible_if="answers.photo == 1"),
            make_element("choice", "side", options=[*SIDES, SIDES[0]], required_if="answers.gone"),
            languages=[],
        )

        assert sorted(refused(document)) == [
            ("/languages", "definition.too_few"),
            ("/pages/0/elements/0/type", "definition.unknown_type"),
            ("/pages/0/elements/1/colour", "definition.unknown_property"),
            ("/pages/0/elements/1/id", "definition.duplicate_id"),
            ("/pages/0/elements/2/validation/pattern", "definition.bad_pattern"),
            ("/pages/0/elements/3/options/2/id", "definition.duplicate_id"),
            ("/pages/0/elements/3/required_if", "definition.expression"),
        ]

    def test_circles_of_visibility_are_refused(self) -> None:
        """F3: a field whose visibility depends on itself over others can never be decided."""
        document = make_document(
            make_element("yes_no", "a", visible_if="answers.c"),
            make_element("yes_no", "b", visible_if="answers.a and answers.d"),
            make_element("yes_no", "c", visible_if="not answers.b"),
            make_element("yes_no", "d"),
            make_element("yes_no", "e", visible_if="answers.e"),
        )

        found = refused(document)
        assert {code for _, code in found} == {"definition.cycle"}
        assert {pointer.split("/")[4] for pointer, _ in found} in ({"0", "4"}, {"1", "4"}, {"2", "4"})

    @pytest.mark.parametrize(
        ("pages", "expected"),
        [
            (
                [{"id": "a", "elements": [], "next": [{"to": "gone"}]}, {"id": "b", "elements": []}],
                ("/pages/0/next/0/to", "definition.unknown_page"),
            ),
            (
                [{"id": "a", "elements": []}, {"id": "b", "elements": [], "next": [{"to": "a"}]}],
                ("/pages/1/next/0/to", "definition.backwards"),
            ),
            (
                [{"id": "a", "elements": [], "next": [{"to": "a"}]}],
                ("/pages/0/next/0/to", "definition.backwards"),
            ),
            (
                [{"id": "a", "elements": [], "next": [{"to": "end"}]}, {"id": "end", "elements": []}],
                ("/pages/1/id", "definition.reserved_id"),
            ),
            (
                [{"id": "a", "elements": [], "next": [{"if": "answers.gone", "to": "end"}]}],
                ("/pages/0/next/0/if", "definition.expression"),
            ),
            (
                [
                    {"id": "a", "elements": [], "next": [{"if": "answers.x", "to": "end"}]},
                    {"id": "b", "elements": [make_element("yes_no", "x")]},
                ],
                ("/pages/0/next", "definition.cycle"),
            ),
            (
                [{"id": "a", "visible_if": "answers.x", "elements": [make_element("yes_no", "x")]}],
                ("/pages/0/visible_if", "definition.cycle"),
            ),
            (
                [{"id": "a", "elements": [make_element("section", "s", visible_if="answers.x", elements=[
                    make_element("yes_no", "x")])]}],
                ("/pages/0/elements/0/visible_if", "definition.cycle"),
            ),
            (
                [{"id": "a", "elements": [
                    make_element("calculated", "x", value="answers.y + 1"),
                    make_element("number", "y", visible_if="answers.x > 1"),
                ]}],
                ("/pages/0/elements/0/value", "definition.cycle"),
            ),
            (
                [{"id": "a", "elements": [
                    make_element("calculated", "x", value="sum(answers.y.z)"),
                    make_element("group", "y", elements=[make_element("number", "z", required_if="answers.x > 1")]),
                ]}],
                ("/pages/0/elements/0/value", "definition.cycle"),
            ),
        ],
    )  # fmt: skip
    def test_ways_through_the_form_are_sound(self, pages: list[Any], expected: tuple[str, str]) -> None:
        """F3: pages lead only downwards to pages that there are, and nothing depends on itself."""
        assert refused({"pages": pages}) == [expected]

    def test_rules_are_sound(self) -> None:
        rules = [
            {"id": "r", "check": "answers.a >", "message": "No"},
            {"id": "r", "check": "answers.gone", "message": "No", "fields": ["a", "b"]},
        ]
        group = make_element("group", "g", elements=[make_element("nps", "b")])

        assert sorted(refused(make_document(make_element("nps", "a"), group, rules=rules))) == [
            ("/rules/0/check", "definition.expression"),
            ("/rules/1/check", "definition.expression"),
            ("/rules/1/fields/1", "definition.unknown_field"),
            ("/rules/1/id", "definition.duplicate_id"),
        ]

    def test_what_is_inside_of_groups_counts_for_every_item(self) -> None:
        """F3: the cost of checking is bounded, however many items there are."""
        inside = [make_element("nps", f"f{i}", visible_if="true or " * 240 + "true") for i in range(3)]

        assert refused(make_document(make_element("group", elements=inside, max_items=30))) == []
        assert refused(make_document(make_element("group", elements=inside, max_items=40))) == [
            ("/pages", "definition.too_long")
        ]

    def test_expressions_that_make_texts_are_bounded(self) -> None:
        """F3: the functions that cost the most are counted."""
        text = " or ".join(["lower('') == ''"] * 100)
        elements = [make_element("nps", f"f{i}", visible_if=text) for i in range(21)]

        assert refused(make_document(*elements[:20])) == []
        assert refused(make_document(*elements)) == [("/pages", "definition.too_long")]

    def test_required_if_may_go_in_a_circle(self) -> None:
        document = make_document(
            make_element("email", "email", required_if="empty(answers.phone)"),
            make_element("phone", "phone", required_if="empty(answers.email)"),
        )

        assert refused(document) == []

    def test_expressions_are_bounded_together(self) -> None:
        elements = [make_element("nps", f"f{i}", visible_if="true or " * 240 + "true") for i in range(105)]

        assert refused(make_document(*elements)) == [("/pages", "definition.too_long")]

    def test_faults_are_bounded_and_survive_pickling(self) -> None:
        with pytest.raises(InvalidDefinition) as error:
            parse_definition(make_document(*({} for _ in range(300))))

        assert len(error.value.faults) == 100
        again = pickle.loads(pickle.dumps(error.value))  # noqa: S301
        assert (again.code, again.status, again.faults) == ("definition.invalid", 422, error.value.faults)


texts = st.text(st.characters(codec=None), max_size=10)
names = st.sampled_from(
    ["id", "type", "title", "pages", "elements", "options", "rows", "validation", "visible_if", "min"]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | texts
    | st.sampled_from(["choice", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=150)
@given(raw=json_values, element=json_values)
def test_any_json_is_taken_or_refused(raw: Any, element: Any) -> None:
    """F2: no JSON value makes the parser fail otherwise; faults can be encoded."""
    for document in (raw, make_document(element), {"pages": raw}):
        faults = faults_of(document)
        "".join(fault.pointer + fault.detail for fault in faults).encode()
