"""A first look at a dump: how much of what there is, so that progress has an end and quotas can be held against it."""

from collections import Counter
from dataclasses import dataclass, field

from deployments.imports.legacy import answers
from deployments.imports.legacy.documents import read_raw
from deployments.imports.legacy.dump import CARRIED, FORMS, RESPONSES, Dump
from deployments.imports.legacy.reading import spelled
from deployments.imports.legacy.values import id_of, plain


@dataclass(slots=True)
class Survey:
    """Documents by collection, responses by what their forms are called, what the forms are called, and documents of
    collections that are not read."""

    totals: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    forms: set[str] = field(default_factory=set)
    unread: dict[str, int] = field(default_factory=dict)


def look_at(dump: Dump) -> Survey:
    """Count what is in a dump."""
    survey = Survey()
    for collection in CARRIED:
        for raw in dump.raw(collection):
            survey.totals[collection] += 1
            if collection == RESPONSES and raw.body:
                survey.responses[_form_of(raw.body)] += 1
            elif collection == FORMS and raw.body:
                survey.forms.add(id_of(plain(raw.body.get("_id", raw.body.get("id")), {})))
    survey.unread = {name: sum(1 for _ in read_raw(path)) for name, path in sorted(dump.unread.items())}
    return survey


def _form_of(body: dict[str, object]) -> str:
    """What `answers.form_of` says of the document, without a look at the rest of it."""
    found = {spelled(name): value for name, value in body.items() if spelled(name) in answers.FORM}
    return id_of(plain(next((found[name] for name in answers.FORM if found.get(name)), None), {}))
