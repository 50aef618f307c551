"""What a document says, as data: figures become words, shares and texts for those who do not see a chart.

Nothing here is markup; the templates only lay out. The same figures give the same data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from deployments.analytics.contracts import (
    FieldFigures,
    FormMetrics,
    MatrixRow,
    NpsFigures,
    NumberFigures,
    OptionCount,
    TimeSeries,
)
from deployments.reports.wording import Wording

COLOUR: Final = "#2457a6"
_CONTRAST: Final = 3.0
_SHORT: Final = 60

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """Whose document it is. `logo` is the name of a file beside the data."""

    tenant: str
    colour: str | None = None
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A passage of somebody's answer."""

    text: str
    response_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """A summary of the answers to a field, and who wrote it: a model, or None for rules."""

    field: str
    title: str
    text: str
    model: str | None
    quotes: Sequence[Quote]


@dataclass(frozen=True, slots=True)
class Said:
    """A question with its answer; `hidden` when the reader does not get to see it."""

    title: str
    text: str
    hidden: bool = False


def results(
    metrics: FormMetrics,
    series: TimeSeries | None,
    summaries: Sequence[Told],
    *,
    title: str,
    look: Look,
    wording: Wording,
    sections: Sequence[str],
) -> Document:
    """The results of a form. Of `sections` come those that are named: overview, series, pages, summaries, fields."""
    w = wording
    spans = metrics.since is not None or metrics.until is not None
    counted = metrics.submissions > 0 or any(field.answered for field in metrics.fields)
    overview = [
        {"label": w.words["submissions"], "value": w.number(metrics.submissions)},
        {"label": w.words["completion_rate"], "value": w.percent(metrics.completion_rate)},
        {"label": w.words["median"], "value": w.duration(metrics.median_seconds)},
        {"label": w.words["views"], "value": w.number(metrics.views)},
        {"label": w.words["starts"], "value": w.number(metrics.starts)},
        {"label": w.words["partials"], "value": w.number(metrics.partials)},
    ]
    shown = {
        "cover": [
            f"{w.words['organisation']}: {w.quoted(look.tenant)}",
            f"{w.words['span']}: {_span(metrics, w)}",
            f"{w.words['as_of']}: {w.moment(metrics.as_of)}",
        ],
        "overview": overview if "overview" in sections else None,
        "note": w.say("note_all", as_of=w.moment(metrics.as_of)) if spans else None,
        "series": _series(series, w) if series is not None and "series" in sections and counted else None,
        "pages": _pages(metrics, w) if "pages" in sections and len(metrics.pages) > 1 else None,
        "summaries": [_told(each, w) for each in summaries] if "summaries" in sections else [],
        "fields": [_field(field, w) for field in metrics.fields] if "fields" in sections and counted else [],
        "empty": None if counted else w.words["empty"],
    }
    return {**_frame(title, w.words["kind"], metrics.as_of, look, w), **shown}


def response(
    title: str, moment: datetime, about: Sequence[tuple[str, str]], answers: Sequence[Said], look: Look, w: Wording
) -> Document:
    """One response: what is known about it, and its answers."""
    return {
        **_frame(title, w.words["kind_response"], moment, look, w),
        "about_head": [w.words["name"], w.words["value"]],
        "about": [[name, w.quoted(value)] for name, value in about],
        "answers": [
            {"title": _line(said.title, w), "text": w.quoted(said.text), "hidden": said.hidden} for said in answers
        ],
        "empty": None if answers else w.words["no_answers"],
    }


def visible(colour: str | None) -> str:
    """The colour, darkened until it can be told from white paper (WCAG 1.4.11: 3 to 1)."""
    red, green, blue = (int((colour or COLOUR)[at : at + 2], 16) for at in (1, 3, 5))
    while 1.05 / (_luminance(red, green, blue) + 0.05) < _CONTRAST:
        red, green, blue = (int(part * 0.92) for part in (red, green, blue))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _luminance(*channels: int) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _frame(title: str, kind: str, moment: datetime, look: Look, w: Wording) -> Document:
    at = moment.astimezone(UTC)
    date = {name: getattr(at, name) for name in ("year", "month", "day", "hour", "minute", "second")}
    return {
        "title": _plain(title),
        "running": [_plain(title, _SHORT), _plain(look.tenant, _SHORT)],
        "kind": kind,
        "author": _plain(look.tenant),
        "lang": w.language,
        "region": w.region,
        "date": date,
        "colour": visible(look.colour),
        "logo": look.logo,
        "words": dict(w.words),
    }


def _span(metrics: FormMetrics, w: Wording) -> str:
    since, until = metrics.since, metrics.until
    if since is not None and until is not None:
        return w.say("between", since=w.moment(since), until=w.moment(until))
    if since is not None:
        return w.say("from", since=w.moment(since))
    return w.words["always"] if until is None else w.say("until", until=w.moment(until))


def _series(series: TimeSeries, w: Wording) -> Document | None:
    if not series.points:
        return None
    name = {"hour": w.hour, "month": w.month}.get(series.bucket, w.day)
    most = max((point.value or 0 for point in series.points), default=0)
    at = next(point for point in series.points if (point.value or 0) == most)
    title = w.words["over_time"]
    return {
        "alt": w.say("chart_alt", title=title, count=len(series.points), most=w.number(most), at=name(at.start)),
        "most": w.number(most),
        "head": [w.words[series.bucket], w.words["count"]],
        "points": [
            {"label": name(p.start), "value": w.number(p.value), "share": _part(p.value, most)} for p in series.points
        ],
    }


def _pages(metrics: FormMetrics, w: Wording) -> Document:
    most = max(page.reached for page in metrics.pages)
    return {
        "head": [w.words["page_of_form"], "", w.words["reached"], w.words["stayed"]],
        "rows": [
            {
                "label": _line(page.title or page.page, w),
                "share": _part(page.reached, most),
                "count": w.number(page.reached),
                "percent": w.percent((page.reached - page.left) / page.reached if page.reached else None),
            }
            for page in metrics.pages
        ],
    }


def _told(told: Told, w: Wording) -> Document:
    return {
        "title": _line(told.title, w),
        "text": w.quoted(told.text),
        "method": w.words["by_rules"] if told.model is None else w.say("by_model", model=told.model),
        "citations": [{"text": w.quoted(q.text), "source": w.say("response", id=q.response_id)} for q in told.quotes],
    }


def _field(field: FieldFigures, w: Wording) -> Document:
    said = [w.say("answered", answered=w.number(field.answered), skipped=w.number(field.skipped))]
    if field.personal:
        said.append(w.words["personal"])
    shown: Document = {"title": _line(field.title or field.field, w), "shape": "none", "long": False}
    if field.options and field.kind == "options":
        shown |= _options(field.options, w)
    elif field.nps is not None:
        shown |= _nps(field.nps, w)
    elif field.rows:
        shown |= _matrix(field, w)
    elif field.numbers is not None:
        shown |= _numbers(field.numbers, field.title or field.field, w)
    elif field.kind == "texts":
        said.append(w.words["texts"])
    return {**shown, "note": " · ".join(said)}


def _options(options: Sequence[OptionCount], w: Wording) -> Document:
    return {
        "shape": "options",
        "long": len(options) > 20,
        "head": [w.words["answer"], "", w.words["count"], w.words["share"]],
        "rows": [
            {
                "label": _line(option.label or option.value, w),
                "share": option.share,
                "count": w.number(option.count),
                "percent": w.percent(option.share),
            }
            for option in options
        ],
    }


def _numbers(figures: NumberFigures, title: str, w: Wording) -> Document:
    facts = [
        (w.words["mean"], figures.mean),
        (w.words["median_value"], figures.median),
        (w.words["stdev"], figures.stdev),
        (w.words["minimum"], figures.minimum),
        (w.words["maximum"], figures.maximum),
        (w.words["sum"], figures.sum),
    ]
    bins = figures.bins if figures.count else []
    most = max((each.count for each in bins), default=0)
    points = [
        {
            "label": w.number(each.lower),
            "range": f"{w.number(each.lower)} – {w.number(each.upper)}",
            "value": w.number(each.count),
            "share": _part(each.count, most),
            "part": each.count / figures.count,
            "percent": w.percent(each.count / figures.count),
        }
        for each in bins
    ]
    at = next((point["range"] for point in points if point["share"] == 1), "")
    return {
        "shape": "numbers",
        "long": len(points) > 12,
        "head": [w.words["figure"], w.words["value"]],
        "facts": [[name, w.number(value)] for name, value in facts],
        "points": points,
        "most": w.number(most),
        "bins_head": [w.words["range"], "", w.words["count"], w.words["share"]],
        "alt": w.say("chart_alt", title=title, count=len(points), most=w.number(most), at=at),
    }


def _nps(figures: NpsFigures, w: Wording) -> Document:
    counts = {"detractors": figures.detractors, "passives": figures.passives, "promoters": figures.promoters}
    total = sum(counts.values())
    parts = [
        {
            "label": w.words[name],
            "count": w.number(count),
            "share": _part(count, total),
            "percent": w.percent(count / total if total else None),
        }
        for name, count in counts.items()
    ]
    score = w.number(figures.score, 1)
    told = ", ".join(f"{part['label']} {part['percent']}" for part in parts)
    return {
        "shape": "nps",
        "score": score,
        "head": [w.words["answer"], w.words["count"], w.words["share"]],
        "parts": parts,
        "alt": w.say("nps_alt", score=score, parts=told),
    }


def _matrix(field: FieldFigures, w: Wording) -> Document:
    columns = _columns(field.rows)
    return {
        "shape": "matrix",
        "long": len(field.rows) > 15,
        "columns": [_line(label, w) for _, label in columns],
        "head": [w.words["question"], *(_line(label, w) for _, label in columns), w.words["count"]],
        "rows": [
            {
                "label": _line(row.label or row.row, w),
                "short": _line(row.label or row.row, w, _SHORT),
                "answered": w.number(row.answered),
                "cells": [_cell(row, value, w) for value, _ in columns],
            }
            for row in field.rows
        ],
        "alt": w.say("matrix_alt", title=field.title or field.field, count=len(field.rows)),
    }


def _columns(rows: Sequence[MatrixRow]) -> list[tuple[str, str]]:
    """The answers that rows share, in the order they come."""
    found: dict[str, str] = {}
    for row in rows:
        for option in row.options:
            found.setdefault(option.value, option.label or option.value)
    return list(found.items())


def _cell(row: MatrixRow, value: str, w: Wording) -> Document:
    share = next((option.share for option in row.options if option.value == value), 0.0)
    return {"share": share, "text": w.percent(share)}


def _line(text: str, w: Wording, most: int = 0) -> str:
    """Of people, on one line."""
    return w.quoted(_plain(text, most))


def _plain(text: str, most: int = 0) -> str:
    said = " ".join(text.split())
    return f"{said[:most].rstrip()}…" if 0 < most < len(said) else said


def _part(value: float | None, whole: float) -> float | None:
    return None if value is None else value / whole if whole else 0.0
