"""Reading typed values out of the JSON of answers, in each dialect's words. What has another type reads as NULL."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Numeric,
    Text,
    and_,
    case,
    cast,
    column,
    extract,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.types import Texts

Path = tuple[str, ...]
Answers = Any
"""A JSON column of answers, of the table or of an alias of it."""


class AnswerSql(ABC):
    """The expressions of one dialect. Each takes the column and the place of the value in it."""

    @abstractmethod
    def text(self, answers: Answers, path: Path) -> ColumnElement[str]: ...

    @abstractmethod
    def number(self, answers: Answers, path: Path) -> ColumnElement[float]: ...

    @abstractmethod
    def boolean(self, answers: Answers, path: Path) -> ColumnElement[str]:
        """'true' or 'false'."""

    @abstractmethod
    def is_list(self, answers: Answers, path: Path) -> ColumnElement[bool]: ...

    @abstractmethod
    def has_any(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]: ...

    @abstractmethod
    def has_all(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]: ...

    @abstractmethod
    def is_there(self, answers: Answers, path: Path) -> ColumnElement[bool]: ...

    @abstractmethod
    def items(self, answers: Answers, path: Path) -> tuple[Any, Answers]:
        """The items of a list as rows, none of what is no list; and the column that an item is in."""

    @abstractmethod
    def is_in(self, column: Any, values: Sequence[str] | ColumnElement[Any]) -> Any:
        """`column` is one of very many values, or of those of a parameter of the type `Texts`."""

    @abstractmethod
    def moment(self, at: Any) -> ColumnElement[int]:
        """A time in microseconds since 1970, as `moment_of`."""

    @abstractmethod
    def contains(self, text: ColumnElement[str], part: str) -> ColumnElement[bool]: ...


class _PostgreSql(AnswerSql):
    def text(self, answers: Answers, path: Path) -> ColumnElement[str]:
        value = func.jsonb_extract_path_text(answers, *path, type_=Text(collation="C"))
        return case((self._type(answers, path) == "string", value)).collate("C")

    def number(self, answers: Answers, path: Path) -> ColumnElement[float]:
        value = func.jsonb_extract_path_text(answers, *path, type_=Text)
        return case((self._type(answers, path) == "number", cast(value, Double)))

    def boolean(self, answers: Answers, path: Path) -> ColumnElement[str]:
        value = func.jsonb_extract_path_text(answers, *path, type_=Text)
        return case((self._type(answers, path) == "boolean", value)).collate("C")

    def is_list(self, answers: Answers, path: Path) -> ColumnElement[bool]:
        return func.coalesce(self._type(answers, path) == "array", False)

    def has_any(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]:
        found = func.jsonb_exists_any(func.jsonb_extract_path(answers, *path), _array(items))
        return and_(self.is_list(answers, path), func.coalesce(found, False))

    def has_all(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]:
        found = func.jsonb_exists_all(func.jsonb_extract_path(answers, *path), _array(items))
        return and_(self.is_list(answers, path), func.coalesce(found, False))

    def is_there(self, answers: Answers, path: Path) -> ColumnElement[bool]:
        return self._type(answers, path).is_not(None)

    def items(self, answers: Answers, path: Path) -> tuple[Any, Answers]:
        items = case((self.is_list(answers, path), func.jsonb_extract_path(answers, *path)), else_=cast([], JSONB))
        each = func.jsonb_array_elements(items).table_valued(column("value", JSONB))
        return each, each.c.value

    def is_in(self, column: Any, values: Sequence[str] | ColumnElement[Any]) -> Any:
        return column == func.any(_several(values))

    def moment(self, at: Any) -> ColumnElement[int]:
        return cast(extract("epoch", at) * literal(1_000_000, Numeric), BigInteger)

    def contains(self, text: ColumnElement[str], part: str) -> ColumnElement[bool]:
        return func.strpos(text, part) > 0

    def _type(self, answers: Answers, path: Path) -> ColumnElement[str]:
        return func.jsonb_typeof(func.jsonb_extract_path(answers, *path), type_=Text)


class _Sqlite(AnswerSql):
    def text(self, answers: Answers, path: Path) -> ColumnElement[str]:
        return case((self._type(answers, path) == "text", self._value(answers, path)))

    def number(self, answers: Answers, path: Path) -> ColumnElement[float]:
        is_number = self._type(answers, path).in_(("integer", "real"))
        return case((is_number, cast(self._value(answers, path), Double)))

    def boolean(self, answers: Answers, path: Path) -> ColumnElement[str]:
        kind = self._type(answers, path)
        return case((kind.in_(("true", "false")), kind))

    def is_list(self, answers: Answers, path: Path) -> ColumnElement[bool]:
        return func.coalesce(self._type(answers, path) == "array", False)

    def has_any(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]:
        return and_(self.is_list(answers, path), self._has(answers, path, items))

    def has_all(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]:
        return and_(self.is_list(answers, path), *(self._has(answers, path, (item,)) for item in items))

    def is_there(self, answers: Answers, path: Path) -> ColumnElement[bool]:
        return self._type(answers, path).is_not(None)

    def items(self, answers: Answers, path: Path) -> tuple[Any, Answers]:
        # What is in a list as no object is given as an empty one: functions of JSON refuse other texts.
        each = func.json_each(answers, _json_path(path)).table_valued(column("value", Text), column("type", Text))
        return each, case((each.c.type == "object", each.c.value), else_="{}")

    def is_in(self, column: Any, values: Sequence[str] | ColumnElement[Any]) -> Any:
        each = func.json_each(_several(values)).table_valued("value")
        return column.in_(select(each.c.value))

    def moment(self, at: Any) -> ColumnElement[int]:
        text = type_coerce(at, Text)
        seconds = cast(func.strftime("%s", text), BigInteger)
        return seconds * 1_000_000 + cast(func.substr(text, 21, 6), BigInteger)

    def contains(self, text: ColumnElement[str], part: str) -> ColumnElement[bool]:
        return func.instr(text, part) > 0

    def _has(self, answers: Answers, path: Path, items: Sequence[str]) -> ColumnElement[bool]:
        each = func.json_each(answers, _json_path(path)).table_valued("value")
        return select(literal(1)).select_from(each).where(each.c.value.in_(items)).correlate_except(each).exists()

    def _type(self, answers: Answers, path: Path) -> ColumnElement[str]:
        return func.json_type(answers, _json_path(path), type_=Text)

    def _value(self, answers: Answers, path: Path) -> ColumnElement[Any]:
        return func.json_extract(answers, _json_path(path), type_=Text)


def sql_of(dialect: str) -> AnswerSql:
    """The expressions of a dialect, by its name."""
    return _SQLITE if dialect == "sqlite" else _POSTGRESQL


def first(values: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The first that is not NULL."""
    return values[0] if len(values) == 1 else func.coalesce(*values)


def any_of(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Whether one of them holds."""
    return conditions[0] if len(conditions) == 1 else or_(*conditions)


def _several(values: Sequence[str] | ColumnElement[Any]) -> ColumnElement[Any]:
    return values if isinstance(values, ColumnElement) else literal(list(values), Texts())


def _array(items: Sequence[str]) -> Any:
    return cast(list(items), ARRAY(Text))


def _json_path(path: Path) -> str:
    return "$" + "".join(f'."{name}"' for name in path)


_POSTGRESQL: Final = _PostgreSql()
_SQLITE: Final = _Sqlite()
