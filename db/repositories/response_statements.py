"""The statements of searches, made once for each search and used with other parameters: to make one costs more than to
run it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    func,
    intersect,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.models.answers import AnswerEntry
from db.models.responses import Response
from db.repositories.answer_values import series_of
from db.repositories.response_filters import Answer, Column, Every, Filtering, Mark, Target, Word, lookups
from db.repositories.responses import QUARANTINED
from db.types import Texts, UTCDateTime

SUBMITTED_AT: Final = Column("submitted_at")

Source: TypeAlias = Literal["all", "few", "walk", "changed"]
"""Where responses come from: all of the form; those with the `ids`; those of the entries that a lookup finds, in the
order of these; those that changed after the change `through`. Of `few` and `walk`, only what has not changed since."""

_KEPT: Final = 256
_TENANT: Final = bindparam("tenant", type_=String())
_FORM: Final = bindparam("form", type_=String())
_THROUGH: Final = bindparam("through", type_=BigInteger())
_LIMIT: Final = bindparam("limit", type_=Integer())
_AFTER_AT: Final = bindparam("after_at", type_=UTCDateTime())
_AFTER_MOMENT: Final = bindparam("after_moment", type_=BigInteger())
_AFTER_TEXT: Final = bindparam("after_text", type_=String())
_AFTER_ID: Final = bindparam("after_id", type_=String())
_IDS: Final = bindparam("ids", type_=Texts())
_MATCHES: Final = bindparam("matches", type_=Texts())
_ENTRY_ID: Final[Any] = col(AnswerEntry.response_id)


@dataclass(frozen=True, slots=True)
class Order:
    """By a value, then by time of submission and id, all in one direction; what has no value comes last."""

    target: Target = SUBMITTED_AT
    descending: bool = False


class Statements:
    """The statements of one search. Their parameters: `tenant`, `form`, `limit`, and as far as they are used `through`
    (the last change that is in the index), `ids`, `matches` (the ids of responses that are not in the index and have
    the words), and of a position `after_at`, `after_moment`, `after_id`, `after_value` and `after_text`."""

    def __init__(
        self, dialect: str, form_id: str, condition: Every, words: tuple[Word, ...], suspects: bool, order: Order
    ) -> None:
        self._filtering = Filtering(dialect)
        self._form_id = form_id
        self._condition = condition
        self._words = words
        self._suspects = suspects
        self._order = order
        self._made: dict[Hashable, Select[Any]] = {}
        self.lookups = lookups(form_id, condition, words)
        self.walk = next((number for number, each in enumerate(self.lookups.each) if each.is_one), None)
        """The lookup whose entries are in the order of time."""

    def page(
        self,
        source: Source,
        columns: tuple[str, ...],
        is_indexed: bool,
        has_value: bool | None = None,
        after: type | None = None,
    ) -> Select[Any]:
        """The named columns of a page, and `value`, by which it is sorted. `after`: there is a position, with a value
        of this type."""

        def make() -> Select[Any]:
            row: Any = Response
            if source == "walk":
                row, statement = self._walked(has_value, after)
            elif source == "changed":
                statement = self._changed(has_value, after)
            else:
                statement = self._known() if source == "few" else self._matching(Response, is_indexed=is_indexed)
                statement, keys = self._bounded(statement, has_value, after)
                statement = self._sorted(statement, keys)
            value = literal(None) if self._order.target == SUBMITTED_AT else self._value(row)
            picked = self._filtering.picked(row, columns)
            return statement.with_only_columns(*picked, value.label("value"), maintain_column_froms=True).limit(_LIMIT)

        return self._once(("page", source, columns, is_indexed, has_value, after), make)

    def among(self, columns: tuple[str, ...]) -> Select[Any]:
        """The named columns of those with the `ids` that match."""

        def make() -> Select[Any]:
            statement = self._matching(Response, is_indexed=False, by_id=True)
            statement = statement.where(self._filtering.is_in(col(Response.id), _IDS))
            return statement.with_only_columns(*self._filtering.picked(Response, columns), maintain_column_froms=True)

        return self._once(("among", columns), make)

    def count(self, source: Source, *, is_indexed: bool) -> Select[Any]:
        """How many responses match."""
        statement = self._known() if source == "few" else self._matching(Response, is_indexed=is_indexed)
        if source == "changed":
            statement = statement.where(col(Response.change) > _THROUGH)
        return statement.with_only_columns(func.count())

    def count_common(self, *, changed: bool) -> Select[Any]:
        """How many responses all lookups find; of those that `changed`, when asked for. As sets, since a planner that
        expects few would look up each of many."""
        ids = [_entries(each.entries).with_only_columns(_ENTRY_ID) for each in self.lookups.each]
        if changed:
            ids.append(changed_after().with_only_columns(col(Response.id)))
        common = ids[0].subquery() if len(ids) == 1 else intersect(*ids).subquery()
        return select(func.count()).select_from(common)

    def many(self, lookup: int) -> Select[Any]:
        """A row if a lookup finds more than `limit` entries, which are counted without reading them."""

        def make() -> Select[Any]:
            return _entries(self.lookups.each[lookup].entries).with_only_columns(_ONE).offset(_LIMIT).limit(1)

        return self._once(("many", lookup), make)

    def ids(self, lookup: int) -> Select[Any]:
        """The ids of the responses that a lookup finds."""
        return _entries(self.lookups.each[lookup].entries).with_only_columns(_ENTRY_ID).distinct()

    def places(self, lookup: int, *, is_after: bool) -> Select[Any]:
        """The next places of what a lookup finds in the order of time: `moment` and `response_id`."""

        def make() -> Select[Any]:
            keys = _times()
            entries = _entries(self.lookups.each[lookup].entries).with_only_columns(*keys).distinct()
            if is_after:
                entries = self._beyond(entries, keys, [_AFTER_MOMENT, _AFTER_ID])
            return self._sorted(entries, keys).limit(_LIMIT)

        return self._once(("places", lookup, is_after), make)

    def _once(self, which: Hashable, make: Callable[[], Select[Any]]) -> Select[Any]:
        if which not in self._made:
            self._made[which] = make()
        return self._made[which]

    def _matching(self, row: Any, *, is_indexed: bool, by_id: bool = False) -> Select[Any]:
        """The responses that match, by reading each of them.

        `by_id`: they are found by their ids. As expressions the other columns keep SQLite from beginning with them.
        """
        statement = select(row).where(
            row.tenant_id == _TENANT,
            (row.form_id.concat("") if by_id else row.form_id) == _FORM,
            row.deleted_at.is_(None),
            self._filtering.condition(self._condition, row),
        )
        if not self._suspects:
            statement = statement.where(row.status != QUARANTINED)
        if not self._words:
            return statement
        has_words: ColumnElement[bool] = self._filtering.is_in(row.id, _MATCHES)
        if is_indexed:
            indexed = [self._filtering.has_indexed(self._form_id, word, row) for word in self._words]
            has_words = or_(has_words, and_(row.change <= _THROUGH, *indexed))
        return statement.where(has_words)

    def _known(self) -> Select[Any]:
        """Those of the ids that match and have not changed since."""
        statement = self._matching(Response, is_indexed=True, by_id=True).where(col(Response.change) + 0 <= _THROUGH)
        return statement.where(self._filtering.is_in(col(Response.id), _IDS))

    def _walked(self, has_value: bool | None, after: type | None) -> tuple[Any, Select[Any]]:
        """Responses in the order of their entries; what the rows of the statement are called in it comes first."""
        target, keys, bounds = self._order.target, _times(), [_AFTER_MOMENT, _AFTER_ID]
        if isinstance(target, Answer | Mark) and has_value:
            walk = col(AnswerEntry.series) == series_of(self._form_id, target.key, target.kind)
            keys = [col(AnswerEntry.value), *keys]
            bounds = [_AFTER_TEXT, *bounds]
        else:
            walk = self.lookups.each[self.walk or 0].entries
        row, is_its = self._response_of_entry()
        statement = self._matching(row, is_indexed=True, by_id=True).where(row.change + 0 <= _THROUGH)
        statement = statement.select_from(AnswerEntry).join(row, is_its)
        statement = statement.where(col(AnswerEntry.tenant_id) == _TENANT, walk)
        if after is not None:
            statement = self._beyond(statement, keys, bounds)
        return row, self._sorted(statement, keys)

    def _response_of_entry(self) -> tuple[Any, Any]:
        """The response of an entry, and how to join it."""
        same = and_(col(Response.tenant_id) == _TENANT, col(Response.id) == _ENTRY_ID)
        if self._filtering.is_sqlite:
            return Response, same
        # One by one, in the order of the entries: PostgreSQL would misjudge how many there are, and join them all.
        each = select(Response).where(same).offset(0).correlate(AnswerEntry).lateral()
        return aliased(Response, each), true()

    def _changed(self, has_value: bool | None, after: type | None) -> Select[Any]:
        """The next of those that changed: all are found before they are sorted, or a planner would go through the whole
        form in its order; and of those that the page does not have, nothing else is read."""
        matching = self._matching(Response, is_indexed=True).where(col(Response.change) > _THROUGH)
        matching, keys = self._bounded(matching, has_value, after)
        named = [key.label(f"key{number}") for number, key in enumerate(keys)]
        found = matching.with_only_columns(*named).cte("changed").prefix_with("MATERIALIZED")
        *values, id_ = found.c
        page = self._sorted(select(id_), [*values, id_]).limit(_LIMIT)
        return self._sorted(
            select(Response).where(col(Response.tenant_id) == _TENANT, col(Response.id).in_(page)), keys
        )

    def _bounded(
        self, statement: Select[Any], has_value: bool | None, after: type | None
    ) -> tuple[Select[Any], list[Any]]:
        """What is beyond a position of a list, and what that list is sorted by."""
        keys: list[Any] = [col(Response.submitted_at), col(Response.id)]
        bounds: list[Any] = [_AFTER_AT, _AFTER_ID]
        if self._order.target != SUBMITTED_AT:
            value = self._value(Response)
            if has_value is not None:
                statement = statement.where(value.is_not(None) if has_value else value.is_(None))
            if has_value is not False:
                keys.insert(0, value)
                bounds.insert(0, bindparam("after_value", type_=None if after is None else literal(after()).type))
        return (statement if after is None else self._beyond(statement, keys, bounds)), keys

    def _value(self, row: Any) -> ColumnElement[Any]:
        return self._filtering.sort_value(self._order.target, row)

    def _beyond(self, statement: Select[Any], keys: Sequence[Any], bounds: Sequence[Any]) -> Select[Any]:
        left, right = tuple_(*keys), tuple_(*bounds)
        return statement.where(left < right if self._order.descending else left > right)

    def _sorted(self, statement: Select[Any], keys: Sequence[Any]) -> Select[Any]:
        return statement.order_by(*(key.desc() if self._order.descending else key for key in keys))


statements_of: Final = lru_cache(maxsize=_KEPT)(Statements)
"""The statements of a search that was asked before, or new ones."""

_ONE: Final = literal(1)


def _times() -> list[Any]:
    """What the entries of one value are in the order of."""
    return [col(AnswerEntry.moment), _ENTRY_ID]


def _entries(found: ColumnElement[bool]) -> Select[Any]:
    return select(AnswerEntry).where(col(AnswerEntry.tenant_id) == _TENANT, found)


def changed_after() -> Select[Any]:
    """The responses that changed after the change `through`, those in the trash included."""
    return select(Response).where(
        col(Response.tenant_id) == _TENANT, col(Response.form_id) == _FORM, col(Response.change) > _THROUGH
    )
