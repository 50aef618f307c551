"""From the rows of a statement to an answer with labels."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from deployments.analytics.queries.reading import TYPES, Figure, Grouping, Plan
from deployments.analytics.queries.slots import OTHER
from deployments.analytics.queries.tables import TableSchema
from deployments.analytics.query_contracts import (
    Estimate,
    Key,
    Query,
    QueryAnswer,
    QueryColumn,
    QueryRow,
    Source,
    Value,
)

_OTHER_LABEL: Final = "Other"


def columns_of(plan: Plan) -> list[QueryColumn]:
    """What every row has."""
    keys = [
        QueryColumn(name=each.name, role="dimension", type=each.type, label=each.slot.title, field=each.slot.name)
        for each in plan.groupings
    ]
    return [*keys, *map(_measure, plan.figures)]


def answer_of(
    query: Query, plan: Plan, schema: TableSchema, estimate: Estimate, rows: Sequence[Mapping[str, Any]]
) -> QueryAnswer:
    """The answer that the rows are."""
    (totals,) = (row for row in rows if row["part"] == 1)
    groups = sorted((row for row in rows if row["part"] == 0), key=lambda row: int(row["place"]))
    count = int(groups[0]["total"]) if groups else 0
    names = [f"m{place}" for place in range(len(plan.figures))]
    found = [
        QueryRow(
            keys=[
                key_of(each, row[f"d{place}"], others=place == 0 and bool(row["rest"]))
                for place, each in enumerate(plan.groupings)
            ],
            values=[value_of(row[name]) for name in names],
        )
        for row in groups
    ]
    return QueryAnswer(
        form_id=query.form_id,
        columns=columns_of(plan),
        rows=found,
        totals=[value_of(totals[name]) for name in names],
        respondents=int(totals["total"]),
        groups=count,
        truncated=count > len(found),
        source=source_of(schema),
        estimate=estimate,
    )


def source_of(schema: TableSchema) -> Source:
    """What was read."""
    return Source(change=schema.change, as_of=schema.as_of, rows=schema.rows)


def key_of(grouping: Grouping, value: Any, *, others: bool = False) -> Key:
    """A value of a dimension with what it is called."""
    if others:
        return Key(value=None, others=True)
    if value is None:
        return Key(value=None)
    if grouping.width is not None:
        lower = float(value) * grouping.width
        return Key(value=lower, upper=lower + grouping.width)
    if grouping.edges:
        bounds = (None, *grouping.edges, None)
        return Key(value=bounds[int(value)], upper=bounds[int(value) + 1])
    if isinstance(value, datetime) and grouping.bucket is not None:
        return Key(value=_aware(value).astimezone(ZoneInfo(grouping.zone)).isoformat())
    plain = value_of(value)
    label = grouping.slot.labels.get(plain) if isinstance(plain, str) else None
    if label is None and grouping.slot.labels:
        label = _OTHER_LABEL if plain == OTHER else str(plain)
    return Key(value=plain, label=label)


def value_of(value: Any) -> Value:
    """A figure as JSON has it: times in ISO 8601, and null for what is no number."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | str):
        return value
    if isinstance(value, datetime):
        return _aware(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    number = float(value)
    return number if math.isfinite(number) else None


def _aware(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _measure(figure: Figure) -> QueryColumn:
    slot = figure.slot
    is_moment = slot is not None and figure.op in ("min", "max")
    return QueryColumn(
        name=figure.name,
        role="measure",
        type=TYPES[slot.kind] if slot is not None and is_moment else "number",
        label=slot.title if slot is not None else "",
        field=slot.name if slot is not None else None,
        op=figure.op,  # type: ignore[arg-type]
    )
