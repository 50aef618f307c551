"""Models that tenants bring: the archive goes to the object store, a reference to the context."""

import asyncio

import uuid_utils
from pydantic import Field, ValidationError

from deployments.inference.brought_contracts import AppliedModel, ApplyModel, RegisteredModel, RegisterModel
from deployments.kit.contract import Contract
from deployments.kit.errors import Fault, Invalid
from deployments.kit.objects import object_key
from deployments.kit.problems import faults_of
from serve_app.edge.operations import Body, Exchange, Operation, Reply
from serve_app.edge.received import Received, received

_FILE = (
    "A zip or tar archive with `config.json` (with `id2label`), `tokenizer.json` and `model.onnx`, a classifier of "
    "sequences or tokens."
)


class ModelForm(Contract):
    """The fields of an upload; `file` is the archive itself."""

    file: bytes = Field(description=_FILE, json_schema_extra={"format": "binary"})
    name: str = Field(min_length=1, max_length=100)


async def register_model(x: Exchange) -> Reply:
    x.principal.require("ai:write")
    file = object_key(x.principal.tenant_id, "models", uuid_utils.uuid7().hex)
    upload = await received(x, file)
    try:
        model: RegisteredModel = await x.apis.inference.register_model(x.principal, _command(upload, file))
    except BaseException:
        await asyncio.shield(x.objects.delete(file))
        raise
    return Reply(model, headers=(("location", f"/api/v1/ai/models/{model.id}"),))


def _command(upload: Received, file: str) -> RegisterModel:
    form = upload.form
    faults = list(form.faults)
    faults += [
        Fault(f"/{name}", "unknown_property", "The form has no such field.")
        for name in sorted(form.fields.keys() - {"name"})
    ]
    if form.file_name is None:
        faults.append(Fault("/file", "required", "The file is missing."))
    elif not upload.size:
        faults.append(Fault("/file", "length.min", "The file is empty."))
    values = {"name": form.fields["name"]} if "name" in form.fields else {}
    try:
        command = RegisterModel.model_validate({**values, "file": file, "size": upload.size, "sha256": upload.sha256})
    except ValidationError as error:
        raise Invalid(faults=(*faults, *faults_of(error))) from None
    if faults:
        raise Invalid(faults=tuple(faults))
    return command


async def get_model(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.get_model(x.principal, x.path["model_id"]))


async def delete_model(x: Exchange) -> Reply:
    await x.apis.inference.delete_model(x.principal, x.path["model_id"])
    return Reply(None)


async def apply_model(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.apply_model(x.principal, x.path["model_id"], x.body))


OPERATIONS = (
    Operation(
        id="register_model",
        method="POST",
        path="/api/v1/ai/models",
        summary="Bring a model of your own",
        description="It is checked by a job, in a confined process, before it may serve; its `state` tells. "
        "Only operators of the ONNX standard are taken, without loops and without data in other files.",
        tag="ai",
        scope="ai:write",
        rate="import",
        handler=register_model,
        request=ModelForm,
        body=Body.STREAM,
        media_type="multipart/form-data",
        max_body="max_upload",
        response=RegisteredModel,
        status=202,
        errors=(409,),
    ),
    Operation(
        id="get_model",
        method="GET",
        path="/api/v1/ai/models/{model_id}",
        summary="A model that the tenant brought.",
        tag="ai",
        scope="ai:use",
        handler=get_model,
        response=RegisteredModel,
    ),
    Operation(
        id="delete_model",
        method="DELETE",
        path="/api/v1/ai/models/{model_id}",
        summary="Forget a model that the tenant brought.",
        tag="ai",
        scope="ai:write",
        handler=delete_model,
        status=204,
    ),
    Operation(
        id="apply_model",
        method="POST",
        path="/api/v1/ai/models/{model_id}/apply",
        summary="What a model that the tenant brought says of texts.",
        tag="ai",
        scope="ai:use",
        handler=apply_model,
        request=ApplyModel,
        response=AppliedModel,
        max_body="max_form_body",
        errors=(409, 503),
        example={"texts": ["Where is my order?"]},
    ),
)
