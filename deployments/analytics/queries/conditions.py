"""What a filter says, as an expression on a form's table; never NULL."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlglot import exp

from db.repositories.answer_values import Kind
from db.repositories.response_filters import Answer, Column, Condition, Either, Every, Mark, Test, Unless, Value
from deployments.analytics.queries.expressions import (
    FALSE,
    Parameters,
    Sql,
    at,
    both,
    call,
    cast,
    each,
    either,
    is_there,
    no,
    operation,
    surely,
    when,
)
from deployments.analytics.queries.tables import TableSchema
from deployments.kit.enrichment import ENTITY_TYPES, VERDICTS

_COMPARED: Final[dict[str, type[exp.Binary]]] = {
    "eq": exp.EQ,
    "lt": exp.LT,
    "lte": exp.LTE,
    "gt": exp.GT,
    "gte": exp.GTE,
}
_NO_REVIEW: Final = "none"


class NotInTable(Exception):
    """The table does not hold what a filter asks for."""


class Conditions:
    """Compiles conditions for one table."""

    def __init__(self, schema: TableSchema, parameters: Parameters) -> None:
        self._schema = schema
        self._places = {column.name: place for place, column in enumerate(schema.columns)}
        self._bound = parameters

    def compiled(self, condition: Condition) -> Sql:
        """Whether it holds. Raises NotInTable."""
        match condition:
            case Every(parts):
                return both([self.compiled(part) for part in parts])
            case Either(parts):
                return either([self.compiled(part) for part in parts])
            case Unless(part):
                return no(self.compiled(part))
            case Test():
                return self._test(condition)

    def _test(self, test: Test) -> Sql:
        operator, values = test.operator, test.values
        match test.target:
            case Column(name):
                place = self._place(f"_{name}")
                return FALSE if place is None else self._scalar(place, operator, values)
            case Mark(name):
                return self._mark(name, operator, values)
            case Answer(_, kind, paths, into) if into is not None:
                return self._of_items(into[0], kind, paths, operator, values)
            case Answer(key, Kind.ANY):
                return either(
                    [
                        is_there(at(place))
                        for place, column in enumerate(self._schema.columns)
                        if column.field == key and not column.name.startswith(VERDICTS)
                    ]
                )
            case Answer(key, kind, column=source):
                is_of_models = source == "inference"
                # Of what answers name, types are asked for, and the column of this name tells more.
                place = self._place(key + ENTITY_TYPES if is_of_models and kind is Kind.SET else key)
                if place is None:
                    return FALSE
                if operator == "exists":
                    return is_there(at(place))
                if kind is Kind.SET:
                    return self._set(at(place), operator, values)
                return self._scalar(place, operator, values, is_number=kind is Kind.NUMBER)

    def _place(self, name: str) -> int | None:
        # A column that the table does not have yet has no values.
        return self._places.get(name)

    def _mark(self, name: str, operator: str, values: tuple[Value, ...]) -> Sql:
        place = self._place(f"_{name}")
        if place is None:
            raise NotInTable
        value, column = at(place), self._schema.columns[place]
        if column.type.endswith("[]"):
            return is_there(value) if operator == "exists" else self._set(value, operator, values)
        if name == "review":
            value = call("NULLIF", value, exp.Literal.string(_NO_REVIEW))
        return is_there(value) if operator == "exists" else surely(self._compared(value, operator, values, self._bound))

    def _set(self, value: Sql, operator: str, values: tuple[Value, ...]) -> Sql:
        found = [surely(call("LIST_CONTAINS", value, self._bound(str(each)))) for each in values]
        return both(found) if operator == "all" else either(found)

    def _scalar(self, place: int, operator: str, values: tuple[Value, ...], *, is_number: bool = False) -> Sql:
        value, kind = at(place), self._schema.columns[place].type.upper()
        if operator == "exists":
            return is_there(value)
        if is_number:
            return surely(self._compared(cast(value, "DOUBLE", strict=False), operator, values, self._bound))
        if kind == "DATE" or kind.startswith("TIMESTAMP"):
            if operator in ("contains", "starts_with"):
                value = cast(value, "VARCHAR")
            else:
                return surely(self._compared(value, operator, values, lambda raw: self._temporal(raw, kind)))
        if kind == "BOOLEAN" or isinstance(values[0], bool):
            value = cast(value, "BOOLEAN", strict=False)
        return surely(self._compared(value, operator, values, self._bound))

    def _temporal(self, raw: Value, kind: str) -> Sql:
        text = raw.isoformat() if isinstance(raw, datetime) else str(raw)
        return cast(self._bound(text), "DATE" if kind == "DATE" else "TIMESTAMPTZ", strict=False)

    def _compared(self, value: Sql, operator: str, values: tuple[Value, ...], bind: Callable[..., Sql]) -> Sql:
        if operator in _COMPARED:
            return operation(_COMPARED[operator], value, bind(values[0]))
        match operator:
            case "in":
                return either([operation(exp.EQ, value, bind(each)) for each in values])
            case "contains":
                return call("CONTAINS", value, bind(values[0]))
            case "starts_with":
                return call("STARTS_WITH", value, bind(values[0]))
        raise ValueError(f"{operator} is no operator")

    # The items of a repeating group, which are a document in the table.

    def _of_items(
        self,
        group: str,
        kind: Kind,
        paths: tuple[tuple[str, ...], ...],
        operator: str,
        values: tuple[Value, ...],
    ) -> Sql:
        place = self._place(group)
        if place is None:
            return FALSE
        item = exp.column("x")
        if kind is Kind.SET:
            found = either([self._item_set(item, path, operator, values) for path in paths])
        else:
            value = call("COALESCE", *(self._item_value(item, path, kind) for path in paths))
            if operator == "exists":
                found = is_there(value)
            else:
                found = surely(self._compared(value, operator, values, self._bound))
        items = call("JSON_EXTRACT", at(place), self._bound("$[*]"))
        return surely(
            operation(exp.GT, call("LEN", call("LIST_FILTER", items, each("x", found))), exp.Literal.number(0))
        )

    def _item_value(self, item: Sql, path: tuple[str, ...], kind: Kind) -> Sql:
        at_path = self._bound(_json_path(path))
        text = call("JSON_EXTRACT_STRING", item, at_path)
        type_ = call("JSON_TYPE", item, at_path)
        if kind is Kind.NUMBER:
            is_number = [operation(exp.EQ, type_, exp.Literal.string(name)) for name in ("UBIGINT", "BIGINT", "DOUBLE")]
            return when(either(is_number), cast(text, "DOUBLE", strict=False))
        if kind is Kind.BOOLEAN:
            is_boolean = operation(exp.EQ, type_, exp.Literal.string("BOOLEAN"))
            return when(is_boolean, operation(exp.EQ, text, exp.Literal.string("true")))
        return when(operation(exp.EQ, type_, exp.Literal.string("VARCHAR")), text)

    def _item_set(self, item: Sql, path: tuple[str, ...], operator: str, values: tuple[Value, ...]) -> Sql:
        type_ = call("JSON_TYPE", item, self._bound(_json_path(path)))
        is_list = surely(operation(exp.EQ, type_, exp.Literal.string("ARRAY")))
        if operator == "exists":
            return is_list
        members = call("JSON_EXTRACT_STRING", item, self._bound(f"{_json_path(path)}[*]"))
        found = [surely(call("LIST_CONTAINS", members, self._bound(str(value)))) for value in values]
        return both([is_list, *([both(found)] if operator == "all" else [either(found)])])


def _json_path(path: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{name}"' for name in path)
