"""From a definition to SurveyJS JSON, which is read back to the same definition."""

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from deployments.imports.draft import inside
from deployments.imports.errors import FileUnreadable
from deployments.imports.logic import formstream, surveyjs
from deployments.imports.logic.patterns import searching_pattern
from deployments.imports.logic.subjects import subjects_of
from deployments.imports.logic.tree import Untranslatable
from deployments.imports.marks import NAME, mark_of
from deployments.imports.notices import Notices
from deployments.imports.surveyjs.reading import FREE, INSIDE, read_surveyjs, said, survey_said
from deployments.imports.surveyjs.texts import as_html
from deployments.imports.target import FORMULA
from deployments.imports.translating import unsaid
from deployments.kit.engine import parse_definition
from deployments.kit.engine.fields.group import MOST_ITEMS

_PLAIN: Final[dict[str, dict[str, Any]]] = {
    "short_text": {},
    "email": {"inputType": "email"},
    "url": {"inputType": "url"},
    "phone": {"inputType": "tel"},
    "hidden": {"visible": False},
    "number": {"inputType": "number"},
    "currency": {"inputType": "number"},
    "integer": {"inputType": "number", "step": 1},
    "date": {"inputType": "date"},
    "time": {"inputType": "time"},
    "datetime": {"inputType": "datetime-local"},
}
_TYPES: Final = {
    "long_text": "comment",
    "choice": "radiogroup",
    "dropdown": "dropdown",
    "multi_choice": "checkbox",
    "ranking": "ranking",
    "yes_no": "boolean",
    "consent": "boolean",
    "rating": "rating",
    "scale": "rating",
    "nps": "rating",
    "matrix": "matrix",
    "matrix_multi": "matrixdropdown",
    "file": "file",
    "image": "file",
    "signature": "signaturepad",
    "calculated": "expression",
    "address": "comment",
    "section": "panel",
    "group": "paneldynamic",
}
_EXACT: Final = frozenset((*_PLAIN, *_TYPES, "statement")) - {"currency", "consent", "image", "address"}
_HOLDING: Final = {"section": "elements", "group": INSIDE}
"""Where the elements of those that hold some are."""

_CELLS: Final = "choices"
"""The column of a table that holds the boxes of each row."""


def write_surveyjs(definition: dict[str, Any], title: str, notices: Notices) -> bytes:
    """The survey. What SurveyJS does not see of it is kept under `formstream`, and becomes a notice listed there."""
    parsed = parse_definition(definition)
    document = parsed.document()
    elements = [element for page in document["pages"] for element in inside(page)]
    writer = surveyjs.Writer(subjects_of(elements))
    first, *others = document["languages"]
    survey: dict[str, Any] = _survey(document, title, writer, notices)
    translated = {each: _survey(parsed.localized(each).document(), title, writer, Notices()) for each in others}
    survey = {**_in_languages(survey, translated), "locale": first}
    _add_marks(document, survey, notices)
    if notices.total:
        survey[NAME] = {**survey.get(NAME, {}), "warnings": notices.documents()}
    return orjson.dumps(survey, option=orjson.OPT_INDENT_2)


def _survey(document: Mapping[str, Any], title: str, writer: surveyjs.Writer, notices: Notices) -> dict[str, Any]:
    texts = {"title": document.get("title", title), "description": document.get("description")}
    pages = [_page(page, writer, notices) for page in document["pages"]]
    return {**{name: text for name, text in texts.items() if text is not None}, "pages": pages}


def _in_languages(base: Any, others: Mapping[str, Any]) -> Any:
    """`base` with each text that others say differently in all their languages, as SurveyJS has it."""
    if isinstance(base, dict):
        inner = {name: {each: other.get(name) for each, other in others.items()} for name in base}
        return {name: _in_languages(value, inner[name]) for name, value in base.items()}
    if isinstance(base, list):
        return [
            _in_languages(value, {each: other[place] for each, other in others.items()})
            for place, value in enumerate(base)
        ]
    differing = {each: other for each, other in others.items() if isinstance(other, str) and other != base}
    return {"default": base, **differing} if differing and isinstance(base, str) else base


def _page(page: Mapping[str, Any], writer: surveyjs.Writer, notices: Notices) -> dict[str, Any]:
    texts = {name: page[name] for name in ("title", "description") if name in page}
    elements = [_element(each, writer, notices) for each in page["elements"]]
    return {"name": page["id"], **texts, "elements": elements, **_logic(page, writer, notices)}


def _element(element: Mapping[str, Any], writer: surveyjs.Writer, notices: Notices) -> dict[str, Any]:
    kind = element["type"]
    raw: dict[str, Any] = {"type": _TYPES.get(kind, "text"), "name": element["id"], "title": element["title"]}
    if "description" in element:
        raw["description"] = element["description"]
    if kind == "statement":
        raw = {"type": "html", "name": element["id"], "html": as_html(element["title"], element.get("description"))}
    raw |= _PLAIN.get(kind, {})
    raw |= _particular(element)
    if kind in _HOLDING:
        raw[_HOLDING[kind]] = [_element(each, writer, notices) for each in element["elements"]]
    if element.get("required"):
        raw["isRequired"] = True
    return raw | _logic(element, writer, notices) | _validation(element)


def _logic(element: Mapping[str, Any], writer: surveyjs.Writer, notices: Notices) -> dict[str, Any]:
    raw = {}
    for own, foreign in (("visible_if", "visibleIf"), ("required_if", "requiredIf"), (FORMULA, "expression")):
        if own == "required_if" and "elements" in element and element.get("type") != "group":
            if own in element:
                notices.add(element["id"], f"property.{own}", "SurveyJS does not see required_if as it is.")
        elif own in element:
            try:
                raw[foreign] = writer.write(formstream.read(element[own]))
            except Untranslatable as error:
                detail = f"{own}: {error} It was: {element[own]}"
                notices.add(element["id"], "logic.untranslated", detail)
    return raw


def _particular(element: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of the types that are no plain inputs."""
    match element["type"]:
        case "choice" | "dropdown" | "multi_choice" | "ranking":
            other = {"showOtherItem": True} if element.get("allow_other") else {}
            return {"choices": _options(element["options"]), **other}
        case "rating":
            return {"rateMin": 1, "rateMax": element.get("max", 5)}
        case "scale" | "nps":
            low, high = (0, 10) if element["type"] == "nps" else (element.get("min", 1), element.get("max", 5))
            ends = {"minRateDescription": element.get("min_label"), "maxRateDescription": element.get("max_label")}
            return {"rateMin": low, "rateMax": high, **{name: text for name, text in ends.items() if text}}
        case "matrix":
            required = {"isAllRowRequired": True} if element.get("required") else {}
            return {"columns": _options(element["columns"]), "rows": _options(element["rows"]), **required}
        case "matrix_multi":
            column = {"name": _CELLS, "cellType": "checkbox"}
            return {
                "columns": [column],
                "choices": _options(element["columns"]),
                "rows": _options(element["rows"]),
            }
        case "group":
            names = {"min_items": "minPanelCount", "item_title": "templateTitle"}
            most = {"maxPanelCount": element.get("max_items", MOST_ITEMS)}
            return {foreign: element[own] for own, foreign in names.items() if own in element} | most
    return {}


def _options(options: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"value": option["id"], "text": option["label"]} for option in options]


def _validation(element: Mapping[str, Any]) -> dict[str, Any]:
    rules: Mapping[str, Any] = element.get("validation", {})
    raw: dict[str, Any] = {name: rules[name] for name in ("min", "max") if name in rules}
    names = {"min_choices": "minSelectedChoices", "max_choices": "maxSelectedChoices", "max_length": "maxLength"}
    raw |= {foreign: rules[own] for own, foreign in names.items() if own in rules}
    validators: list[dict[str, Any]] = []
    if "min_length" in rules:
        validators.append({"type": "text", "minLength": rules["min_length"]})
    if "pattern" in rules:
        validators.append({"type": "regex", "regex": searching_pattern(rules["pattern"])})
    return {**raw, "validators": validators} if validators else raw


def _add_marks(document: Mapping[str, Any], survey: dict[str, Any], notices: Notices) -> None:
    """Read back what SurveyJS would see, and keep the difference in marks."""
    found = _read_back(survey)
    wanted = {name: value for name, value in document.items() if name not in ("pages", "translations")}
    read = {name: value for name, value in found.items() if name != "pages"}
    read.pop("translations", None)
    wanted |= {"translations": texts} if (texts := unsaid(document, found)) else {}
    _keep(survey, survey_said(survey), wanted, read, "", notices)
    _mark_each(survey["pages"], document["pages"], found.get("pages", ()), notices)


def _mark_each(
    raws: list[dict[str, Any]], wanted: list[dict[str, Any]], found: Sequence[Mapping[str, Any]], notices: Notices
) -> None:
    for place, (raw, own) in enumerate(zip(raws, wanted, strict=True)):
        seen = found[place] if place < len(found) else {}
        if "elements" in own:
            held = raw[_HOLDING.get(own.get("type", ""), "elements")]
            _mark_each(held, own["elements"], seen.get("elements", ()), notices)
        others = {name: value for name, value in seen.items() if name != "elements"}
        _keep(raw, said(raw), {k: v for k, v in own.items() if k != "elements"}, others, own["id"], notices)


def _keep(
    raw: dict[str, Any],
    said: Mapping[str, Any],
    wanted: Mapping[str, Any],
    read: Mapping[str, Any],
    where: str,
    notices: Notices,
) -> None:
    mark = mark_of(said, wanted, read, FREE)
    if mark:
        raw[NAME] = mark
    for name in wanted:
        if read.get(name) == wanted[name] or name in ("visible_if", "required_if", FORMULA, "id"):
            continue
        if name != "type":
            notices.add(where, f"property.{name}", f"SurveyJS does not see {name} as it is.")
        elif wanted["type"] not in _EXACT:
            notices.add(where, "type.nearest", f"{wanted['type']} becomes {raw['type']} for SurveyJS.")


def _read_back(survey: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            form = read_surveyjs(io.BytesIO(orjson.dumps(survey)), Path(folder)).form
        except FileUnreadable:
            return {}
    return form.definition.document()
