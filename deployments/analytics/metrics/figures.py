"""From counts to figures: what a form's fields, pages and durations look like. Pure."""

import math
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

from deployments.analytics.metric_contracts import (
    FieldFigures,
    FieldKind,
    MatrixRow,
    NpsFigures,
    NumberBin,
    NumberFigures,
    OptionCount,
    PageFigures,
)
from deployments.analytics.metrics.cells import median_of, seconds_of
from deployments.analytics.metrics.parts import NUMERIC, OTHER
from deployments.kit.engine import Definition
from deployments.kit.engine.fields import Field

_EXACT: Final = Context(prec=10_000, Emax=999_999, Emin=-999_999)
_ZERO: Final = Decimal(0)
_BINS: Final = 20
_TRUTHS: Final = {"true": "Yes", "false": "No"}
_KINDS: Final[Mapping[str, FieldKind]] = {
    **dict.fromkeys(("choice", "dropdown", "multi_choice", "country", "yes_no", "consent", "ranking"), "options"),
    **dict.fromkeys(NUMERIC, "numbers"),
    "nps": "nps",
    **dict.fromkeys(("matrix", "matrix_multi"), "matrix"),
    **dict.fromkeys(("date", "time", "datetime"), "dates"),
    **dict.fromkeys(("file", "image", "signature"), "files"),
}


def median_seconds(counts: Mapping[str, int]) -> float | None:
    """The median of the durations among these counts, within 1 %."""
    cells: defaultdict[float, int] = defaultdict(int)
    for name, count in counts.items():
        kind, _, cell = name.partition(":")
        if kind == "seconds":
            cells[seconds_of(int(cell))] += count
    found = median_of(cells)
    return None if found is None else round(found, 3)


def pages_of(definitions: Sequence[Definition], counts: Mapping[str, int]) -> list[PageFigures]:
    """The pages of all versions, in the order of the newest; those that are gone after them, if anybody came there."""
    found: dict[str, PageFigures] = {}
    for number, definition in enumerate(reversed(definitions)):
        for page in definition.pages:
            reached = counts.get(f"page:{page.id}:reached", 0)
            if page.id not in found and (number == 0 or reached):
                left = counts.get(f"page:{page.id}:left", 0)
                found[page.id] = PageFigures(page=page.id, title=page.title or "", reached=reached, left=left)
    return list(found.values())


def fields_of(
    definitions: Sequence[Definition],
    counts: Mapping[str, int],
    sums: Mapping[str, Sequence[str]],
    personal: Collection[str],
    hidden: Collection[str],
) -> list[FieldFigures]:
    """The fields of all versions, in the order of the newest; those that are gone after them, if anybody answered.

    Of those that are `hidden` only how many answered is told.
    """
    parts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, count in counts.items():
        if name.startswith("f:"):
            field_id, _, rest = name[2:].partition(":")
            parts[field_id][rest] = count
    submissions = counts.get("submissions", 0)
    versions: defaultdict[str, list[Field]] = defaultdict(list)
    newest = {field.id for field in definitions[-1].fields} if definitions else set()
    for definition in reversed(definitions):
        for field in definition.fields:
            versions[field.id].append(field)
    found = []
    for field_id, fields in versions.items():
        mine = parts.get(field_id, {})
        if field_id not in newest and not mine:
            continue
        answered = mine.get("", 0)
        shown = {} if field_id in hidden else _shown(fields, mine, answered, sums.get(field_id, ("0", "0")))
        kind = shown.pop("kind", None) or _kind(fields[0], mine)
        found.append(
            FieldFigures(
                field=field_id,
                type=fields[0].type,
                kind=kind,
                title=fields[0].title,
                personal=field_id in personal,
                answered=answered,
                skipped=max(0, submissions - answered),
                **shown,
            )
        )
    return found


def _kind(field: Field, parts: Mapping[str, int]) -> FieldKind:
    if field.type == "calculated":
        if any(name.startswith("n:") for name in parts):
            return "numbers"
        return "options" if any(name.startswith("o:") for name in parts) else "texts"
    return _KINDS.get(field.type, "texts")


def _shown(fields: Sequence[Field], parts: Mapping[str, int], answered: int, sums: Sequence[str]) -> dict[str, Any]:
    kind = _kind(fields[0], parts)
    if kind in ("numbers", "nps"):
        cells = {Decimal(name[2:]): count for name, count in parts.items() if name.startswith("n:")}
        numbers = _numbers(cells, Decimal(sums[0]), Decimal(sums[1]), _steps(fields[0]))
        return {"numbers": numbers, "nps": _nps(cells) if kind == "nps" else None}
    if kind == "options":
        chosen = _below("o:", parts)
        found: dict[str, Any] = {"options": _options(_choices(fields), chosen, answered)}
        if fields[0].type == "ranking":
            found["rows"] = _ranks(fields, parts, chosen)
        return found
    return {"rows": _rows(fields, parts)} if kind == "matrix" else {}


def _below(prefix: str, parts: Mapping[str, int]) -> dict[str, int]:
    return {name[len(prefix) :]: count for name, count in parts.items() if name.startswith(prefix)}


class _Choices(NamedTuple):
    """What there is to choose: labels by id, those of all versions, and which of them the newest has."""

    labels: Mapping[str, str]
    offered: tuple[str, ...]


def _choices(fields: Sequence[Field], name: str = "options") -> _Choices:
    labels = {option.id: option.label for field in fields for option in getattr(field, name, ())}
    labels |= {option.id: option.label for option in getattr(fields[0], name, ())}
    offered = [option.id for option in getattr(fields[0], name, ())]
    if fields[0].type in ("yes_no", "consent"):
        offered += _TRUTHS
    if getattr(fields[0], "allow_other", False):
        offered.append(OTHER)
    return _Choices({**labels, **_TRUTHS, OTHER: "Other"} if name == "options" else labels, tuple(offered))


def _options(choices: _Choices, chosen: Mapping[str, int], answered: int) -> list[OptionCount]:
    """What the newest version offers, in its order, and what else was chosen, the most frequent first."""
    others = sorted(chosen.keys() - set(choices.offered), key=lambda each: (-chosen[each], each))
    return [
        OptionCount(
            value="other" if option == OTHER else option,
            label=choices.labels.get(option, option),
            count=chosen.get(option, 0),
            share=_share(chosen.get(option, 0), answered),
        )
        for option in (*choices.offered, *others)
    ]


def _rows(fields: Sequence[Field], parts: Mapping[str, int]) -> list[MatrixRow]:
    rows, columns = _choices(fields, "rows"), _choices(fields, "columns")
    found = []
    for row, label in rows.labels.items():
        answered = parts.get(f"r:{row}", 0)
        if answered or row in rows.offered:
            options = _options(columns, _below(f"r:{row}:", parts), answered)
            found.append(MatrixRow(row=row, label=label, answered=answered, options=options))
    return found


def _ranks(fields: Sequence[Field], parts: Mapping[str, int], ranked: Mapping[str, int]) -> list[MatrixRow]:
    choices, found = _choices(fields), []
    for option in (*choices.offered, *sorted(ranked.keys() - set(choices.offered))):
        chosen, answered = _below(f"r:{option}:", parts), ranked.get(option, 0)
        options = [
            OptionCount(value=rank, label=rank, count=chosen[rank], share=_share(chosen[rank], answered))
            for rank in sorted(chosen, key=int)
        ]
        mean = sum(int(rank) * count for rank, count in chosen.items()) / answered if answered else None
        label = choices.labels.get(option, option)
        found.append(MatrixRow(row=option, label=label, answered=answered, options=options, mean_rank=mean))
    return found


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _nps(cells: Mapping[Decimal, int]) -> NpsFigures:
    promoters = sum(count for value, count in cells.items() if value >= 9)
    detractors = sum(count for value, count in cells.items() if value <= 6)
    total = sum(cells.values())
    return NpsFigures(
        promoters=promoters,
        passives=total - promoters - detractors,
        detractors=detractors,
        score=100 * (promoters - detractors) / total if total else None,
    )


def _numbers(cells: Mapping[Decimal, int], total: Decimal, squares: Decimal, steps: range | None) -> NumberFigures:
    count = sum(cells.values())
    if not count:
        bins = [] if steps is None else _unit_bins({}, steps)
        return NumberFigures(count=0, sum=0, mean=None, stdev=None, minimum=None, median=None, maximum=None, bins=bins)
    values = {_finite(value): number for value, number in cells.items()}
    return NumberFigures(
        count=count,
        sum=_finite(total),
        mean=_finite(total / count),
        stdev=_stdev(count, total, squares),
        minimum=min(values),
        median=median_of(values),
        maximum=max(values),
        bins=_bins(values) if steps is None else _unit_bins(values, steps),
    )


def _stdev(count: int, total: Decimal, squares: Decimal) -> float | None:
    if count < 2:
        return None
    # n·Σx² − (Σx)² is exact, so that nothing is left of what cancels out.
    spread = _EXACT.subtract(_EXACT.multiply(squares, count), _EXACT.multiply(total, total))
    return _finite((max(_ZERO, spread) / (count * (count - 1))).sqrt())


def _finite(number: Decimal) -> float:
    """The number, or the greatest there is where it is greater: a sum of very great ones."""
    return max(-sys.float_info.max, min(float(number), sys.float_info.max))


def _steps(field: Field) -> range | None:
    """What there is to choose on a scale."""
    if field.type == "nps":
        return range(11)
    if field.type == "rating":
        return range(1, int(getattr(field, "max", 5)) + 1)
    if field.type == "scale":
        return range(int(getattr(field, "min", 1)), int(getattr(field, "max", 5)) + 1)
    return None


def _unit_bins(values: Mapping[float, int], steps: Iterable[int]) -> list[NumberBin]:
    return [NumberBin(lower=step, upper=step + 1, count=values.get(float(step), 0)) for step in steps]


def _bins(values: Mapping[float, int]) -> list[NumberBin]:
    """At most 20 bins of a round width, from the least to the greatest value; one where all are the same."""
    low, high = min(values), max(values)
    if low == high:
        return [NumberBin(lower=low, upper=high, count=values[low])]
    width = _round_width(high / _BINS - low / _BINS)
    first = math.floor(low / width)
    number = max(1, math.ceil(high / width) - first)
    counts = [0] * number
    for value, count in values.items():
        counts[min(max(math.floor(value / width) - first, 0), number - 1)] += count
    edges = [_tidy((first + place) * width) for place in range(number + 1)]
    return [NumberBin(lower=edges[i], upper=edges[i + 1], count=count) for i, count in enumerate(counts)]


def _round_width(least: float) -> float:
    scale: float = 10.0 ** math.floor(math.log10(least))
    return next(step * scale for step in (1, 2, 5, 10) if step * scale >= least * 0.999_999)


def _tidy(value: float) -> float:
    return max(-sys.float_info.max, min(float(f"{value:.12g}"), sys.float_info.max))
