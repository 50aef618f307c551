"""F3: the expression language means what its documentation says and never raises."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.kit.engine.expressions import MAX_LENGTH, ExpressionError, parse_expression
from tests.deployments.kit.engine.forms import COLUMNS, ROWS, SIDES, make_element, make_form

ANSWERS: dict[str, Any] = {
    "name": "Ann", "age": 41, "weight": 1.5, "zero": 0, "yes": True, "no": False,
    "sides": ["corn", "yams"], "table": {"han": "good"}, "day": "2024-05-01",
}  # fmt: skip

TRUE = [
    "true", "answers.yes", "answers.name", "not answers.no", "not answers.zero", "not answers.absent", "not ''",
    "answers.name == 'Ann'", 'answers.name == "Ann"', "answers.name != 'Bob'", "answers.age >= 41",
    "answers.age < 41.5",
    "answers.weight == 1.5", "answers.age > -1", "answers.zero == 0", "answers.yes == true",
    "answers.day < '2024-10-01'",
    "answers.absent == null", "null != answers.name", "answers.absent == answers.gone", "null == null",
    "answers.sides == ['corn', 'yams']", "answers.sides contains 'corn'", "'yams' in answers.sides",
    "answers.age in [1, 41]", "answers.name contains 'nn'", "'A' in answers.name", "null in [null]",
    "empty(answers.absent)", "empty('')", "not empty(answers.name)", "not empty(answers.zero)",
    "count(answers.sides) == 2", "count(answers.absent) == 0", "count(answers.name) == 1", "count(answers.table) == 1",
    "length(answers.name) == 3", "length(answers.age) == 0", "answers.table.han == 'good'",
    "true or true and false", "(true or true) and not false", "not false and true", "not (false or false)",
    r"'it\'s' == " + '"it\'s"', r"'a\\b' contains '\\'", "  answers.name\n==\t'Ann' ", "((((answers.yes))))",
]  # fmt: skip
FALSE = [
    "false", "null", "answers.absent", "answers.zero", "[]", "answers.no or answers.absent",
    "answers.age == '41'", "answers.age != '41'", "answers.yes == 1", "answers.zero == false", "1 in [true]",
    "answers.absent == ''", "answers.absent != ''", "answers.absent < 1", "answers.absent != answers.gone",
    "answers.name < 5", "answers.sides < ['z']", "answers.yes < true", "answers.table == answers.sides",
    "answers.absent contains 'x'", "answers.age contains 4", "4 in answers.age", "answers.absent in ['a']",
    "answers.sides contains null", "answers.table.leia != 'good'", "answers.name.part == 'x'", "not true or false",
]  # fmt: skip
BAD = [
    ("", 1), ("answers.name ==", 16), ("answers.name = 'x'", 14), ("name == 'x'", 1), ("'open", 1), ("1 < 2 < 3", 7),
    ("__import__('os')", 1), ("answers.__class__", 1), ("lambda: 1", 1), ("answers.a.b.c", 12), ("[answers.a]", 2),
    ("len(answers.a)", 1), ("empty()", 7), ("count answers.a", 7), ("1e9", 1), ("nottrue", 1), ("true and", 9),
    ("(true", 6),
    ("1" * 16, 1), ("true; true", 5), ("answers.A", 1), ("[[1]]", 2),
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    assert parse_expression(text).compile({})(ANSWERS) is True


@pytest.mark.parametrize("text", FALSE)
def test_false(text: str) -> None:
    assert parse_expression(text).compile({})(ANSWERS) is False


@pytest.mark.parametrize(("text", "position"), BAD)
def test_bad_syntax_is_refused_with_its_position(text: str, position: int) -> None:
    """F3: nothing but the language is accepted."""
    with pytest.raises(ExpressionError) as error:
        parse_expression(text)

    assert str(error.value) == f"Syntax error at character {position}."


def test_length_and_depth_are_bounded() -> None:
    assert parse_expression("not " * 30 + "true").compile({})({}) is True
    for text in ("not " * 33 + "true", "not " * 490 + "true", "not (" * 300 + "true" + ")" * 300):
        with pytest.raises(ExpressionError, match="nested"):
            parse_expression(text)
    assert parse_expression("true".ljust(MAX_LENGTH)).compile({})({}) is True
    for text in ("true".ljust(MAX_LENGTH + 1), "true or " * 300 + "true"):
        with pytest.raises(ExpressionError, match="characters"):
            parse_expression(text)
    assert parse_expression("(" * 990 + "true" + ")" * 990).compile({})({}) is True
    assert parse_expression("false or " * 200 + "true").compile({})({}) is True


def test_paths_are_known_with_their_positions() -> None:
    paths = parse_expression("answers.a == 1 and empty(answers.b.other)").paths

    assert [(path.field_id, path.part, path.position) for path in paths] == [("a", None, 1), ("b", "other", 26)]


operands = st.sampled_from(
    [
        "answers.a",
        "answers.b",
        "answers.a.x",
        "1",
        "-2.5",
        "'x'",
        "''",
        "true",
        "null",
        "[1, 'x', null]",
        "count(answers.a)",
    ]
)
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "contains", "and", "or"])
expressions = st.recursive(
    operands,
    lambda inner: st.builds("({} {} {})".format, inner, operators, inner) | st.builds("(not {})".format, inner),
    max_leaves=8,
)
answers = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.text(max_size=2))
    | (
        st.dictionaries(
            st.sampled_from(["x", "y"]), st.integers() | st.text(max_size=2) | st.lists(st.text(max_size=2))
        )
    )
)


@settings(max_examples=200)
@given(text=expressions, a=answers, b=answers)
def test_evaluation_never_raises(text: str, a: Any, b: Any) -> None:
    """F3: whatever the answers are, the condition is true or false."""
    assert parse_expression(text).compile({})({"a": a, "b": b}) in (True, False)


@settings(max_examples=200)
@given(text=st.text(max_size=40) | st.text("answers.b()[]'\"<>=!01,notradile \\", max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        parse_expression(text)
    except ExpressionError:
        return


class TestViews:
    """F3: expressions see a choice as its option id, or as the free text when only that was given."""

    FORM = make_form(
        make_element("choice", "main", options=SIDES, allow_other=True),
        make_element("multi_choice", "sides", options=SIDES, allow_other=True),
        make_element("ranking", "order", options=SIDES),
        make_element("statement", "corn_main", visible_if="answers.main == 'corn'"),
        make_element("short_text", "a", visible_if="answers.main == 'corn'"),
        make_element("short_text", "b", visible_if="answers.main != 'corn'"),
        make_element("short_text", "c", visible_if="answers.sides contains 'yams'"),
        make_element("short_text", "d", visible_if="count(answers.sides) == 2"),
        make_element("short_text", "e", visible_if="not empty(answers.sides.other)"),
        make_element("short_text", "f", visible_if="answers.order.corn == 1"),
        make_element("matrix", "views", rows=ROWS, columns=COLUMNS),
        make_element("short_text", "g", visible_if="answers.views.leia == 'good'"),
    )

    @pytest.mark.parametrize(
        ("given_answers", "visible"),
        [
            ({"main": "corn"}, "a"),
            ({"main": {"option": "corn", "other": "x"}}, "a"),
            ({"main": {"other": "x"}}, "b"),
            ({"sides": ["yams"]}, "c"),
            ({"sides": {"options": ["yams"], "other": "x"}}, "cde"),
            ({"sides": {"other": "x"}}, "e"),
            ({"order": ["corn"]}, "f"),
            ({"views": {"leia": "good"}}, "g"),
            ({}, ""),
        ],
    )
    def test_visible(self, given_answers: dict[str, Any], visible: str) -> None:
        texts = dict.fromkeys("abcdefg", "text")
        values, faults = self.FORM.check({**given_answers, **texts})

        assert faults == ()
        assert "".join(name for name in values if name in texts) == visible
