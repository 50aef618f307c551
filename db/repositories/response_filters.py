"""Which responses are meant: conditions on columns and answers as plain values, and their SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import (
    JSON,
    ColumnElement,
    Double,
    String,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.models.answers import AnswerEntry
from db.models.files import File
from db.models.response_life import ResponseComment, ResponseTag
from db.repositories.answer_sql import AnswerSql, Path, any_of, first, sql_of
from db.repositories.answer_values import LONGEST, Kind, after_prefix, is_exact, series_of, text_of
from db.types import UTCDateTime

TAGS_BETWEEN: Final = "\x1f"
"""What stands between the tags of a response that are read as one text; no tag has it."""

Operator = Literal["eq", "lt", "lte", "gt", "gte", "in", "contains", "starts_with", "exists", "any", "all"]
Value: TypeAlias = str | float | bool | datetime


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the response table, which is never NULL."""

    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A value of the answers: its name in the index and the places where it may be, the first one that is there.

    With `each` it is a value of every item of the list there; a comparison holds when it holds for one of them. What
    models say of answers is found in the column `inference`, in the same manner.
    """

    key: str
    kind: Kind
    paths: tuple[Path, ...]
    each: Path | None = None
    column: Literal["answers", "inference"] = "answers"


MarkName = Literal["review", "assignee", "language", "tags", "suspicion", "commented", "has_files"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a response may have beside its answers. `commented` and `has_files` are only compared with true."""

    name: MarkName
    kind: Kind

    @property
    def key(self) -> str:
        """Its name in the index, which no field has."""
        return f"@{self.name}"


Target: TypeAlias = Column | Answer | Mark


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
    """The SQL of conditions on responses, in a dialect."""

    def __init__(self, dialect: str) -> None:
        self._sql: AnswerSql = sql_of(dialect)
        self.is_sqlite = dialect == "sqlite"

    def condition(self, condition: Condition, row: Any) -> ColumnElement[bool]:
        """Whether it holds for `row`, the table or an alias of it; never NULL."""
        match condition:
            case Every(parts):
                return and_(true(), *(self.condition(part, row) for part in parts))
            case Either(parts):
                return or_(false(), *(self.condition(part, row) for part in parts))
            case Unless(part):
                return not_(self.condition(part, row))
            case Test():
                return self._test(condition, row)

    def _test(self, test: Test, row: Any) -> ColumnElement[bool]:
        operator, values = test.operator, test.values
        match test.target:
            case Column():
                compared: ColumnElement[bool] = _compare(self.value(test.target, row), operator, values, self._sql)
                return compared
            case Mark(_, Kind.SET | Kind.BOOLEAN) as mark:
                return self._mark_test(mark, row, operator, values)
            case Answer(key, kind, paths, each) if each is not None:
                items, item = self._sql.items(row.answers, each)
                one = self._test(Test(Answer(key, kind, paths), operator, values), _Item(item))
                return select(literal(1)).select_from(items).where(one).correlate_except(items).exists()
            case Answer(_, Kind.SET, paths):
                return self._set_test(getattr(row, test.target.column), paths, operator, values)
            case Answer(_, Kind.ANY, paths):
                return any_of([self._sql.is_there(getattr(row, test.target.column), path) for path in paths])
        if operator == "exists":
            return self.value(test.target, row).is_not(None)
        is_boolean = test.target.kind is Kind.BOOLEAN
        bound = tuple(text_of(value) for value in values) if is_boolean else values  # type: ignore[arg-type]
        return func.coalesce(_compare(self.value(test.target, row), operator, bound, self._sql), False)

    def value(self, target: Target, row: Any) -> ColumnElement[Any]:
        """The value to compare, NULL when there is none. Not for sets."""
        if isinstance(target, Column):
            column: ColumnElement[Any] = getattr(row, target.name)
            return column if self.is_sqlite or not isinstance(column.type, String) else column.collate("C")
        if isinstance(target, Mark):
            if target.name == "language":
                return self._sql.text(row.meta, ("language",))
            marked: ColumnElement[Any] = getattr(row, target.name)
            return marked if self.is_sqlite else marked.collate("C")
        readers: dict[Kind, Callable[[Any, Path], Any]] = {
            Kind.TEXT: self._sql.text,
            Kind.NUMBER: self._sql.number,
            Kind.BOOLEAN: self._sql.boolean,
        }
        read = readers[target.kind]
        document = getattr(row, target.column)
        return first([read(document, path) for path in target.paths])

    def sort_value(self, target: Target, row: Any) -> ColumnElement[Any]:
        """The value to sort by; of a text, as much as the index has of it."""
        value = self.value(target, row)
        if isinstance(target, Answer | Mark) and target.kind is Kind.TEXT:
            shortened = func.substr(value, 1, LONGEST, type_=value.type)
            return shortened if self.is_sqlite else shortened.collate("C")
        return value

    def has_indexed(self, form_id: str, word: Word, row: Any) -> ColumnElement[bool]:
        """Whether the index has the word for `row`: one look-up, whatever a planner thinks how many have the word."""
        entry = aliased(AnswerEntry)
        series = series_of(form_id, "", Kind.WORDS)
        found = select(literal(1)).where(entry.tenant_id == row.tenant_id, entry.response_id == row.id)
        if word.is_prefix:
            # As an expression, so that it is looked up by the response: many words may begin so.
            begins = [and_(*_begins(text_of(form), entry)) for form in word.forms]
            found = found.where(col(entry.series) + 0 == series, or_(false(), *begins))
        else:
            forms = sorted({text_of(form) for form in word.forms})
            found = found.where(
                col(entry.series) == series,
                col(entry.value).in_(forms),
                col(entry.moment) == self._sql.moment(row.submitted_at),
            )
        # With OFFSET PostgreSQL keeps it a look-up per row.
        return found.offset(0).correlate(row).exists()

    def picked(self, row: Any, names: Sequence[str]) -> list[Any]:
        """The named columns, documents as the JSON text of them, and what a response has beside them (`beside`)."""
        beside = self.beside(row)
        return [(beside[name] if name in beside else self._text_of(getattr(row, name))).label(name) for name in names]

    def _text_of(self, column: Any) -> Any:
        if not isinstance(column.type, JSON):
            return column
        return type_coerce(column, Text) if self.is_sqlite else cast(column, Text)

    def beside(self, row: Any) -> dict[str, ColumnElement[Any]]:
        """What a response has beside its own columns, by name; `tags` as one text, see `TAGS_BETWEEN`."""
        return {
            "language": self._sql.text(row.meta, ("language",)),
            "tags": _tags_of(row),
            "commented": has_comments(row),
            "has_files": has_files(row),
        }

    def is_in(self, column: Any, values: Sequence[str] | ColumnElement[Any]) -> Any:
        """See `AnswerSql.is_in`."""
        return self._sql.is_in(column, values)

    def _mark_test(self, mark: Mark, row: Any, operator: Operator, values: tuple[Value, ...]) -> ColumnElement[bool]:
        tests: dict[MarkName, Callable[..., ColumnElement[bool]]] = {
            "commented": partial(has_comments, row),
            "has_files": partial(has_files, row),
            "tags": partial(has_tag, row),
            "suspicion": partial(self._has_sign, row),
        }
        test = tests[mark.name]
        if mark.kind is Kind.BOOLEAN or operator == "exists":
            return test()
        found = [test(value) for value in values]
        return and_(*found) if operator == "all" else any_of(found)

    def _has_sign(self, row: Any, *wanted: str) -> ColumnElement[bool]:
        there: ColumnElement[bool] = row.suspicion.is_not(None)
        signs = literal(" ") + func.coalesce(row.suspicion, "") + literal(" ")
        return and_(there, *(self._sql.contains(signs, f" {sign} ") for sign in wanted))

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
class _Item:
    """An item of a list, read as answers are."""

    answers: Any


def has_comments(row: Any) -> ColumnElement[bool]:
    """Whether somebody has commented on the response."""
    return _has(row, ResponseComment)


def has_files(row: Any) -> ColumnElement[bool]:
    """Whether the response has files."""
    return _has(row, File, col(File.state) == "stored")


def has_tag(row: Any, *wanted: str) -> ColumnElement[bool]:
    """Whether the response has these tags; whether it has any, when none is named."""
    if not wanted:
        return _has(row, ResponseTag)
    return and_(*(_has(row, ResponseTag, col(ResponseTag.tag) == tag) for tag in wanted))


def _tags_of(row: Any) -> ColumnElement[str | None]:
    mine = col(ResponseTag.tenant_id) == row.tenant_id, col(ResponseTag.response_id) == row.id
    return (
        select(func.aggregate_strings(col(ResponseTag.tag), TAGS_BETWEEN)).where(*mine).correlate(row).scalar_subquery()
    )


def _has(row: Any, table: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = col(table.tenant_id) == row.tenant_id, col(table.response_id) == row.id
    # With OFFSET PostgreSQL keeps it a look-up per row: it would misjudge how many rows a list has to look at.
    return select(literal(1)).where(*mine, *conditions).offset(0).correlate(row).exists()


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


def lookups(form_id: str, condition: Every, words: Iterable[Word] = ()) -> Lookups:
    """Where the index helps. Bounds of one value are looked up together: no response has two entries for it."""
    found: list[Lookup] = []
    bounds: dict[Answer, list[ColumnElement[bool]]] = {}
    known = 0
    for part in condition.parts:
        if isinstance(part, Test) and isinstance(part.target, Answer | Mark):
            if (bound := _bound_of(part)) is not None:
                if isinstance(part.target, Answer) and part.target.each is None:
                    bounds.setdefault(part.target, []).append(bound)
                else:
                    found.append(Lookup(and_(_series(form_id, part.target), bound), False, False))
                known += 1
            elif (one := _lookup(form_id, part)) is not None:
                found.append(one)
                known += 1
    for target, conditions in bounds.items():
        found.append(Lookup(and_(_series(form_id, target), *conditions), False, target.kind is not Kind.TEXT))
    found += [_word_lookup(form_id, word) for word in words]
    is_whole = known == len(condition.parts) and all(each.is_exact for each in found)
    return Lookups(tuple(found), is_whole and bool(found))


def _lookup(form_id: str, test: Test) -> Lookup | None:
    target, values = test.target, [value for value in test.values if not isinstance(value, datetime)]
    if not isinstance(target, Answer | Mark) or target.kind is Kind.ANY or target.key == "@suspicion":
        return None
    texts, exact = [text_of(value) for value in values], all(is_exact(value) for value in values)
    mine = _series(form_id, target)
    is_single = target.kind is not Kind.SET and not (isinstance(target, Answer) and target.each is not None)
    value: Any = AnswerEntry.value
    match test.operator:
        case "eq" | "all":
            return Lookup(and_(mine, value == texts[0]), True, exact and len(texts) == 1)
        case "in" | "any":
            wanted = sorted(set(texts))
            if len(wanted) == 1:
                return Lookup(and_(mine, value == wanted[0]), True, exact)
            return Lookup(and_(mine, value.in_(wanted)), False, exact and is_single)
        case "exists":
            return Lookup(mine, False, is_single)
        case "starts_with":
            return Lookup(and_(mine, *_begins(texts[0])), False, False)
    return None


def _series(form_id: str, target: Answer | Mark) -> ColumnElement[bool]:
    return col(AnswerEntry.series) == series_of(form_id, target.key, target.kind)


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


def _word_lookup(form_id: str, word: Word) -> Lookup:
    mine: Any = AnswerEntry.series == series_of(form_id, "", Kind.WORDS)
    value: Any = AnswerEntry.value
    if word.is_prefix:
        begins = [and_(*_begins(text_of(form))) for form in word.forms]
        return Lookup(and_(mine, or_(false(), *begins)), False, False)
    forms = sorted({text_of(form) for form in word.forms})
    one = len(forms) == 1
    return Lookup(and_(mine, value == forms[0] if one else value.in_(forms)), one, one)


def _begins(prefix: str, entry: Any = AnswerEntry) -> tuple[Any, Any]:
    value: Any = entry.value
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
