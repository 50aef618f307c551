"""Requests made from the API document: whatever it describes can be sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker

Document = Mapping[str, Any]

QUERY = {"seconds": "0.05", "row": "name", "column": "score"}
"""Parameters without which an answer would have no end, or no subject."""

# The first one that fits stands for every text that a schema describes.
_TEXTS = (
    *("a-name", "someone@example.com", "https://example.com/hook", "2030-01-01T00:00:00Z", "correct horse battery"),
    *("en", "*", "123456", "+14155550123", "https://example.com", "forms:read"),
)

# Without these the protocol of resumable uploads is not spoken, and nothing would be asked for.
_HEADERS = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Offset": "0", "Upload-Metadata": "field bm90ZXM="}


@dataclass(frozen=True)
class Described:
    """One operation of the document."""

    id: str
    method: str
    path: str
    scope: str | None
    public: bool
    parameters: tuple[str, ...]
    body: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]
    form: bool

    async def send(self, client: httpx.AsyncClient, ids: Mapping[str, str], **options: Any) -> httpx.Response:
        """Send it with these path parameters."""
        path = self.path
        for name in self.parameters:
            path = path.replace(f"{{{name}}}", ids[name])
        options["headers"] = {**self.headers, **options.get("headers", {})}
        options["params"] = {**self.query, **options.get("params", {})}
        if self.form:
            return await client.request(self.method, path, data={"field": "a-name"}, files={"file": b"x"}, **options)
        return await client.request(self.method, path, json=self.body, **options)


def described(document: Document) -> Iterator[Described]:
    """Every operation, with a body that its schema allows."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Described(
                id=operation["operationId"],
                method=method.upper(),
                path=path,
                scope=operation.get("x-required-scope"),
                public=operation["security"] == [],
                parameters=tuple(p["name"] for p in operation["parameters"] if p["in"] == "path"),
                body=_body(operation, document),
                headers=_headers(operation),
                query=_query(operation, document),
                form="multipart/form-data" in _content(operation),
            )


def _content(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    return content


def _query(operation: Mapping[str, Any], document: Document) -> Mapping[str, str]:
    asked = [p for p in operation["parameters"] if p["in"] == "query"]
    required = {p["name"]: str(_value(p["schema"], document)) for p in asked if p.get("required")}
    return required | {p["name"]: QUERY[p["name"]] for p in asked if p["name"] in QUERY}


def _headers(operation: Mapping[str, Any]) -> Mapping[str, str]:
    named = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
    headers = {name: value for name, value in _HEADERS.items() if name in named}
    for kind in set(_content(operation)) - {"application/json", "multipart/form-data"}:
        headers["Content-Type"] = kind
    return headers


def _body(operation: Mapping[str, Any], document: Document) -> Any:
    content = _content(operation).get("application/json")
    if content is None:
        return None
    return content.get("example") or _value(content["schema"], document)


def _value(schema: Mapping[str, Any], document: Document) -> Any:
    if "$ref" in schema:
        return _value(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return _value(schema[word][0], document)
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        return {name: _value(schema["properties"][name], document) for name in required}
    if kind == "array":
        return [_value(schema["items"], document)] * schema.get("minItems", 0)
    if kind == "string":
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        return next(text for text in _TEXTS if validator.is_valid(text))
    return {"integer": schema.get("minimum", 1), "number": 1, "boolean": True}.get(str(kind))
