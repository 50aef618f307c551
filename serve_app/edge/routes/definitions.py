"""Definitions as files, in Formstream's own format and in those of other systems."""

from typing import Any

from pydantic import Field

from deployments.imports.contracts import DefinitionFile, DefinitionFormat, WriteDefinition
from deployments.kit.contract import Contract
from serve_app.edge.operations import Exchange, Operation, Reply


class DefinitionQuery(Contract):
    """Which definition, and as what."""

    format: DefinitionFormat = Field(default="formstream_json", description="What the file is for.")
    version: int | None = Field(default=None, ge=1, le=999_999_999, description="A published version; else the draft.")


async def export_definition(x: Exchange) -> Reply:
    query: DefinitionQuery = x.query
    form_id = x.path["form_id"]
    form = await x.apis.forms.get(x.principal, form_id)
    title, definition = form.title, form.definition
    if query.version is not None:
        version = await x.apis.forms.get_version(x.principal, form_id, query.version)
        title, definition = version.title, version.definition
    command = WriteDefinition(
        form_id=form_id,
        slug=form.slug,
        title=title,
        version=query.version,
        definition=definition,
        format=query.format,
    )
    file: DefinitionFile = await x.apis.imports.write_definition(x.principal, command)
    return Reply(
        file.content,
        media_type=file.media_type,
        headers=(
            ("content-disposition", f'attachment; filename="{file.file_name}"'),
            ("x-formstream-warnings", str(file.warnings)),
        ),
    )


OPERATIONS = (
    Operation(
        id="export_definition",
        method="GET",
        path="/api/v1/forms/{form_id}/definition",
        summary="A form's definition as a file",
        description=(
            "In Formstream's own JSON, as an XLSForm or as SurveyJS JSON. What the format cannot say is listed in the "
            "file, and counted in `X-Formstream-Warnings`."
        ),
        tag="Forms",
        scope="forms:read",
        handler=export_definition,
        query=DefinitionQuery,
        response=Any,
        response_media_type="*/*",
    ),
)
