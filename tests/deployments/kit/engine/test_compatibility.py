"""F4: the type of a published field does not change."""

import pytest

from deployments.kit.engine import incompatible_changes
from tests.deployments.kit.engine.forms import SIDES, codes, make_definition, make_element


@pytest.mark.parametrize(
    ("before", "after"),
    [("number", "integer"), ("short_text", "email"), ("yes_no", "short_text"), ("date", "datetime"), ("nps", "scale")],
)
def test_type_changes_are_refused(before: str, after: str) -> None:
    old = make_definition(make_element(before, "a"), make_element("nps", "b"))
    new = make_definition(make_element("nps", "b"), make_element("statement", "s"), make_element(after, "a"))

    assert codes(incompatible_changes(old, new)) == [("/pages/0/elements/2/type", "definition.type_changed")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("email", "short_text"),
        ("short_text", "long_text"),
        ("phone", "long_text"),
        ("date", "short_text"),
        ("nps", "nps"),
    ],
)
def test_text_answers_may_become_texts(before: str, after: str) -> None:
    old, new = make_definition(make_element(before, "a")), make_definition(make_element(after, "a"))

    assert incompatible_changes(old, new) == ()


def test_a_field_may_not_become_a_statement() -> None:
    old, new = make_definition(make_element("nps", "a")), make_definition(make_element("statement", "a"))

    assert codes(incompatible_changes(old, new)) == [("/pages/0/elements/0/type", "definition.type_changed")]


@pytest.mark.parametrize("kind", ["country", "phone", "email"])
def test_a_field_inside_of_a_section_is_where_it_was(kind: str) -> None:
    field = make_element(kind, "a")
    old, new = make_definition(field), make_definition(make_element("section", "s", elements=[field]))

    assert incompatible_changes(old, new) == ()
    assert incompatible_changes(new, old) == ()


def test_fields_inside_of_groups_keep_their_type_and_their_group() -> None:
    """F4: answers inside of a group keep their meaning and their column."""
    a, b = make_element("nps", "a"), make_element("nps", "b")
    old = make_definition(make_element("group", "g", elements=[a]), b)
    new = make_definition(make_element("group", "g", elements=[make_element("email", "a"), b]))
    apart = make_definition(a, make_element("group", "g", elements=[make_element("nps", "c")]))

    assert codes(incompatible_changes(old, new)) == [
        ("/pages/0/elements/0/elements/0/type", "definition.type_changed"),
        ("/pages/0/elements/0/elements/1/id", "definition.moved"),
    ]
    assert codes(incompatible_changes(old, apart)) == [("/pages/0/elements/0/id", "definition.moved")]


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ("1", "2 + 2", True),
        ("'a'", "today()", True),
        ("null", "1", True),
        ("1", "'1'", False),
        ("1 < 2", "1", False),
        ("answers.n", "text(answers.n)", False),
    ],
)
def test_what_is_calculated_keeps_its_type(before: str, after: str, *, taken: bool) -> None:
    """F4: the column of a calculated field does not turn from numbers into texts."""
    old, new = (
        make_definition(make_element("number", "n"), make_element("calculated", "k", value=value))
        for value in (before, after)
    )

    expected = [] if taken else [("/pages/0/elements/1/value", "definition.type_changed")]
    assert codes(incompatible_changes(old, new)) == expected


def test_fields_and_options_may_come_and_go() -> None:
    old = make_definition(make_element("choice", "a", options=SIDES), make_element("nps", "b"))
    new = make_definition(make_element("choice", "a", options=SIDES[:1]), make_element("email", "c"))

    assert incompatible_changes(old, new) == ()
