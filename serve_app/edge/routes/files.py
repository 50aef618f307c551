"""Files of answers: sent as a form, listed, fetched, lent by links."""

import asyncio
from dataclasses import replace

from pydantic import Field

from deployments.files.contracts import CreateLink, FileInfo, FileLink, StoredFile
from deployments.kit.contract import Contract, Page
from serve_app.edge.downloads import READ_HEADERS, download
from serve_app.edge.errors import RequestTimeout
from serve_app.edge.operations import (
    Access,
    Body,
    Exchange,
    Operation,
    PageQuery,
    Reply,
)
from serve_app.edge.uploads import FileReceiver


class FileForm(Contract):
    """The fields of an upload. `field` comes before the file, so that its rules hold from the first byte."""

    field: str = Field(description="Id of the form's field that the file is for. Must come before `file`.")
    file: bytes = Field(description="The file itself.", json_schema_extra={"format": "binary"})


async def send_public_file(x: Exchange) -> Reply:
    return await _send(x, {"slug": x.path["slug"]})


async def send_file(x: Exchange) -> Reply:
    return await _send(x, {"form_id": x.path["form_id"]})


async def _send(x: Exchange, form: dict[str, str]) -> Reply:
    receiver = FileReceiver(x, form)
    try:
        async with asyncio.timeout(x.settings.upload_deadline_s):
            return Reply(await receiver.receive())
    except BaseException as error:
        await asyncio.shield(receiver.forget())
        if isinstance(error, TimeoutError):
            raise RequestTimeout(f"The file did not arrive within {x.settings.upload_deadline_s:g} s.") from None
        raise


async def list_response_files(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.files.list_files(x.principal, x.path["response_id"], query.cursor, query.limit))


async def get_file(x: Exchange) -> Reply:
    return Reply(await x.apis.files.get_file(x.principal, x.path["file_id"]))


async def get_file_content(x: Exchange) -> Reply:
    return download(x, await x.apis.files.open_file(x.principal, x.path["file_id"]))


async def create_file_link(x: Exchange) -> Reply:
    return Reply(await x.apis.files.create_link(x.principal, x.path["file_id"], x.body))


async def follow_link(x: Exchange) -> Reply:
    return download(x, await x.apis.files.open_link(x.principal, x.path["link"]))


_REFUSALS = (403, 404, 408, 413, 415, 422)
_STORED = (
    "Answered when the file is checked: its type is found out from the content and compared with its name, images lose "
    "their metadata, a malware scanner is asked where one is set up. The `id` is what an answer to the field names. A "
    "file that no response has after 24 hours is removed."
)


_SENDING = Operation(
    id="send_file",
    method="POST",
    path="/api/v1/forms/{form_id}/files",
    summary="Send a file for an answer",
    description=_STORED,
    tag="Files",
    scope="responses:write",
    handler=send_file,
    request=FileForm,
    body=Body.STREAM,
    media_type="multipart/form-data",
    max_body="max_upload",
    response=StoredFile,
    status=201,
    errors=_REFUSALS,
)


OPERATIONS = (
    replace(
        _SENDING,
        id="send_public_file",
        path="/api/v1/public/{tenant}/{slug}/files",
        summary="Send a file for an answer as a visitor",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=send_public_file,
    ),
    _SENDING,
    Operation(
        id="list_response_files",
        per_form=True,
        method="GET",
        path="/api/v1/responses/{response_id}/files",
        summary="The files of a response",
        tag="Files",
        scope="responses:read",
        handler=list_response_files,
        query=PageQuery,
        response=Page[FileInfo],
    ),
    Operation(
        id="get_file",
        per_form=True,
        method="GET",
        path="/api/v1/files/{file_id}",
        summary="What is known of a file",
        tag="Files",
        scope="responses:read",
        handler=get_file,
        response=FileInfo,
    ),
    Operation(
        id="get_file_content",
        per_form=True,
        method="GET",
        path="/api/v1/files/{file_id}/content",
        summary="Fetch a file",
        description="Sent to be saved, never to be shown: `Content-Disposition: attachment`. Takes ranges. Each fetch "
        "is in the audit trail.",
        tag="Files",
        scope="responses:read",
        rate="export",
        handler=get_file_content,
        response=bytes,
        response_media_type="application/octet-stream",
        headers=READ_HEADERS,
        errors=(206, 304, 416),
    ),
    Operation(
        id="create_file_link",
        per_form=True,
        method="POST",
        path="/api/v1/files/{file_id}/link",
        summary="Make a link to a file",
        description="Whoever has the link can fetch the file, without a credential, until it expires.",
        tag="Files",
        scope="responses:read",
        handler=create_file_link,
        request=CreateLink,
        response=FileLink,
        status=201,
        example={"expires_in": 900},
    ),
    Operation(
        id="follow_file_link",
        method="GET",
        path="/api/v1/links/{tenant}/{link}",
        summary="Fetch a file by its link",
        tag="Public",
        scope=Access.PUBLIC,
        rate="export",
        handler=follow_link,
        response=bytes,
        response_media_type="application/octet-stream",
        headers=READ_HEADERS,
        errors=(206, 304, 404, 416),
    ),
)
