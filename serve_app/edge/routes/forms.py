"""Defining, publishing and showing forms."""

import hashlib
from functools import cache
from typing import Any

import orjson

from deployments.forms.contracts import (
    CreateForm,
    DefinitionReport,
    Form,
    FormSummary,
    FormVersion,
    PublishedForm,
    UpdateForm,
    ValidateDefinition,
)
from deployments.kit.contract import Page
from deployments.kit.engine import definition_schema
from deployments.kit.errors import NotFound
from serve_app.edge.operations import IF_MATCH, IF_NONE_MATCH, Access, Exchange, Operation, PageQuery, Reply
from serve_app.edge.revisions import entity_tag, matches, revision_of

_SCHEMA_TYPE = "application/schema+json"
_EXAMPLE = {
    "slug": "party",
    "title": "Party",
    "definition": {
        "pages": [
            {
                "id": "p1",
                "elements": [
                    {"id": "name", "type": "short_text", "title": "Your name", "required": True},
                    {"id": "email", "type": "email", "title": "E-mail", "required": True},
                ],
            }
        ],
        "languages": ["en"],
    },
}


async def create_form(x: Exchange) -> Reply:
    form = await x.apis.forms.create(x.principal, x.body)
    return Reply(form, headers=(("location", f"/api/v1/forms/{form.id}"), ("etag", entity_tag(form.revision))))


async def list_forms(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.list_forms(x.principal, x.query.cursor, x.query.limit))


async def get_form(x: Exchange) -> Reply:
    form = await x.apis.forms.get(x.principal, x.path["form_id"])
    return Reply(form, headers=(("etag", entity_tag(form.revision)),))


async def update_form(x: Exchange) -> Reply:
    command: UpdateForm = x.body
    revision = revision_of(x.header("if-match"))
    if revision is not None:
        command = command.model_copy(update={"if_match": revision})
    form = await x.apis.forms.update(x.principal, x.path["form_id"], command)
    return Reply(form, headers=(("etag", entity_tag(form.revision)),))


async def delete_form(x: Exchange) -> Reply:
    await x.apis.forms.delete(x.principal, x.path["form_id"])
    return Reply()


async def publish_form(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.publish(x.principal, x.path["form_id"]))


async def list_versions(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.list_versions(x.principal, x.path["form_id"]))


async def get_version(x: Exchange) -> Reply:
    number = x.path["version"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound
    return Reply(await x.apis.forms.get_version(x.principal, x.path["form_id"], int(number)))


async def validate_definition(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.validate(x.principal, x.body))


async def get_definition_schema(x: Exchange) -> Reply:
    content, tag = _definition_schema()
    headers = (("etag", tag), ("cache-control", "public, max-age=3600"))
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    return Reply(content, headers=headers, media_type=_SCHEMA_TYPE)


@cache
def _definition_schema() -> tuple[bytes, str]:
    content = orjson.dumps(definition_schema())
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


async def get_public_form(x: Exchange) -> Reply:
    form = await x.apis.forms.get_published(x.principal, x.path["slug"])
    # Whether the form is open changes without a new version.
    tag = entity_tag(form.version, "open" if form.open else "closed")
    headers = (("etag", tag), ("cache-control", "public, no-cache"))
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    return Reply(form, headers=headers)


OPERATIONS = (
    Operation(
        id="create_form",
        method="POST",
        path="/api/v1/forms",
        summary="Create a form",
        description="The form is a draft until it is published.",
        tag="Forms",
        scope="forms:write",
        handler=create_form,
        request=CreateForm,
        max_body="max_form_body",
        response=Form,
        status=201,
        errors=(409,),
        example=_EXAMPLE,
    ),
    Operation(
        id="list_forms",
        per_form=True,
        method="GET",
        path="/api/v1/forms",
        summary="The tenant's forms",
        tag="Forms",
        scope="forms:read",
        handler=list_forms,
        query=PageQuery,
        response=Page[FormSummary],
    ),
    Operation(
        id="get_form",
        method="GET",
        path="/api/v1/forms/{form_id}",
        summary="A form with its draft",
        tag="Forms",
        scope="forms:read",
        handler=get_form,
        response=Form,
    ),
    Operation(
        id="update_form",
        method="PATCH",
        path="/api/v1/forms/{form_id}",
        summary="Change a form",
        description="Settings are merged key by key and hold at once; a definition replaces the draft.",
        tag="Forms",
        scope="forms:write",
        handler=update_form,
        request=UpdateForm,
        max_body="max_form_body",
        response=Form,
        headers=(IF_MATCH,),
        errors=(409, 412),
    ),
    Operation(
        id="delete_form",
        method="DELETE",
        path="/api/v1/forms/{form_id}",
        summary="Delete a form",
        tag="Forms",
        scope="forms:write",
        handler=delete_form,
        status=204,
    ),
    Operation(
        id="publish_form",
        method="POST",
        path="/api/v1/forms/{form_id}/publish",
        summary="Publish the draft as a new version",
        tag="Forms",
        scope="forms:write",
        handler=publish_form,
        response=FormVersion,
        errors=(409, 422),
    ),
    Operation(
        id="list_form_versions",
        method="GET",
        path="/api/v1/forms/{form_id}/versions",
        summary="The published versions of a form",
        tag="Forms",
        scope="forms:read",
        handler=list_versions,
        response=Page[FormVersion],
    ),
    Operation(
        id="get_form_version",
        method="GET",
        path="/api/v1/forms/{form_id}/versions/{version}",
        summary="A published version of a form",
        tag="Forms",
        scope="forms:read",
        handler=get_version,
        response=FormVersion,
    ),
    Operation(
        id="validate_definition",
        method="POST",
        path="/api/v1/forms/validate",
        summary="Check a definition without storing it",
        tag="Forms",
        scope="forms:read",
        handler=validate_definition,
        request=ValidateDefinition,
        max_body="max_form_body",
        response=DefinitionReport,
        example={"definition": _EXAMPLE["definition"]},
    ),
    Operation(
        id="get_definition_schema",
        method="GET",
        path="/api/v1/forms/definition-schema",
        summary="The JSON Schema of form definitions",
        description="JSON Schema 2020-12. What no schema can say is checked by `POST /api/v1/forms/validate`.",
        tag="Forms",
        scope=Access.PUBLIC,
        handler=get_definition_schema,
        response=dict[str, Any],
        response_media_type=_SCHEMA_TYPE,
        headers=(IF_NONE_MATCH,),
        errors=(304,),
    ),
    Operation(
        id="get_public_form",
        method="GET",
        path="/api/v1/public/{tenant}/{slug}",
        summary="A published form, for visitors",
        tag="Public",
        scope=Access.PUBLIC,
        handler=get_public_form,
        response=PublishedForm,
        headers=(IF_NONE_MATCH,),
        errors=(304, 404),
    ),
)
