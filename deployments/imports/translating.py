"""Texts in further languages: the same file is read once for each, and what it says differently is a translation."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from deployments.imports.draft import Draft
from deployments.kit.engine.translations import Language

_FORM: Final = ("title", "description")
_ELEMENT: Final = ("title", "description", "min_label", "max_label", "item_title")
_LISTS: Final = ("options", "rows", "columns")

MOST_OTHERS: Final = 49
"""A form may have as many languages besides its first."""

Document = Mapping[str, Any]

_TAG: Final[TypeAdapter[str]] = TypeAdapter(Language)


def is_language(tag: str) -> bool:
    """Whether it is the tag of a language, as definitions have them."""
    try:
        _TAG.validate_python(tag)
    except ValidationError:
        return False
    return True


def translate_into(draft: Draft, language: str, other: Draft) -> None:
    """Let the draft speak a language, in which `other` was read from the same file."""
    for notice in other.notices:
        if notice.code == "text.cut":
            draft.notices.add(notice.where, notice.code, f"In {language}: {notice.detail}")
    texts = translation(draft.document(), other.document())
    languages = draft.properties.setdefault("languages", ["en"])
    if language not in languages:
        draft.properties["languages"] = [*languages, language]
    # What a mark keeps of a translation is what the format could not say.
    kept = draft.properties.get("translations", {})
    if texts:
        draft.properties["translations"] = {**kept, language: _joined(texts, kept.get(language, {}))}


def unsaid(document: Document, found: Document) -> dict[str, Any]:
    """The translations of a document that were not read back as they are, for a mark to keep. Where a mark keeps a text
    itself, it hides those that stand beside it."""
    if "pages" not in found:
        return dict(document.get("translations", {}))
    return {
        language: rest
        for language, texts in document.get("translations", {}).items()
        if (rest := _lacking(texts, _visible(document, found, found.get("translations", {}).get(language, {}))))
    }


def translation(base: Document, other: Document) -> dict[str, Any]:
    """What `other` says differently, as the translation of a definition has it; only of what `base` has, too."""
    found: dict[str, Any] = _differing(base, other, _FORM)
    for name, ids in (("pages", _pages), ("elements", _elements)):
        others = dict(ids(other))
        texts = {key: _texts(each, others[key]) for key, each in ids(base) if key in others}
        if texts := {key: text for key, text in texts.items() if text}:
            found[name] = texts
    messages = {rule["id"]: rule["message"] for rule in other.get("rules", ())}
    said = {rule["id"]: messages.get(rule["id"], rule["message"]) for rule in base.get("rules", ())}
    if rules := {rule["id"]: said[rule["id"]] for rule in base.get("rules", ()) if said[rule["id"]] != rule["message"]}:
        found["rules"] = rules
    return found


def _texts(base: Document, other: Document) -> dict[str, Any]:
    texts = _differing(base, other, _ELEMENT)
    for name in _LISTS:
        labels = {item["id"]: item["label"] for item in other.get(name, ())}
        changed = {
            item["id"]: labels[item["id"]]
            for item in base.get(name, ())
            if labels.get(item["id"], item["label"]) != item["label"]
        }
        if changed:
            texts[name] = changed
    return texts


def _differing(base: Document, other: Document, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: other[name] for name in names if base.get(name) and other.get(name) not in (None, "", base[name])}


def _joined(texts: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(texts)
    for name, part in over.items():
        joined[name] = _joined(texts.get(name, {}), part) if isinstance(part, dict) else part
    return joined


def _visible(document: Document, found: Document, texts: Mapping[str, Any]) -> dict[str, Any]:
    visible = {name: text for name, text in texts.items() if name not in _FORM or document.get(name) == found.get(name)}
    for kind, ids in (("pages", _pages), ("elements", _elements)):
        own, read = dict(ids(document)), dict(ids(found))
        visible[kind] = {
            key: {name: text for name, text in each.items() if own.get(key, {}).get(name) == read[key].get(name)}
            for key, each in texts.get(kind, {}).items()
        }
    return visible


def _lacking(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for name, part in wanted.items():
        if isinstance(part, dict):
            if inner := _lacking(part, found.get(name, {})):
                rest[name] = inner
        elif found.get(name) != part:
            rest[name] = part
    return rest


def _pages(document: Document) -> Iterator[tuple[str, Document]]:
    for page in document["pages"]:
        yield page["id"], {name: text for name, text in page.items() if name in _FORM}


def _elements(document: Document) -> Iterator[tuple[str, Document]]:
    waiting = [element for page in document["pages"] for element in page["elements"]]
    for element in waiting:
        yield element["id"], element
        waiting += element.get("elements", ())
