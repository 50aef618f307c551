"""Pydantic's errors in the platform's words."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, EmailStr, Field, ValidationError, field_validator

from deployments.kit.problems import faults_of, pointer


class Inner(BaseModel):
    at: datetime


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=2, max_length=3, pattern="^[a-z]*$")] = "abc"
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = ["a"]
    number: Annotated[int, Field(ge=1, le=9)] = 5
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    kind: Literal["a", "b"] = "a"
    email: EmailStr = "a@example.org"
    url: AnyUrl | None = None
    uuid: UUID | None = None
    inner: list[Inner] = []
    even: int = 0
    needed: int

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


def faults(prefix: str = "", **values: Any) -> set[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(values)
    return {(fault.pointer, fault.code) for fault in faults_of(caught.value, prefix)}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"name": "a"}, ("/name", "length.min")),
        ({"name": "abcd"}, ("/name", "length.max")),
        ({"name": "A1"}, ("/name", "pattern")),
        ({"name": 7}, ("/name", "type")),
        ({"tags": []}, ("/tags", "length.min")),
        ({"tags": ["a", "b", "c"]}, ("/tags", "length.max")),
        ({"tags": ["a", 7]}, ("/tags/1", "type")),
        ({"number": 0}, ("/number", "range.min")),
        ({"number": 10}, ("/number", "range.max")),
        ({"share": 0}, ("/share", "range.min")),
        ({"share": 1}, ("/share", "range.max")),
        ({"kind": "c"}, ("/kind", "option.unknown")),
        ({"email": "nobody"}, ("/email", "format.email")),
        ({"url": "::"}, ("/url", "format.url")),
        ({"uuid": "x"}, ("/uuid", "format.uuid")),
        ({"inner": [{"at": "soon"}]}, ("/inner/0/at", "format.datetime")),
        ({"inner": [{}]}, ("/inner/0/at", "required")),
        ({"even": 3}, ("/even", "invalid")),
        ({"colour": 1}, ("/colour", "unknown_property")),
        ({"a/b~c": 1}, ("/a~1b~0c", "unknown_property")),
    ],
)
def test_each_error_has_its_place_and_code(values: dict[str, Any], found: tuple[str, str]) -> None:
    assert faults(needed=1, **values) == {found}


def test_every_error_is_named_at_once() -> None:
    """H: all of them, below the place where the document stands."""
    assert faults("/body", name="a", number=0) == {
        ("/body/name", "length.min"),
        ("/body/number", "range.min"),
        ("/body/needed", "required"),
    }


def test_values_are_never_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"needed": "hunter2", "name": "hunter2"})
    assert not any("hunter2" in fault.detail for fault in faults_of(caught.value))


def test_text_that_is_no_json_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate_json("{")
    assert [(fault.pointer, fault.code) for fault in faults_of(caught.value)] == [("", "json.syntax")]


def test_a_pointer_is_escaped() -> None:
    """RFC 6901 §3."""
    assert pointer(("a/b", 0, "~c"), "/x") == "/x/a~1b/0/~0c"
    assert pointer(()) == ""
