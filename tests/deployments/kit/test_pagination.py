"""Keyset cursors: what is made is read back, and nothing else is."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor

# What a row can hold: PostgreSQL has no NUL, UTF-8 no lone surrogate.
VALUES = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=3)


@given(sort=st.text(st.characters(exclude_categories=["Cs"])), values=VALUES)
def test_a_cursor_is_read_back(sort: str, values: list[str]) -> None:
    cursor = encode_cursor(sort, values)
    assert decode_cursor(cursor, sort, len(values)) == values
    assert cursor.isascii()
    assert not set(cursor) & set("=+/& ?#")


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_anything_else_is_refused_in_one_way(cursor: str) -> None:
    """H: bad input gets a problem, never a 500."""
    with pytest.raises(Invalid) as caught:
        decode_cursor(cursor, "-id", 1)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/cursor", "cursor.invalid")]


@pytest.mark.parametrize(
    "document",
    [
        ["-id"],
        ["-id", "a", "b"],
        ["id", "a"],
        ["-id", 7],
        ["-id", None],
        ["-id", ["a"]],
        ["-id", "a\0b"],
        {"-id": "a"},
        "-id",
        [],
        None,
        7,
    ],
)
def test_well_formed_forgeries_are_refused(document: object) -> None:
    cursor = base64.urlsafe_b64encode(orjson.dumps(document)).decode()
    with pytest.raises(Invalid):
        decode_cursor(cursor, "-id", 1)
