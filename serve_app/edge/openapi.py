"""The API document (OpenAPI 3.1), made from the same operations that the server runs."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from deployments.identity.permissions import PERMISSIONS
from serve_app.edge.answer import API_VERSION
from serve_app.edge.deprecation import HEADERS
from serve_app.edge.errors import MEDIA_TYPE
from serve_app.edge.operations import Access, Operation

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_BODY_ERRORS = (400, 413, 415, 422)
# Accepted, but no job that could be watched: that would tell whether there is such an account.
_WITHOUT_PROBLEM = frozenset({206, 304, 416})
_WITHOUT_JOB = frozenset({"request_code", "send_second_factor_code", "put_phone"})
_PATH_DESCRIPTIONS = {"tenant": "Id of the tenant.", "slug": "Name of the form in addresses."}

_DESCRIPTION = """\
Every answer carries `X-Correlation-ID` (taken from the request when it is well-formed) and `X-API-Version`.
Failures are `application/problem+json` (RFC 9457) with a stable `code`; invalid input names every fault at once.
Lists are paged with opaque cursors. `429` and `503` carry `Retry-After`.
"""

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "A failure (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string", "description": "What kind of failure this is."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What happened this time."},
        "instance": {"type": "string", "description": "Path of the request."},
        "code": {"type": "string", "description": "Stable dotted code, for programs."},
        "correlation_id": {"type": "string", "description": "Name it when asking for help."},
        "challenge": {"type": "string", "description": "With `login.second_factor…`: what to go on with."},
        "methods": {"type": "array", "items": {"type": "string"}, "description": "Ways to go on."},
        "channels": {"type": "array", "items": {"type": "string"}, "description": "Where a code can be sent."},
        "expires_in": {"type": "integer", "description": "Life of the challenge in seconds."},
        "errors": {
            "type": "array",
            "description": "Every fault of the input.",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into the input."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "params": {"type": "object", "description": "The bound that is broken: `min` or `max`."},
                },
            },
        },
    },
}

_ANSWER_HEADERS = {
    "X-Correlation-ID": {"$ref": "#/components/headers/CorrelationId"},
    "X-API-Version": {"$ref": "#/components/headers/ApiVersion"},
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of the operations."""
    shown = [operation for operation in operations if operation.documented]
    schemas, definitions = _schemas(shown)
    paths: dict[str, Any] = {}
    for operation in shown:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    for operation in shown:
        links = _links(operation, shown)
        if links:
            paths[operation.path]["post"]["responses"][str(operation.status)]["links"] = links
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Formstream",
            "version": API_VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in shown)],
        "paths": paths,
        "components": {
            "schemas": {**definitions, "Problem": _PROBLEM},
            "headers": {
                "CorrelationId": {"schema": {"type": "string"}, "description": "Id of the request, for support."},
                "ApiVersion": {"schema": {"type": "string"}, "description": "Version of the API."},
            },
            "responses": _problem_responses(shown),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, or an API key (`fsk_…`).",
                }
            },
        },
    }


def _links(operation: Operation, shown: list[Operation]) -> dict[str, Any]:
    """What can be done with what a POST to a list has made: its `id` is the parameter that follows the list's path."""
    model = operation.response
    if operation.method != "POST" or not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    if "id" not in model.model_fields:
        return {}
    made = re.compile(re.escape(operation.path) + r"/\{(\w+)\}(/[^{]*)?")
    found = ((other, made.fullmatch(other.path)) for other in shown)
    own = {name: f"$request.path.{name}" for name in re.findall(r"\{(\w+)\}", operation.path)}
    return {
        other.id: {"operationId": other.id, "parameters": {**own, match[1]: "$response.body#/id"}}
        for other, match in found
        if match is not None
    }


Schemas = dict[tuple[Any, JsonSchemaMode], dict[str, Any]]


def _schemas(operations: list[Operation]) -> tuple[Schemas, dict[str, Any]]:
    """The schema of each model as a reference, and what the references point to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in operations:
        for model, mode in ((operation.request, "validation"), (operation.response, "serialization")):
            if isinstance(model, type) and issubclass(model, BaseModel):
                wanted[model, mode] = None  # type: ignore[index]
    found, definitions = models_json_schema(
        list(wanted), ref_template=_REF, schema_generator=GenerateJsonSchema, by_alias=True
    )
    return dict(found), dict(definitions.get("$defs", {}))


def _schema(model: Any, mode: JsonSchemaMode, schemas: Schemas) -> dict[str, Any]:
    known = schemas.get((model, mode))
    return known if known is not None else TypeAdapter(model).json_schema(mode=mode, ref_template=_REF)


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    public = operation.scope is Access.PUBLIC
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _described(operation),
        "tags": [operation.tag],
        "security": [] if public else [{"bearer": []}],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if isinstance(operation.scope, str):
        described["x-required-scope"] = operation.scope
        described["x-roles"] = sorted(PERMISSIONS[operation.scope].roles)
    if operation.deprecated is not None:
        described |= {"deprecated": True, "x-sunset": operation.deprecated.sunset.isoformat()}
    if operation.request is not None:
        content: dict[str, Any] = {"schema": _schema(operation.request, "validation", schemas)}
        if operation.example is not None:
            content["example"] = operation.example
        described["requestBody"] = {"required": not operation.optional_body, "content": {operation.media_type: content}}
    return described


def _described(operation: Operation) -> str:
    if isinstance(operation.scope, str):
        access = f"Needs the permission `{operation.scope}`."
    else:
        access = f"For {operation.scope.value}."
    return f"{operation.description}\n\n{access}".strip()


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": _PATH_DESCRIPTIONS.get(name, f"The {name.replace('_', ' ')}."),
        }
        for name in _PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        described = operation.query.model_json_schema()
        for name, schema in described["properties"].items():
            description = schema.pop("description", "")
            parameter = {"name": name, "in": "query", "schema": schema, "description": description}
            if name in described.get("required", ()):
                parameter["required"] = True
            if schema.get("type") == "object":
                parameter |= {"style": "deepObject", "explode": True}
            parameters.append(parameter)
    for header in operation.headers:
        schema = {"type": "string", **({"pattern": header.pattern} if header.pattern else {})}
        parameters.append({"name": header.name, "in": "header", "schema": schema, "description": header.description})
    if operation.scope is not Access.PUBLIC:
        parameters.append(
            {
                "name": "X-Tenant-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": "Selects among the tenants that the credential opens.",
            }
        )
    return parameters


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase, "headers": dict(_ANSWER_HEADERS)}
    if operation.response is not None:
        schema = _schema(operation.response, "serialization", schemas)
        success["content"] = {operation.response_media_type: {"schema": schema}}
    if (
        operation.status == 202 and operation.response is not None and operation.id not in _WITHOUT_JOB
    ) or operation.id in ("create_form",):
        success["headers"]["Location"] = {"schema": {"type": "string"}, "description": "Address of what was made."}
    if operation.deprecated is not None:
        success["headers"] |= HEADERS
    if operation.status == 302:
        success["headers"]["Location"] = {"schema": {"type": "string"}, "description": "Where to go on."}
    responses: dict[str, Any] = {str(operation.status): success}
    for status in _errors(operation):
        if status in _WITHOUT_PROBLEM:
            responses[str(status)] = {"description": HTTPStatus(status).phrase}
        else:
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return responses


def _errors(operation: Operation) -> list[int]:
    statuses = set(operation.errors)
    if operation.tag != "Platform":
        # 400 and 431: selectors that contradict each other, a head that is too large.
        statuses |= {400, 429, 431, 503, 504}
    if operation.scope is not Access.PUBLIC:
        # 404: a tenant that the credential does not open.
        statuses |= {401, 403, 404}
    if "{" in operation.path:
        statuses.add(404)
    if operation.request is not None:
        statuses.update(_BODY_ERRORS)
    elif operation.query is not None:
        statuses.add(422)
    return sorted(statuses)


def _problem_responses(operations: list[Operation]) -> dict[str, Any]:
    statuses = sorted({status for operation in operations for status in _errors(operation)} - _WITHOUT_PROBLEM)
    answers: dict[str, Any] = {}
    for status in statuses:
        headers: dict[str, Any] = dict(_ANSWER_HEADERS)
        if status in (429, 503):
            headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        answers[f"Problem{status}"] = {
            "description": _phrase(status),
            "headers": headers,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return answers


def _phrase(status: int) -> str:
    # The tus protocol has a status of its own.
    return "Checksum Mismatch" if status == 460 else HTTPStatus(status).phrase
