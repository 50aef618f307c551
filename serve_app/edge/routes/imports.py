"""Bringing in a file from another system: the file goes to the object store, a reference to the context."""

import asyncio
import re
from typing import Any, get_args

import uuid_utils
from pydantic import Field, TypeAdapter, ValidationError

from deployments.forms.contracts import Slug, Title
from deployments.imports.contracts import ImportFormat, StartedImport, StartImport
from deployments.kit.contract import Contract
from deployments.kit.errors import Fault, Invalid
from deployments.kit.objects import object_key
from deployments.kit.problems import faults_of
from serve_app.edge.operations import IDEMPOTENCY_KEY, Body, Exchange, Operation, Reply
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.received import Received, received

_NAME_LENGTH = 300
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORMATS = ", ".join(f"`{name}`" for name in get_args(ImportFormat))

_TWO_FILES = frozenset({"typeform_json", "surveyjs_json"})
_FILE = "The file to import. May come twice for Typeform and SurveyJS: the definition, and the responses."


class ImportForm(Contract):
    """The fields of an upload; `file` is the file itself."""

    file: bytes = Field(description=_FILE, json_schema_extra={"format": "binary"})
    format: str = Field(
        description=f"What wrote the file: {', '.join(f'`{name}`' for name in get_args(ImportFormat))}."
    )
    slug: Slug
    title: Title
    dry_run: bool = Field(default=False, description="Report what would be done, store nothing.")


_COMMAND: TypeAdapter[StartImport] = TypeAdapter(StartImport)
# Set by us and not by the form's fields.
_OWN_FIELDS = frozenset({"file", "file_name", "size", "sha256", "idempotency_key"})


async def start_import(x: Exchange) -> Reply:
    x.principal.require("responses:write")
    key = idempotency_key(x.request)
    file = object_key(x.principal.tenant_id, "imports", uuid_utils.uuid7().hex)
    upload = await received(x, file, most_files=2)
    try:
        command = _command(upload, {"file": file, "idempotency_key": key})
        started: StartedImport = await x.apis.imports.start(x.principal, command)
    except BaseException:
        await asyncio.shield(x.objects.delete(file))
        raise
    if started.replayed:
        # The first request's file is the one that is imported.
        await x.objects.delete(file)
    return accepted(started, StartedJob(job_id=started.job_id))


class StartedJob(Contract):
    """The job that does the work; its state is at the address in `Location`."""

    job_id: str


def _command(upload: Received, own: dict[str, Any]) -> StartImport:
    form = upload.form
    faults = list(form.faults)
    values: dict[str, Any] = {
        **{name: value for name, value in form.fields.items() if name not in _OWN_FIELDS},
        **own,
        "file_name": _UNPRINTABLE.sub("", form.file_name or "")[-_NAME_LENGTH:],
        "size": upload.size,
        "sha256": upload.sha256,
    }
    foreign = form.fields.keys() & _OWN_FIELDS
    faults += [Fault(f"/{name}", "unknown_property", "The form has no such field.") for name in sorted(foreign)]
    if form.file_name is None:
        faults.append(Fault("/file", "required", "The file is missing."))
    elif not upload.size:
        faults.append(Fault("/file", "length.min", "The file is empty."))
    if form.files > 1 and form.fields.get("format") not in _TWO_FILES:
        faults.append(Fault("/file", "duplicate", "The form may have one file in this format."))
    try:
        command = _COMMAND.validate_python(values)
    except ValidationError as error:
        raise Invalid(faults=(*faults, *faults_of(error))) from None
    if faults:
        raise Invalid(faults=tuple(faults))
    return command


OPERATIONS = (
    Operation(
        id="start_import",
        method="POST",
        path="/api/v1/imports",
        summary="Import a form with its responses from a file",
        description="Needs `responses:write` as well. The work is done by a job, whose address is in `Location`.",
        tag="Imports",
        scope="forms:write",
        rate="import",
        handler=start_import,
        request=ImportForm,
        body=Body.STREAM,
        media_type="multipart/form-data",
        max_body="max_upload",
        response=StartedJob,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        errors=(409,),
    ),
)
