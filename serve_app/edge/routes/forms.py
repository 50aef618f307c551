"""Defining, publishing and showing forms."""

from functools import cache
from hashlib import sha256
from typing import Any

import orjson
from pydantic import Field

from deployments.forms.contracts import (
    CreateForm,
    DefinitionDiff,
    DefinitionReport,
    DuplicateForm,
    Form,
    FormDraft,
    FormSummary,
    FormVersion,
    ListForms,
    OrderedPurge,
    PublishedForm,
    PublishForm,
    RestoreForm,
    UpdateForm,
    ValidateDefinition,
)
from deployments.inference.generate_contracts import GeneratedForm, GenerateForm
from deployments.kit.contract import Contract, Page
from deployments.kit.engine import definition_schema
from deployments.kit.errors import NotFound
from serve_app.edge.localised import LocalisedForms
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


class DiffQuery(Contract):
    """What to compare with."""

    base: int | None = Field(
        default=None, alias="from", ge=1, le=2**31 - 1, description="The older version, if not the one before."
    )


class LanguageQuery(Contract):
    """In which language."""

    lang: str | None = Field(default=None, max_length=35, description="A language tag (RFC 5646); the best is taken.")


_localised = LocalisedForms()


async def create_form(x: Exchange) -> Reply:
    return made(await x.apis.forms.create(x.principal, x.body))


def made(form: Form) -> Reply:
    """The answer to whoever made a form."""
    return Reply(form, headers=(("location", f"/api/v1/forms/{form.id}"), ("etag", entity_tag(form.revision))))


async def list_forms(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.list_forms(x.principal, x.query))


async def get_form(x: Exchange) -> Reply:
    return _shown(x, await x.apis.forms.get(x.principal, x.path["form_id"]))


def _shown(x: Exchange, form: Form | FormDraft) -> Reply:
    headers = (("etag", entity_tag(form.revision)), ("cache-control", "private, no-cache"))
    if matches(x.header("if-none-match"), entity_tag(form.revision)):
        return Reply(status=304, headers=headers)
    return Reply(form, headers=headers)


async def update_form(x: Exchange) -> Reply:
    command: UpdateForm = x.body
    revision = revision_of(x.header("if-match"))
    if revision is not None:
        command = command.model_copy(update={"if_match": revision})
    return _changed(await x.apis.forms.update(x.principal, x.path["form_id"], command))


def _changed(form: Form) -> Reply:
    return Reply(form, headers=(("etag", entity_tag(form.revision)),))


async def delete_form(x: Exchange) -> Reply:
    await x.apis.forms.delete(x.principal, x.path["form_id"])
    return Reply()


async def get_draft(x: Exchange) -> Reply:
    return _shown(x, await x.apis.forms.get_draft(x.principal, x.path["form_id"]))


async def discard_draft(x: Exchange) -> Reply:
    revision = revision_of(x.header("if-match"))
    return _changed(await x.apis.forms.discard_draft(x.principal, x.path["form_id"], revision))


async def diff_draft(x: Exchange) -> Reply:
    query: DiffQuery = x.query
    return Reply(await x.apis.forms.diff_draft(x.principal, x.path["form_id"], query.base))


async def publish_form(x: Exchange) -> Reply:
    command: PublishForm = x.body
    revision = revision_of(x.header("if-match"))
    if revision is not None:
        command = command.model_copy(update={"if_match": revision})
    return Reply(await x.apis.forms.publish(x.principal, x.path["form_id"], command))


async def list_versions(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.forms.list_versions(x.principal, x.path["form_id"], query.cursor, query.limit))


async def get_version(x: Exchange) -> Reply:
    number = _number(x)
    return Reply(await x.apis.forms.get_version(x.principal, x.path["form_id"], number))


async def diff_version(x: Exchange) -> Reply:
    query: DiffQuery = x.query
    number = _number(x)
    return Reply(await x.apis.forms.diff_version(x.principal, x.path["form_id"], number, query.base))


def _number(x: Exchange) -> int:
    number = x.path["version"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound
    return int(number)


async def duplicate_form(x: Exchange) -> Reply:
    return made(await x.apis.forms.duplicate(x.principal, x.path["form_id"], x.body))


async def archive_form(x: Exchange) -> Reply:
    return _changed(await x.apis.forms.archive(x.principal, x.path["form_id"]))


async def restore_form(x: Exchange) -> Reply:
    return _changed(await x.apis.forms.restore(x.principal, x.path["form_id"], x.body))


async def purge_form(x: Exchange) -> Reply:
    job = await x.apis.forms.purge(x.principal, x.path["form_id"])
    return Reply(job, headers=(("location", f"/api/v1/jobs/{job.job_id}"),))


async def validate_definition(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.validate(x.principal, x.body))


async def generate_form(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.generate_form(x.principal, x.body))


async def get_definition_schema(x: Exchange) -> Reply:
    content, tag = _definition_schema()
    headers = (("etag", tag), ("cache-control", "public, max-age=3600"))
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    return Reply(content, headers=headers, media_type=_SCHEMA_TYPE)


@cache
def _definition_schema() -> tuple[bytes, str]:
    content = orjson.dumps(definition_schema())
    return content, f'"{sha256(content).hexdigest()[:32]}"'


async def get_public_form(x: Exchange) -> Reply:
    query: LanguageQuery = x.query
    published = await x.apis.forms.get_published(x.principal, x.path["slug"])
    if published.open:
        x.apis.views.count(x.request, x.principal.tenant_id, published.id)
    form, language = _localised.in_language(published, query.lang, x.header("accept-language"))
    # Settings change without a new version, and whether the form is open without anybody.
    tag = entity_tag(form.version, sha256(form.model_dump_json().encode()).hexdigest()[:16])
    caching = (("etag", tag), ("cache-control", "public, no-cache"))
    headers = (*caching, ("content-language", language), ("vary", "Accept-Language"))
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
        query=ListForms,
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
        headers=(IF_NONE_MATCH,),
        errors=(304,),
    ),
    Operation(
        id="update_form",
        method="PATCH",
        path="/api/v1/forms/{form_id}",
        summary="Change a form",
        description="Settings are merged key by key and hold at once; a definition replaces the draft. Links with a "
        "former slug go on leading to the form until another form takes it.",
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
        summary="Move a form to the trash",
        description="For 30 days it can be restored; then it is deleted for good with its responses and files. "
        "Its slug is free at once.",
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
        description="An unchanged draft is no new version. An archived form takes answers again.",
        tag="Forms",
        scope="forms:write",
        handler=publish_form,
        request=PublishForm,
        optional_body=True,
        response=FormVersion,
        headers=(IF_MATCH,),
        errors=(409, 412, 422),
    ),
    Operation(
        id="get_form_draft",
        method="GET",
        path="/api/v1/forms/{form_id}/draft",
        summary="The draft of a form",
        tag="Forms",
        scope="forms:read",
        handler=get_draft,
        response=FormDraft,
        headers=(IF_NONE_MATCH,),
        errors=(304,),
    ),
    Operation(
        id="discard_form_draft",
        method="DELETE",
        path="/api/v1/forms/{form_id}/draft",
        summary="Go back to the published version",
        description="The draft's definition and title become those of the published version.",
        tag="Forms",
        scope="forms:write",
        handler=discard_draft,
        response=Form,
        headers=(IF_MATCH,),
        errors=(409, 412, 422),
    ),
    Operation(
        id="diff_form_draft",
        method="GET",
        path="/api/v1/forms/{form_id}/draft/diff",
        summary="What the draft changes",
        description="Compared with the published version, or with the version `from`.",
        tag="Forms",
        scope="forms:read",
        handler=diff_draft,
        query=DiffQuery,
        response=DefinitionDiff,
    ),
    Operation(
        id="duplicate_form",
        method="POST",
        path="/api/v1/forms/{form_id}/duplicate",
        summary="Copy a form",
        description="The copy is a draft with the same definition and settings.",
        tag="Forms",
        scope="forms:write",
        handler=duplicate_form,
        request=DuplicateForm,
        response=Form,
        status=201,
        errors=(409,),
    ),
    Operation(
        id="archive_form",
        method="POST",
        path="/api/v1/forms/{form_id}/archive",
        summary="Archive a form",
        description="It takes no more answers, and those it has stay readable.",
        tag="Forms",
        scope="forms:write",
        handler=archive_form,
        response=Form,
    ),
    Operation(
        id="restore_form",
        method="POST",
        path="/api/v1/forms/{form_id}/restore",
        summary="Bring a form back from the trash or the archive",
        description="From the trash it comes as it was when it went there. 409 `form.slug_taken` when another form has "
        "its slug by now: then give it another one.",
        tag="Forms",
        scope="forms:write",
        handler=restore_form,
        request=RestoreForm,
        optional_body=True,
        response=Form,
        errors=(409,),
    ),
    Operation(
        id="purge_form",
        method="POST",
        path="/api/v1/forms/{form_id}/purge",
        summary="Delete a form in the trash for good",
        description="A job deletes it with its responses, files and events. Nothing brings it back from now on.",
        tag="Forms",
        scope="tenant:own",
        handler=purge_form,
        response=OrderedPurge,
        status=202,
        errors=(409,),
    ),
    Operation(
        id="list_form_versions",
        method="GET",
        path="/api/v1/forms/{form_id}/versions",
        summary="The published versions of a form",
        tag="Forms",
        scope="forms:read",
        handler=list_versions,
        query=PageQuery,
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
        id="diff_form_version",
        method="GET",
        path="/api/v1/forms/{form_id}/versions/{version}/diff",
        summary="What a version changed",
        description="Compared with the version before, or with the version `from`. Pointers lead into the newer one.",
        tag="Forms",
        scope="forms:read",
        handler=diff_version,
        query=DiffQuery,
        response=DefinitionDiff,
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
        id="generate_form",
        method="POST",
        path="/api/v1/forms/generate",
        summary="Draft a definition from a prompt, without storing it",
        description="A list of questions, a sentence that names them, or only what the form is about. The definition "
        "is valid; `notes` say what was assumed and what could not be done. Needs the feature `ai_generation`.",
        tag="Forms",
        scope="forms:write",
        handler=generate_form,
        request=GenerateForm,
        max_body="max_form_body",
        response=GeneratedForm,
        errors=(503,),
        example={"prompt": "A feedback form that asks for name, email (required) and a rating from 1 to 5"},
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
        description="In the language that `lang` or `Accept-Language` asks for, with no translations left in the "
        "definition; without either as it was written, with all of them. `Content-Language` tells which one it is.",
        tag="Public",
        scope=Access.PUBLIC,
        handler=get_public_form,
        query=LanguageQuery,
        response=PublishedForm,
        headers=(IF_NONE_MATCH,),
        errors=(304, 404),
    ),
)
