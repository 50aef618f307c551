"""What of a newer API document breaks callers of an older one.

Callers are expected to ignore fields, to bear values of enumerations and variants of answers that they do not know
when a discriminator tells them apart, and to send what the older document allowed. An operation may go when its
announced sunset is over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

Schema = Mapping[str, Any]

_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_UNIONS: Final = ("anyOf", "oneOf")


def breaking_changes(old: Schema, new: Schema, today: date) -> list[str]:
    """A sentence for each, with the operation and the place in it; empty when callers notice nothing."""
    return sorted({f"{where}: {what}" for where, what in _operations(old, new, today)})


def _operations(old: Schema, new: Schema, today: date) -> Iterator[tuple[str, str]]:
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            name = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                if not ("x-sunset" in before and date.fromisoformat(before["x-sunset"]) <= today):
                    yield name, "is gone"
                continue
            for key, what in (("operationId", "has another operationId"), ("security", "asks for another credential")):
                if before.get(key) != after.get(key):
                    yield name, what
            if after.get("x-required-scope") not in (None, before.get("x-required-scope")):
                yield name, f"needs the permission {after['x-required-scope']}"
            yield from _parameters(name, before, after, _Pair(old, new, asked=True))
            yield from _request(name, before, after, _Pair(old, new, asked=True))
            yield from _answers(name, before, after, _Pair(old, new, asked=False))


def _parameters(name: str, before: Schema, after: Schema, pair: "_Pair") -> Iterator[tuple[str, str]]:
    def by_place(operation: Schema) -> dict[tuple[str, str], Schema]:
        return {(each["in"], each["name"]): each for each in operation["parameters"]}

    olds, news = by_place(before), by_place(after)
    for key, parameter in news.items():
        if parameter.get("required") and not olds.get(key, {}).get("required"):
            yield name, f"demands the parameter {key[1]}"
    for key, parameter in olds.items():
        if key not in news:
            yield name, f"takes no parameter {key[1]} any more"
        else:
            yield from pair.compare(parameter["schema"], news[key]["schema"], f"{name} parameter {key[1]}")


def _request(name: str, before: Schema, after: Schema, pair: "_Pair") -> Iterator[tuple[str, str]]:
    old, new = before.get("requestBody"), after.get("requestBody")
    if new is None:
        if old is not None:
            yield name, "takes no body any more"
        return
    if new["required"] and not (old or {}).get("required", False):
        yield name, "demands a body"
    for media_type, content in (old or {}).get("content", {}).items():
        if media_type not in new["content"]:
            yield name, f"takes no {media_type} any more"
        else:
            yield from pair.compare(content["schema"], new["content"][media_type]["schema"], f"{name} request")


def _answers(name: str, before: Schema, after: Schema, pair: "_Pair") -> Iterator[tuple[str, str]]:
    for status, old in before["responses"].items():
        if status >= "400":
            continue  # problems all have one shape, and which there are may change
        new = after["responses"].get(status)
        if new is None:
            yield name, f"does not answer {status} any more"
            continue
        for header in old.get("headers", {}):
            if header not in new.get("headers", {}):
                yield name, f"answers {status} without the header {header}"
        for media_type, content in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                yield name, f"answers no {media_type} any more"
            else:
                place = f"{name} answer {status}"
                yield from pair.compare(content["schema"], new["content"][media_type]["schema"], place)


@dataclass(frozen=True)
class _Variant:
    """A schema without a reference or a union; `model` is what it is called, empty for what has no name."""

    schema: Schema
    model: str = ""


@dataclass
class _Pair:
    """Schemas of two documents; `asked` for what callers send, else for what they get."""

    old: Schema
    new: Schema
    asked: bool
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def compare(self, before: Schema, after: Schema, where: str) -> Iterator[tuple[str, str]]:
        """What of the new schema breaks callers, each with its place."""
        olds, news = _variants(before, self.old), _variants(after, self.new)
        gone, come = sorted(olds.keys() - news.keys()), sorted(news.keys() - olds.keys())
        if len(gone) == len(come) == 1 and _kind(olds[gone[0]].schema) == _kind(news[come[0]].schema):
            # Under another name: a renamed model is the same to callers.
            news[gone[0]], gone, come = news[come[0]], [], []
        told_apart = "discriminator" in before or "discriminator" in after
        if self.asked and gone:
            yield where, f"takes no {', '.join(gone)} any more"
        if not self.asked and come and not told_apart:
            yield where, f"may be {', '.join(come)} now"
        for name in olds.keys() & news.keys():
            models = olds[name].model, news[name].model
            if all(models) and models in self._seen:
                continue  # models may hold each other
            self._seen.add(models)
            yield from self._variant(olds[name].schema, news[name].schema, where)

    def _variant(self, before: Schema, after: Schema, where: str) -> Iterator[tuple[str, str]]:
        if self.asked:
            yield from _narrowed(before, after, where)
        elif "const" in before and before["const"] != after.get("const"):
            yield where, f"is not always {before['const']!r} any more"
        yield from self._fields(before, after, where)
        for key in ("items", "additionalProperties"):
            old, new = before.get(key), after.get(key)
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                yield from self.compare(old, new, f"{where}[]")
        closed = before.get("additionalProperties") is False, after.get("additionalProperties") is False
        if self.asked and closed == (False, True):
            yield where, "takes no other fields any more"

    def _fields(self, before: Schema, after: Schema, where: str) -> Iterator[tuple[str, str]]:
        olds, news = before.get("properties", {}), after.get("properties", {})
        demanded, promised = set(after.get("required", ())), set(before.get("required", ()))
        if self.asked:
            for name in sorted(demanded - promised):
                yield where, f"demands the field {name}"
        else:
            for name in sorted((promised - demanded) & news.keys()):
                yield where, f"may lack the field {name}"
        for name, old in olds.items():
            if name in news:
                yield from self.compare(old, news[name], f"{where}.{name}")
            elif self.asked and isinstance(rest := after.get("additionalProperties", True), bool) and rest:
                continue  # it is ignored
            else:
                yield where, f"has no field {name} any more"


def _narrowed(before: Schema, after: Schema, where: str) -> Iterator[tuple[str, str]]:
    """What the new schema refuses that the old one took."""
    olds, news = _values(before), _values(after)
    if news is not None and (olds is None or not set(map(repr, olds)) <= set(map(repr, news))):
        yield where, f"takes only {', '.join(map(repr, news))}"
    for key in ("pattern", "format"):
        if key in after and after[key] != before.get(key):
            yield where, f"has another {key}"
    for key in _LEAST:
        if key in after and after[key] > before.get(key, float("-inf")):
            yield where, f"{key} is {after[key]}"
    for key in _MOST:
        if key in after and after[key] < before.get(key, float("inf")):
            yield where, f"{key} is {after[key]}"


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _variants(schema: Schema, document: Schema, model: str = "") -> dict[str, _Variant]:
    """What a value can be, by name: that of its model, else its type."""
    while "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][model]
    for union in _UNIONS:
        if union in schema:
            found: dict[str, _Variant] = {}
            for each in schema[union]:
                found |= _variants(each, document)
            return found
    kinds = _kind(schema)
    if isinstance(kinds, list):
        return {kind: _Variant({**schema, "type": kind}) for kind in kinds}
    if model and "properties" in schema:
        return {model: _Variant(schema, model)}
    # Every integer is a number.
    return {"number" if kinds == "integer" else kinds: _Variant(schema)}


def _kind(schema: Schema) -> Any:
    if "type" in schema:
        return schema["type"]
    values = _values(schema)
    if values is not None:
        return {bool: "boolean", str: "string", int: "number", float: "number"}.get(type(values[0]), "null")
    return "object" if "properties" in schema else "anything"
