"""What a query means for one table, or everything that is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from db.repositories.response_filters import Condition, Every
from deployments.analytics.queries.slots import Kind, Slot, Slots
from deployments.analytics.query_contracts import Dimension, Measure, Query, TimeSpan, Type
from deployments.kit.engine.faults import pointer
from deployments.kit.errors import Fault
from deployments.kit.filtering.fields import Fields
from deployments.kit.filtering.filters import conditions_of
from deployments.kit.filtering.where import condition_of_text

TYPES: Final[dict[Kind, Type]] = {
    "options": "option",
    "several": "option",
    "matrix": "option",
    "number": "number",
    "text": "text",
    "boolean": "boolean",
    "date": "date",
    "moment": "datetime",
}
_OF_NUMBERS: Final = frozenset({"sum", "avg", "median", "percentile", "stdev", "nps"})
_OF_ORDERED: Final = frozenset({"min", "max"})
_UNKNOWN: Final = "The form has no such field."


@dataclass(frozen=True, slots=True)
class Grouping:
    """One dimension. With `bucket` it is of times in `zone`, with `width` or `edges` of ranges."""

    name: str
    slot: Slot
    unanswered: bool = False
    bucket: str | None = None
    zone: str = "UTC"
    width: float | None = None
    edges: tuple[float, ...] = ()

    @property
    def is_binned(self) -> bool:
        return self.width is not None or bool(self.edges)

    @property
    def type(self) -> Type:
        """What its keys are."""
        if self.slot.kind == "several" and not self.slot.labels:
            return "text"
        return "bin" if self.is_binned else TYPES[self.slot.kind]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure; `percentile` is a share."""

    name: str
    op: str
    slot: Slot | None
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The dimension or the measure at a place, to sort by."""

    of: str
    place: int
    descending: bool


@dataclass(frozen=True, slots=True)
class Selected:
    """Which responses: a condition, and bounds of the time of submission (ISO 8601, in UTC)."""

    condition: Condition
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A query that is right. `top` is how many values of the first dimension are kept, `by` the place of the measure
    that says which."""

    groupings: tuple[Grouping, ...]
    figures: tuple[Figure, ...]
    selected: Selected
    order: tuple[Order, ...] = ()
    limit: int = 1_000
    top: int | None = None
    by: int = 0
    others: bool = True


def read_plan(query: Query, slots: Slots, fields: Fields) -> tuple[Plan | None, list[Fault]]:
    """What the query means, and what is wrong with it. `slots` and `fields` are those that its reader may see."""
    selected, faults = read_selected(query.filters, query.where, query.time, fields)
    zone = query.time.zone if query.time is not None else "UTC"
    groupings = [
        _grouping(each, f"/dimensions/{place}", slots, zone, faults) for place, each in enumerate(query.dimensions)
    ]
    figures = [_figure(each, f"/measures/{place}", slots, faults) for place, each in enumerate(query.measures)]
    names = [_name(each) for each in query.dimensions] + [each.name for each in query.measures]
    for place, name in enumerate(names):
        if name in names[:place]:
            at = place - len(query.dimensions)
            where = f"/dimensions/{place}/name" if at < 0 else f"/measures/{at}/name"
            faults.append(Fault(where, "query.name_twice", f"Another column is called {name}."))
    order = _order(query, faults)
    by = _place_of(query.measures, query.top.by) if query.top is not None else 0
    if query.top is not None and by is None:
        faults.append(Fault("/top/by", "query.unknown_column", "No measure has this name."))
    if query.top is not None and not query.dimensions:
        faults.append(Fault("/top", "query.no_dimension", "Only values of a dimension can be the top."))
    if faults:
        return None, faults
    found = Plan(
        groupings=tuple(each for each in groupings if each is not None),
        figures=tuple(each for each in figures if each is not None),
        selected=selected,
        order=order,
        limit=query.limit,
    )
    if query.top is not None:
        found = replace(found, top=query.top.n, by=by or 0, others=query.top.others)
    return found, []


def read_selected(
    filters: dict[str, Any], text: str | None, span: TimeSpan | None, fields: Fields, *, at: str = "/filters"
) -> tuple[Selected, list[Fault]]:
    """Which responses, and what is wrong with that. `at` is where the filters stand."""
    conditions, found = conditions_of(fields, filters)
    faults = [replace(each, pointer=at + each.pointer.removeprefix("/filter")) for each in found]
    if text is not None:
        condition, more = condition_of_text(fields, text)
        conditions.append(condition)
        faults += more
    since, until = _span(span, faults)
    return Selected(Every(tuple(conditions)), since, until), faults


def zone_named(name: str) -> ZoneInfo | None:
    """The time zone of the IANA database, None when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _grouping(asked: Dimension, at: str, slots: Slots, default: str, faults: list[Fault]) -> Grouping | None:
    if (asked.field is None) == (asked.time is None):
        faults.append(Fault(at, "query.dimension", "A dimension names either a field or a time."))
        return None
    name = asked.field or asked.time or ""
    place = f"{at}/field" if asked.field is not None else f"{at}/time"
    slot = slots.find(name)
    if slot is None or slot.kind == "whole":
        # What cannot be told apart from each other is no group either.
        code = "query.unknown_field" if slot is None else "query.not_a_dimension"
        faults.append(Fault(place, code, _UNKNOWN if slot is None else "Responses cannot be grouped by this field."))
        return None
    found = Grouping(_name(asked), slot, asked.unanswered)
    return _of_time(found, asked, at, default, faults) if asked.time else _of_field(found, asked, at, faults)


def _of_time(found: Grouping, asked: Dimension, at: str, default: str, faults: list[Fault]) -> Grouping | None:
    before = len(faults)
    if found.slot.kind not in ("date", "moment"):
        faults.append(Fault(f"{at}/time", "query.not_a_time", "This field has no times."))
    if asked.bucket is None:
        faults.append(
            Fault(f"{at}/bucket", "required", "A time is grouped by hour, day, week, month, quarter or year.")
        )
    if asked.bins is not None:
        faults.append(Fault(f"{at}/bins", "query.not_a_number", "Only numbers have bins."))
    if found.slot.kind == "date" and asked.bucket == "hour":
        faults.append(Fault(f"{at}/bucket", "query.bucket", "A date has no hours."))
    zone = asked.timezone or default
    if zone_named(zone) is None and (asked.timezone is not None):
        faults.append(Fault(f"{at}/timezone", "query.zone", "There is no such time zone."))
    return None if len(faults) > before else replace(found, bucket=asked.bucket, zone=zone)


def _of_field(found: Grouping, asked: Dimension, at: str, faults: list[Fault]) -> Grouping | None:
    before = len(faults)
    faults += [
        Fault(f"{at}/{name}", "query.not_a_time", "Only what `time` names has buckets and a zone.")
        for name in ("bucket", "timezone")
        if getattr(asked, name) is not None
    ]
    if found.slot.kind == "moment":
        faults.append(Fault(f"{at}/field", "query.bucket", "Times are grouped in buckets: name the field as `time`."))
    bins = asked.bins
    if bins is None:
        return None if len(faults) > before else found
    if found.slot.kind != "number":
        faults.append(Fault(f"{at}/bins", "query.not_a_number", "Only numbers have bins."))
    if (bins.width is None) == (bins.edges is None):
        faults.append(Fault(f"{at}/bins", "query.bins", "Bins have either a width or edges."))
    edges = bins.edges or []
    if any(left >= right for left, right in pairwise(edges)):
        faults.append(Fault(f"{at}/bins/edges", "query.bins", "Each edge is greater than the one before."))
    return None if len(faults) > before else replace(found, width=bins.width, edges=tuple(edges))


def _figure(asked: Measure, at: str, slots: Slots, faults: list[Fault]) -> Figure | None:
    before = len(faults)
    slot = slots.find(asked.field) if asked.field is not None else None
    if asked.field is not None and slot is None:
        faults.append(Fault(f"{at}/field", "query.unknown_field", _UNKNOWN))
    elif slot is None and asked.op not in ("count", "share"):
        faults.append(Fault(f"{at}/field", "required", f"{asked.op} is of a field."))
    elif slot is not None:
        _check_kind(asked.op, slot, at, faults)
    if asked.op == "percentile" and asked.p is None:
        faults.append(Fault(f"{at}/p", "required", "Which percentile, from 0 to 100."))
    if asked.op != "percentile" and asked.p is not None:
        faults.append(Fault(f"{at}/p", "unknown_property", "Only a percentile has it."))
    if len(faults) > before:
        return None
    share = {"percentile": (asked.p or 0.0) / 100, "median": 0.5}.get(asked.op)
    return Figure(asked.name, asked.op, slot, share)


def _check_kind(op: str, slot: Slot, at: str, faults: list[Fault]) -> None:
    if op in _OF_NUMBERS and slot.kind != "number":
        faults.append(Fault(f"{at}/field", "query.not_a_number", f"{op} is of numbers."))
    elif op in _OF_ORDERED and slot.kind not in ("number", "date", "moment"):
        faults.append(Fault(f"{at}/field", "query.not_ordered", f"{op} is of numbers and times."))
    elif op == "count_distinct" and (slot.kind == "whole" or slot.is_several):
        faults.append(Fault(f"{at}/field", "query.not_one_value", "This is of fields with one value."))


def _name(asked: Dimension) -> str:
    return asked.name or asked.field or asked.time or ""


def _place_of(measures: Sequence[Measure], name: str) -> int | None:
    return next((place for place, each in enumerate(measures) if each.name == name), None)


def _order(query: Query, faults: list[Fault]) -> tuple[Order, ...]:
    found = []
    names = [_name(each) for each in query.dimensions]
    for number, asked in enumerate(query.order_by):
        name, descending = asked.removeprefix("-"), asked.startswith("-")
        place = _place_of(query.measures, name)
        if place is not None:
            found.append(Order("measure", place, descending))
        elif name in names:
            found.append(Order("dimension", names.index(name), descending))
        else:
            faults.append(Fault(pointer("order_by", number), "query.unknown_column", "No column has this name."))
    return tuple(found)


def _span(span: TimeSpan | None, faults: list[Fault]) -> tuple[str | None, str | None]:
    if span is None:
        return None, None
    zone = zone_named(span.zone)
    if zone is None:
        faults.append(Fault("/time/zone", "query.zone", "There is no such time zone."))
        return None, None
    bounds: list[datetime | None] = []
    for name, text in (("since", span.since), ("until", span.until)):
        bounds.append(None)
        if text is not None:
            bounds[-1] = _moment(text, zone)
            if bounds[-1] is None:
                detail = "This must be a date, or a time with offset."
                faults.append(Fault(f"/time/{name}", "format.datetime", detail))
    since, until = bounds
    if since is not None and until is not None and until <= since:
        faults.append(Fault("/time/until", "query.span", "It ends before it begins."))
    return since.isoformat() if since else None, until.isoformat() if until else None


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
