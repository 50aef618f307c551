"""F3: an expression that makes no sense is refused when the form is saved, with the character where it goes wrong."""

import pytest

from tests.deployments.kit.engine.forms import COLUMNS, ROWS, SIDES, faults_of, make_document, make_element

FIELDS = [
    make_element("number", "n"),
    make_element("short_text", "t"),
    make_element("yes_no", "b"),
    make_element("date", "d"),
    make_element("time", "w"),
    make_element("choice", "c", options=SIDES),
    make_element("multi_choice", "m", options=SIDES),
    make_element("matrix", "x", rows=ROWS, columns=COLUMNS),
    make_element("file", "f"),
    make_element("group", "g", elements=[make_element("number", "gn"), make_element("short_text", "gt")]),
    make_element("calculated", "k", value="answers.n * 2"),
    make_element("calculated", "kt", value="if(answers.b, answers.t, null)"),
]

REFUSED = [
    ("answers.n == '1'", "'==' compares a number with a text (character 11)."),
    ("answers.b != 1", "'!=' compares a truth with a number (character 11)."),
    ("answers.d < answers.w", "'<' compares a date with a time (character 11)."),
    ("answers.m == 'corn'", "'==' compares a list of text with a text (character 11)."),
    ("answers.b < true", "'<' orders numbers and texts, not a truth (character 11)."),
    ("answers.n contains 'a'", "'contains' looks for a text in a number (character 11)."),
    ("1 in answers.m", "'in' looks for a number in a list of text (character 3)."),
    ("answers.n in ['a']", "'in' looks for a number in a list of text (character 11)."),
    ("answers.t + 1", "'+' calculates with numbers, not with a text (character 11)."),
    ("1 + 2 - answers.t", "'+-' calculates with numbers, not with a text (character 3)."),
    ("-answers.t", "'-' calculates with numbers, not with a text (character 1)."),
    ("answers.k == 'a'", "'==' compares a number with a text (character 11)."),
    ("answers.kt > 1", "'>' compares a text with a number (character 12)."),
    ("if(true, 1, 'a') == 1", "'if' gives a number or a text (character 1)."),
    ("coalesce(answers.t, answers.n) == 1", "'coalesce' gives a text or a number (character 1)."),
    ("sum(answers.g.gt) > 1", "'sum' takes numbers, not a text (character 1)."),
    ("sum(answers.g) > 1", "'sum' takes numbers, not a map (character 1)."),
    ("max(answers.x) > 1", "'max' takes numbers or texts, not a map (character 1)."),
    ("max(1, 'a') > 1", "'max' gives a number or a text (character 1)."),
    ("lower(answers.n) == 'a'", "'lower' does not take a number (character 1)."),
    ("left(answers.t, answers.t) == 'a'", "'left' does not take a text (character 1)."),
    ("year(answers.w) == 1", "'year' does not take a time (character 1)."),
    ("join(answers.t, 1) == ''", "'join' joins with a text, not with a number (character 1)."),
    ("score(1) > 1", "'score' takes one field (character 1)."),
    ("score(answers.g.gn) > 1", "'score' takes one field (character 1)."),
    ("concat(answers.f) == ''", "'concat' does not take a list of text (character 1)."),
    ("round(1, 2, 3) > 1", "The function 'round' takes 1 to 2 values (character 1)."),
    ("answers.gn > 1", "The field 'gn' is inside of the group 'g' (character 1)."),
    ("item.n > 1", "'item' is known only inside of a group (character 1)."),
    ("answers.g.other > 1", "The field 'g' has no part 'other' (character 1)."),
]  # fmt: skip
TAKEN = [
    "answers.n", "answers.m", "answers.x.han == 'good'", "answers.d < '2024-01-01'",
    "answers.d > add_days(today(), -1)",
    "answers.n == null", "null == answers.m", "answers.n in [1, null]", "answers.c in answers.m",
    "answers.m == ['corn']",
    "answers.m == []", "sum(answers.g.gn, 1) > 1", "count(answers.f) > 1", "max(answers.d, today()) > '2020'",
    "if(answers.b, null, 1) > 1", "coalesce(null, answers.t) == 'a'", "answers.kt contains 'a'",
    "min(answers.g.gt) == 'a'",
    "year(answers.t) == 2024", "answers.b == (answers.n > 1)", "score(answers.c) + score(answers.b) > 1",
]  # fmt: skip


@pytest.mark.parametrize(("text", "detail"), REFUSED)
def test_refused(text: str, detail: str) -> None:
    faults = faults_of(make_document(*FIELDS, make_element("statement", "s", visible_if=text)))

    assert [(fault.pointer, fault.detail) for fault in faults] == [
        (f"/pages/0/elements/{len(FIELDS)}/visible_if", detail)
    ]


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: str) -> None:
    assert faults_of(make_document(*FIELDS, make_element("statement", "s", visible_if=text))) == ()


def test_inside_of_a_group_the_item_is_typed_as_well() -> None:
    inside = [
        make_element("number", "gn"),
        make_element("calculated", "gk", value="concat(item.gn)"),
        make_element("statement", "gs", visible_if="item.gk > 1"),
    ]
    (fault,) = faults_of(make_document(make_element("group", "g", elements=inside)))

    assert (fault.pointer, fault.code) == ("/pages/0/elements/0/elements/2/visible_if", "definition.expression_type")
