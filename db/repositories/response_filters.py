"""Which responses are meant: conditions on columns and answers as plain values, and their SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Double, String, and_, bindparam, false, func, not_, or_, true
from sqlalchemy.ext.asyncio import AsyncSession

from db.models.answers import AnswerEntry
from db.repositories.answer_sql import AnswerSql, Path, any_of, first, sql_of
from db.repositories.answer_values import LONGEST, Kind, after_prefix, is_exact, series_of, text_of
from db.types import UTCDateTime

Operator = Literal["eq", "lt", "lte", "gt", "gte", "in", "contains", "starts_with", "exists", "any", "all"]
Value: TypeAlias = str | float | bool | datetime


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the response table, which is never NULL."""

    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A value of the answers: its name in the index and the places where it may be, the first one that is there."""

    key: str
    kind: Kind
    paths: tuple[Path, ...]


Target: TypeAlias = Column | Answer


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison. What has no value meets no comparison; `exists` takes no values."""

    target: Target
    operator: Operator
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of them holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Unless:
    """It does not hold."""

    part: "Condition"


Condition: TypeAlias = Test | Every | Either | Unless


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a full text search: the response has one of these in the index; or one that begins so."""

    forms: tuple[str, ...]
    is_prefix: bool = False


class Filtering:
    """The SQL of conditions on responses, in the dialect of a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._sql: AnswerSql = sql_of(session.get_bind().dialect.name)
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"

    def condition(self, condition: Condition, row: Any) -> ColumnElement[bool]:
        """Whether it holds for `row`, the table or an alias of it; never NULL."""
        match condition:
            case Every(parts):
                return and_(true(), *(self.condition(part, row) for part in parts))
            case Either(parts):
                return or_(false(), *(self.condition(part, row) for part in parts))
            case Unless(part):
                return not_(self.condition(part, row))
            case Test(Column(), operator, values):
                compared: ColumnElement[bool] = _compare(self.value(condition.target, row), operator, values, self._sql)
                return compared
            case Test(Answer(_, Kind.SET, paths), operator, values):
                return self._set_test(row.answers, paths, operator, values)
            case Test(Answer(_, Kind.ANY, paths), "exists", _):
                return any_of([self._sql.is_there(row.answers, path) for path in paths])
            case Test(target, "exists", _):
                return self.value(target, row).is_not(None)
            case Test(target, operator, values):
                is_boolean = isinstance(target, Answer) and target.kind is Kind.BOOLEAN
                bound = tuple(text_of(value) for value in values) if is_boolean else values  # type: ignore[arg-type]
                return func.coalesce(_compare(self.value(target, row), operator, bound, self._sql), False)

    def value(self, target: Target, row: Any) -> ColumnElement[Any]:
        """The value to compare, NULL when there is none. Not for sets."""
        if isinstance(target, Column):
            column: ColumnElement[Any] = getattr(row, target.name)
            return column if self.is_sqlite or not isinstance(column.type, String) else column.collate("C")
        readers: dict[Kind, Callable[[Any, Path], Any]] = {
            Kind.TEXT: self._sql.text,
            Kind.NUMBER: self._sql.number,
            Kind.BOOLEAN: self._sql.boolean,
        }
        read = readers[target.kind]
        return first([read(row.answers, path) for path in target.paths])

    def sort_value(self, target: Target, row: Any) -> ColumnElement[Any]:
        """The value to sort by; of a text, as much as the index has of it."""
        value = self.value(target, row)
        if isinstance(target, Answer) and target.kind is Kind.TEXT:
            shortened = func.substr(value, 1, LONGEST, type_=value.type)
            return shortened if self.is_sqlite else shortened.collate("C")
        return value

    def is_in(self, column: Any, values: Sequence[str]) -> Any:
        """See `AnswerSql.is_in`."""
        return self._sql.is_in(column, values)

    def _set_test(
        self, answers: Any, paths: tuple[Path, ...], operator: Operator, values: tuple[Value, ...]
    ) -> ColumnElement[bool]:
        sql, items = self._sql, [str(value) for value in values]
        match operator:
            case "any":
                return any_of([sql.has_any(answers, path, items) for path in paths])
            case "all":
                return any_of([sql.has_all(answers, path, items) for path in paths])
            case "exists":
                return any_of([sql.is_list(answers, path) for path in paths])
        raise ValueError(f"{operator} is no operator of sets")


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for: a condition, and words that are all in the texts.

    `has_words` says of answers whether they are: for responses that are not in the index. With `suspects`, those that
    were taken for spam are among them; they are never in the index.
    """

    condition: Every = Every()
    words: tuple[Word, ...] = ()
    has_words: Callable[[Mapping[str, Any]], bool] = lambda _: True
    suspects: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Entries of the index among which every match is. `is_one`: of one value, so they are in the order of time;
    `is_exact`: of matches only, one of each."""

    entries: ColumnElement[bool]
    is_one: bool
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Lookups:
    """The ways to look a search up; `is_whole`: together they say all that the search says, exactly."""

    each: tuple[Lookup, ...]
    is_whole: bool


def lookups(form_id: str, search: Search) -> Lookups:
    """Where the index helps. Bounds of one value are looked up together: no response has two entries for it."""
    found: list[Lookup] = []
    bounds: dict[Answer, list[ColumnElement[bool]]] = {}
    known = 0
    for part in search.condition.parts:
        if isinstance(part, Test) and isinstance(part.target, Answer):
            if (bound := _bound_of(part)) is not None:
                bounds.setdefault(part.target, []).append(bound)
                known += 1
            elif (one := _lookup(form_id, part)) is not None:
                found.append(one)
                known += 1
    for target, conditions in bounds.items():
        mine: Any = AnswerEntry.series == series_of(form_id, target.key, target.kind)
        found.append(Lookup(and_(mine, *conditions), False, target.kind is not Kind.TEXT))
    found += [_word_lookup(form_id, word) for word in search.words]
    is_whole = known == len(search.condition.parts) and all(each.is_exact for each in found)
    return Lookups(tuple(found), is_whole and bool(found))


def _lookup(form_id: str, test: Test) -> Lookup | None:
    target, values = test.target, [value for value in test.values if not isinstance(value, datetime)]
    if not isinstance(target, Answer):
        return None
    texts, exact = [text_of(value) for value in values], all(is_exact(value) for value in values)
    mine: Any = AnswerEntry.series == series_of(form_id, target.key, target.kind)
    value: Any = AnswerEntry.value
    match test.operator:
        case "eq" | "all":
            return Lookup(and_(mine, value == texts[0]), True, exact and len(texts) == 1)
        case "in" | "any":
            wanted = sorted(set(texts))
            if len(wanted) == 1:
                return Lookup(and_(mine, value == wanted[0]), True, exact)
            return Lookup(and_(mine, value.in_(wanted)), False, exact and target.kind is not Kind.SET)
        case "starts_with":
            return Lookup(and_(mine, *_begins(texts[0])), False, False)
    return None


def _bound_of(test: Test) -> ColumnElement[bool] | None:
    """The bound of a comparison; of texts, which are shortened in the index, the bound itself is always within."""
    if test.operator not in ("lt", "lte", "gt", "gte") or isinstance(test.values[0], datetime):
        return None
    value: Any = AnswerEntry.value
    text = text_of(test.values[0])
    strict = isinstance(test.target, Answer) and test.target.kind is not Kind.TEXT
    if test.operator in ("lt", "lte"):
        return value < text if strict and test.operator == "lt" else value <= text  # type: ignore[no-any-return]
    return value > text if strict and test.operator == "gt" else value >= text  # type: ignore[no-any-return]


def word_entries(form_id: str, word: Word) -> ColumnElement[bool]:
    """The entries of a word."""
    return _word_lookup(form_id, word).entries


def _word_lookup(form_id: str, word: Word) -> Lookup:
    mine: Any = AnswerEntry.series == series_of(form_id, "", Kind.WORDS)
    value: Any = AnswerEntry.value
    if word.is_prefix:
        begins = [and_(*_begins(text_of(form))) for form in word.forms]
        return Lookup(and_(mine, or_(false(), *begins)), False, False)
    forms = sorted({text_of(form) for form in word.forms})
    one = len(forms) == 1
    return Lookup(and_(mine, value == forms[0] if one else value.in_(forms)), one, one)


def _begins(prefix: str) -> tuple[Any, Any]:
    value: Any = AnswerEntry.value
    return value >= prefix, value <= after_prefix(prefix)


def _compare(value: Any, operator: Operator, values: Sequence[Value], sql: AnswerSql) -> Any:
    bound: list[Any] = [_bound(each) for each in values]
    match operator:
        case "eq":
            return value == bound[0]
        case "in":
            return or_(*(value == each for each in bound))
        case "lt":
            return value < bound[0]
        case "lte":
            return value <= bound[0]
        case "gt":
            return value > bound[0]
        case "gte":
            return value >= bound[0]
        case "contains":
            return sql.contains(value, str(values[0]))
        case "starts_with":
            prefix = str(values[0])
            return func.substr(value, 1, len(prefix), type_=String) == prefix
        case "exists":
            return true()
    raise ValueError(f"{operator} does not compare")


def _bound(value: Value) -> Any:
    if isinstance(value, datetime):
        return bindparam(None, value, type_=UTCDateTime(), unique=True)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bindparam(None, float(value), type_=Double(), unique=True)
    return value
