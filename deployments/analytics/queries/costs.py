"""What a query costs, and what is too much."""

from datetime import datetime
from math import prod
from typing import Final

from deployments.analytics.queries.errors import QueryTooExpensive, TooManyGroups
from deployments.analytics.queries.reading import Grouping, Plan, Selected
from deployments.analytics.queries.tables import TableSchema
from deployments.analytics.query_contracts import Estimate

MAX_CELLS: Final = 100_000_000
"""Rows times columns that a query may read."""
MAX_GROUPS: Final = 100_000
"""Groups that a query may have, whatever it gives of them."""
SECONDS: Final = 20.0
"""How long a query may run."""

_BUCKET_S: Final = {
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 28 * 86_400,
    "quarter": 90 * 86_400,
    "year": 365 * 86_400,
}


def estimate_of(plan: Plan, schema: TableSchema) -> Estimate:
    """What the plan costs on this table."""
    measured = {figure.slot.name for figure in plan.figures if figure.slot is not None}
    columns = max(1, len(plan.groupings) + len(measured))
    sizes = [_size_of(each, plan.selected) for each in plan.groupings]
    if sizes and plan.top is not None:
        sizes[0] = min(sizes[0] or plan.top + 1, plan.top + 1)
    known = [size for size in sizes if size is not None]
    return Estimate(
        rows=schema.rows,
        columns=columns,
        cells=schema.rows * columns,
        max_cells=MAX_CELLS,
        groups=prod(known) if len(known) == len(sizes) else None,
        max_groups=MAX_GROUPS,
    )


def require_cheap(estimate: Estimate) -> None:
    """Raise QueryTooExpensive or TooManyGroups, which say how to ask for less."""
    members = {"estimate": estimate.model_dump()}
    if estimate.cells > MAX_CELLS:
        raise QueryTooExpensive(
            f"{estimate.rows} rows times {estimate.columns} columns are {estimate.cells} cells, more than {MAX_CELLS}; "
            "ask for fewer dimensions and measured fields at once",
            members=members,
        )
    if estimate.groups is not None and estimate.groups > MAX_GROUPS:
        raise too_many_groups(estimate.groups)


def too_many_groups(count: int) -> TooManyGroups:
    """The failure that says how to ask for less."""
    return TooManyGroups(
        f"{count} groups are more than {MAX_GROUPS}; take away a dimension, give it wider bins or buckets or a shorter "
        "`time`, or keep its `top`",
        members={"limit": {"name": "groups", "most": MAX_GROUPS, "asked": count}},
    )


def _size_of(grouping: Grouping, selected: Selected) -> int | None:
    """The most keys that a dimension has, None when answers decide that."""
    unanswered = int(grouping.unanswered)
    if grouping.edges:
        return len(grouping.edges) + 1 + unanswered
    if grouping.bucket is not None and selected.since is not None and selected.until is not None:
        if grouping.slot.name != "submitted_at":
            return None
        span = datetime.fromisoformat(selected.until) - datetime.fromisoformat(selected.since)
        return int(span.total_seconds() // _BUCKET_S[grouping.bucket]) + 2 + unanswered
    if grouping.slot.labels:
        return len(grouping.slot.labels) + int(grouping.slot.other is not None) + unanswered
    return 2 + unanswered if grouping.slot.kind == "boolean" else None
