"""Whether the settings of a form fit what it asks."""

from collections.abc import Iterator, Mapping
from typing import Any

from deployments.forms.settings import FormSettings
from deployments.kit.answer_quotas import ONE_OPTION, SOME_OPTIONS, AnswerQuota, elements_of
from deployments.kit.engine import InvalidDefinition, parse_definition
from deployments.kit.enrichment import TEXT_TYPES
from deployments.kit.errors import Fault
from deployments.kit.texts import languages_of

_PROBES = "quota_probes"


def misfits(settings: FormSettings, document: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The faults of `settings` for a form with this definition document, which is valid."""
    return (
        *_window(settings),
        *_persons(settings),
        *_languages(settings, document),
        *_autoresponder(settings, document),
        *_quotas(settings, document),
        *_enrichment(settings, document),
    )


def _window(settings: FormSettings) -> Iterator[Fault]:
    if settings.opens_at and settings.closes_at and settings.closes_at <= settings.opens_at:
        yield Fault("/settings/closes_at", "range.min", "the form must close after it opens")


def _persons(settings: FormSettings) -> Iterator[Fault]:
    if settings.one_response_per is not None and not settings.login_required:
        detail = "nobody knows who answers unless login_required is set"
        yield Fault("/settings/one_response_per", "settings.login_required", detail)


def _languages(settings: FormSettings, document: Mapping[str, Any]) -> Iterator[Fault]:
    known = document.get("languages", ["en"])
    for index, language in enumerate(settings.languages or ()):
        if language not in known:
            yield _unknown_language(f"/settings/languages/{index}", language)
    for place, text in _texts(settings):
        for language in languages_of(text):
            if language not in known:
                yield _unknown_language(f"{place}/{language}", language)


def _unknown_language(place: str, language: str) -> Fault:
    return Fault(place, "settings.unknown_language", f"the definition has no language {language!r}")


def _texts(settings: FormSettings) -> Iterator[tuple[str, Any]]:
    """Every text that may be there in several languages, with its place."""
    for index, quota in enumerate(settings.quotas):
        yield f"/settings/quotas/{index}/message", quota.message
    for name, names in (
        ("confirmation", ("message",)),
        ("messages", ("not_open_yet", "closed", "full")),
        ("autoresponder", ("subject", "text")),
        ("theme", ("logo_alt",)),
    ):
        part = getattr(settings, name)
        for attribute in names if part is not None else ():
            yield f"/settings/{name}/{attribute}", getattr(part, attribute)


def _autoresponder(settings: FormSettings, document: Mapping[str, Any]) -> Iterator[Fault]:
    if settings.autoresponder is None:
        return
    place, wanted = "/settings/autoresponder/email_field", settings.autoresponder.email_field
    # Only what stands on a page itself: in a repeating group there would be many addresses.
    found = next((e for page in document["pages"] for e in page.get("elements", ()) if e["id"] == wanted), None)
    if found is None:
        yield _unknown_field(place, wanted)
    elif found["type"] != "email":
        yield Fault(place, "settings.field_type", f"the field {wanted!r} does not ask for an e-mail address")


def _unknown_field(place: str, name: str) -> Fault:
    return Fault(place, "settings.unknown_field", f"the form has no field {name!r} on a page")


def _enrichment(settings: FormSettings, document: Mapping[str, Any]) -> Iterator[Fault]:
    if settings.ai is None:
        return
    # As for quotas and columns: only what stands on a page itself has one answer.
    fields = {element["id"]: element["type"] for page in document["pages"] for element in _asked(page)}
    seen: set[tuple[str, str]] = set()
    for name, place, chosen in settings.ai.choices():
        for index, field in enumerate(chosen):
            here = f"/settings/ai/{place}/fields/{index}"
            if field not in fields:
                yield _unknown_field(here, field)
            elif fields[field] not in TEXT_TYPES:
                yield Fault(here, "settings.field_type", f"the field {field!r} does not ask for a text")
            if (name, field) in seen:
                yield Fault(here, "settings.duplicate", f"the field {field!r} is named twice for {name!r}")
            seen.add((name, field))


def _asked(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The elements of a page, and of its sections."""
    for element in container.get("elements") or ():
        yield element
        if element["type"] == "section":
            yield from _asked(element)


def _quotas(settings: FormSettings, document: Mapping[str, Any]) -> Iterator[Fault]:
    elements = {element["id"]: element for element in elements_of(document)}
    seen: set[str] = set()
    sound: dict[int, str] = {}
    for index, quota in enumerate(settings.quotas):
        place = f"/settings/quotas/{index}"
        if quota.id in seen:
            yield Fault(f"{place}/id", "settings.duplicate_id", f"the id {quota.id!r} is used twice")
        seen.add(quota.id)
        faults = list(_options(place, quota, elements))
        yield from faults
        if not faults:
            sound[index] = quota.expression(elements[quota.field]["type"] if quota.field else None)
    for index, fault in _expression_faults(sound, document):
        name = "field" if settings.quotas[index].field else "condition"
        yield Fault(f"/settings/quotas/{index}/{name}", fault.code, fault.detail)


def _options(place: str, quota: AnswerQuota, elements: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    if quota.field is None:
        return
    element = elements.get(quota.field)
    if element is None:
        yield _unknown_field(f"{place}/field", quota.field)
        return
    if element["type"] not in ONE_OPTION | SOME_OPTIONS:
        detail = f"the field {quota.field!r} has no options to choose from: a condition can ask for its answer"
        yield Fault(f"{place}/field", "settings.field_type", detail)
        return
    known = {option["id"] for option in element["options"]}
    for index, option in enumerate(quota.options):
        if option not in known:
            detail = f"the field {quota.field!r} has no option {option!r}"
            yield Fault(f"{place}/options/{index}", "settings.unknown_option", detail)


def _expression_faults(expressions: Mapping[int, str], document: Mapping[str, Any]) -> Iterator[tuple[int, Fault]]:
    """What the engine finds wrong with conditions on the whole form: it sees them as statements at its end."""
    if not expressions:
        return
    taken = {page["id"] for page in document["pages"]} | {element["id"] for element in elements_of(document)}
    prefix = _PROBES
    while any(name.startswith(prefix) for name in taken):
        prefix += "_"
    probes = [
        {"id": f"{prefix}{index}", "type": "statement", "title": "-", "visible_if": text}
        for index, text in expressions.items()
    ]
    *pages, last = document["pages"]
    offset = len(last.get("elements", ()))
    probed = {**document, "pages": [*pages, {**last, "elements": [*last.get("elements", ()), *probes]}]}
    try:
        parse_definition(probed)
    except InvalidDefinition as error:
        places = {f"/pages/{len(pages)}/elements/{offset + n}/visible_if": index for n, index in enumerate(expressions)}
        # What else may be wrong with the form has nothing to do with its settings.
        for fault in error.faults:
            if fault.pointer in places:
                yield places[fault.pointer], fault
