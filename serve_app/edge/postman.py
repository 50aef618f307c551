"""The API document as a collection for Postman and whatever reads its files (Collection Format 2.1)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

_SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_DEEPEST: Final = 6
_PLACEHOLDERS: Final[Mapping[str, Any]] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """A folder for each tag; `base_url`, `token` and `tenant` are variables of the collection.

    A body is the operation's example, else what its schema demands, to be filled in.
    """
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for method, path, operation in operations(document):
        folders[operation["tags"][0]].append(_item(method, path, operation, document))
    info = document["info"]
    return {
        "info": {
            "name": info["title"],
            "description": info["description"],
            "version": info["version"],
            "schema": _SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8000"},
            {"key": "token", "value": ""},
            {"key": "tenant", "value": ""},
        ],
        "item": [{"name": name, "item": items} for name, items in folders.items() if items],
    }


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each as (method, path, description)."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _item(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": method,
        "description": operation["description"],
        "header": [
            _optional(parameter, "{{tenant}}" if parameter["name"] == "X-Tenant-ID" else "")
            for parameter in operation["parameters"]
            if parameter["in"] == "header"
        ],
        "url": _url(path, operation),
    }
    if not operation["security"]:
        request["auth"] = {"type": "noauth"}
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, described in content.items():
        request["header"].append({"key": "Content-Type", "value": media_type})
        request["body"] = _body(media_type, described, document)
    return {"name": operation["summary"], "request": request}


def _url(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    # A colon begins a variable only at the beginning of a segment, so `{id}.csv` is one of the collection instead.
    segments = [
        re.sub(r"^\{(\w+)\}$", r":\1", part) if _PARAMETER.fullmatch(part) else _PARAMETER.sub(r"{{\1}}", part)
        for part in path.strip("/").split("/")
    ]
    query = [_optional(each, "") for each in operation["parameters"] if each["in"] == "query"]
    return {
        "raw": f"{{{{base_url}}}}/{'/'.join(segments)}",
        "host": ["{{base_url}}"],
        "path": segments,
        "query": query,
        "variable": [
            {"key": part[1:], "value": "{{tenant}}" if part == ":tenant" else ""}
            for part in segments
            if part.startswith(":")
        ],
    }


def _optional(parameter: Mapping[str, Any], value: str) -> dict[str, Any]:
    return {
        "key": parameter["name"],
        "value": value,
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }


def _body(media_type: str, described: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    if media_type == "multipart/form-data":
        properties = described["schema"].get("properties", {})
        fields = [
            {"key": name, "type": "file" if schema.get("format") == "binary" else "text"}
            for name, schema in properties.items()
        ]
        return {"mode": "formdata", "formdata": fields}
    if not media_type.endswith("json"):
        return {"mode": "file"}
    example = described.get("example", _skeleton(described["schema"], document, 0))
    text = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
    return {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}


def _skeleton(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> Any:
    """The least that a schema takes, as far as its types say."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _skeleton(schema[key][0], document, depth)
    kind = schema.get("type", "object")
    if kind == "array":
        return [_skeleton(schema["items"], document, depth + 1)] if schema.get("minItems") else []
    if kind != "object":
        return _PLACEHOLDERS[kind]
    wanted = schema.get("required", ()) if depth < _DEEPEST else ()
    return {name: _skeleton(schema["properties"][name], document, depth + 1) for name in wanted}
