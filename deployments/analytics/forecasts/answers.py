"""The answers of two spans, field by field, ready to be compared."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from db.repositories.answer_tallies import AnswerTallyRepository, Tally
from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from deployments.analytics.errors import FormNotFound
from deployments.analytics.forecast_contracts import Drift, DriftedValue, FieldDrift
from deployments.analytics.forecasts.fitting import Fitter
from deployments.kit.engine import Definition, parse_definition, stored_definition
from deployments.kit.errors import Invalid
from deployments.kit.personal import personal_fields

Kind: TypeAlias = Literal["one", "many", "numbers"]

MOST_VALUES: Final = 100_000
"""Most different answers of a span, over all fields, that are compared."""

_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("choice", "dropdown", "yes_no", "consent", "country", "rating", "scale", "nps"), "one"),
    "multi_choice": "many",
    **dict.fromkeys(("number", "currency", "integer", "calculated"), "numbers"),
}
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Compared:
    """A field that is compared; `labels` are those of its options by their ids."""

    id: str
    title: str
    kind: Kind
    personal: bool
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spans:
    """`since` to `until`, and the reference from `reference_since` to `since`."""

    reference_since: datetime
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What was answered in two spans."""

    fields: Sequence[Compared]
    now: Sequence[Tally]
    before: Sequence[Tally]
    responses: int
    reference_responses: int


async def counted(unit: UnitOfWork, form_id: str, spans: Spans, *, personal: bool, only: Sequence[str] = ()) -> Counted:
    """The answers to the fields that can be compared, without those with personal data unless `personal`.

    Raises FormNotFound; Invalid when there are too many different answers.
    """
    found = [
        field
        for field in fields_of(await _definitions(unit, form_id))
        if (personal or not field.personal) and (not only or field.id in only)
    ]
    tallies = AnswerTallyRepository(unit.session, unit.tenant)
    ids = [field.id for field in found]
    now = await tallies.between(form_id, ids, spans.since, spans.until, MOST_VALUES + 1)
    before = await tallies.between(form_id, ids, spans.reference_since, spans.since, MOST_VALUES + 1)
    if max(len(now), len(before)) > MOST_VALUES:
        detail = f"There are more than {MOST_VALUES} different answers: take a shorter span."
        raise Invalid.at("/reference_since", "drift.too_many", detail)
    return Counted(
        found,
        now,
        before,
        await tallies.responses(form_id, spans.since, spans.until),
        await tallies.responses(form_id, spans.reference_since, spans.since),
    )


async def compared(fitter: Fitter, form_id: str, spans: Spans, found: Counted) -> Drift:
    """How the answers differ. Raises ForecastBusy."""
    sides = [
        {
            "kind": field.kind,
            "answered": sum(count for name, _, count in found.now if name == field.id),
            "reference_answered": sum(count for name, _, count in found.before if name == field.id),
            "now": tallied(found.now, field),
            "before": tallied(found.before, field),
        }
        for field in found.fields
    ]
    said = (await fitter.ask("compare", fields=sides))["fields"] if sides else []
    fields = [_to_drift(field, side, one) for field, side, one in zip(found.fields, sides, said, strict=True)]
    return Drift(
        form_id=form_id,
        since=spans.since,
        until=spans.until,
        reference_since=spans.reference_since,
        responses=found.responses,
        reference_responses=found.reference_responses,
        fields=fields,
    )


def fields_of(definitions: Sequence[Definition]) -> list[Compared]:
    """The fields that can be compared, of all versions, oldest first; labels are the newest ones."""
    personal = personal_fields(definitions)
    found: dict[str, Compared] = {}
    for definition in definitions:
        for field in definition.fields:
            if kind := _KINDS.get(field.type):
                options = {option.id: str(option.label) for option in getattr(field, "options", ())}
                labels = {**(found[field.id].labels if field.id in found else {}), **options}
                found[field.id] = Compared(field.id, field.title, kind, field.id in personal, labels)
    return list(found.values())


def tallied(tallies: Iterable[Tally], field: Compared) -> dict[str, int]:
    """How often each value of a field was answered."""
    counts: Counter[str] = Counter()
    for name, answer, count in tallies:
        if name == field.id:
            for value in _values(answer, field.kind):
                counts[value] += count
    return dict(counts)


def _values(answer: Any, kind: Kind) -> list[str]:
    if kind == "numbers":
        return [repr(answer)] if type(answer) in (int, float) else []
    if isinstance(answer, dict):
        # What was written beside the options is one value, whatever it says.
        chosen = answer.get("options", answer.get("option"))
        return [*_values(chosen, kind), *([_OTHER] if answer.get(_OTHER) else [])]
    if isinstance(answer, list):
        return [str(item) for item in answer]
    if answer is None:
        return []
    return [str(answer).lower() if isinstance(answer, bool) else f"{answer:g}" if _is_number(answer) else str(answer)]


def _is_number(answer: Any) -> bool:
    return type(answer) in (int, float)


async def _definitions(unit: UnitOfWork, form_id: str) -> list[Definition]:
    forms = PublishedFormRepository(unit.session, unit.tenant)
    if not await forms.exists(form_id):
        raise FormNotFound
    return [parse_definition(stored_definition(row.definition)) for row in await forms.versions(form_id)]


def _to_drift(field: Compared, side: Mapping[str, Any], said: Mapping[str, Any]) -> FieldDrift:
    state: Literal["stable", "drifted", "too_few"] = "drifted" if said["is_drifted"] else "stable"
    return FieldDrift(
        field=field.id,
        title=field.title,
        state="too_few" if said["psi"] is None else state,
        answered=side["answered"],
        reference_answered=side["reference_answered"],
        psi=said["psi"],
        p_value=said["p_value"],
        q_value=said["q_value"],
        values=[
            DriftedValue(
                value=value,
                label=field.labels.get(value, value),
                count=now,
                share=now / max(side["answered"], 1),
                reference_count=before,
                reference_share=before / max(side["reference_answered"], 1),
            )
            for value, now, before in said["values"]
        ],
    )
