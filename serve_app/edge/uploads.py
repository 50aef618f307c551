"""A file sent as a form, from the connection to the object store."""

from contextlib import AsyncExitStack, suppress

import uuid_utils

from deployments.files.contracts import AppendPart, BeginUpload, StoredFile, Upload
from deployments.files.errors import EmptyFile, FileTooLarge
from deployments.kit.errors import DomainError, Fault, Invalid
from deployments.kit.objects import Writer
from deployments.kit.quotas import StorageQuotaReached
from serve_app.edge.multipart import Form, read_form
from serve_app.edge.operations import Exchange
from serve_app.edge.parsing import pieces_of, stream_of

NAME_LENGTH = 1_000
FIELD_LENGTH = 200
_WHOLE = 1 << 16


class FileReceiver:
    """One upload as a form. A file that is whole before it is let in is let in by its exact size, a larger one by an
    upper bound."""

    def __init__(self, x: Exchange, target: dict[str, str]) -> None:
        self._x = x
        self._target = target
        self._form = Form()
        self._waiting = bytearray()
        self._upload: Upload | None = None
        self._writer: Writer | None = None
        self._object = ""
        self._size = 0
        self._is_short = False

    async def receive(self) -> StoredFile:
        """The file, examined and kept. Whatever it raises, `forget` comes next."""
        x = self._x
        async with AsyncExitStack() as stack:

            async def sink(content: bytes) -> None:
                self._waiting += content
                if self._upload is None and len(self._waiting) > _WHOLE:
                    await self._begin(stack, self._bound(), at_most=True)
                if self._upload is not None:
                    await self._write()

            pieces = pieces_of(x.request, x.settings.max_upload)
            await read_form(x.header("content-type") or "", pieces, "file", sink, self._form)
            self._require(self._faults())
            if self._upload is None:
                await self._begin(stack, len(self._waiting), at_most=False)
                await self._write()
        part = AppendPart(start=0, size=self._size, object=self._object, is_last=True)
        if self._upload is None:
            raise RuntimeError("the upload did not begin")
        kept = await x.apis.files.append_part(x.principal, self._upload.upload_id, part)
        if kept.file is None:
            raise RuntimeError("the upload ended without a file")
        return kept.file

    async def forget(self) -> None:
        """Leave nothing of the upload."""
        if self._upload is not None:
            with suppress(DomainError):  # refused and gone already; the rest is swept up
                await self._x.apis.files.cancel_upload(self._x.principal, self._upload.upload_id, self._is_short)

    def _bound(self) -> int:
        stream = stream_of(self._x.request)
        if stream is None or str(stream.request_body) == "chunked":
            return self._x.settings.max_upload
        return len(self._waiting) + (stream.request_bytes_left or 0)

    async def _begin(self, stack: AsyncExitStack, size: int, *, at_most: bool) -> None:
        self._require(self._faults())
        command = BeginUpload(
            slug=self._target.get("slug"),
            form_id=self._target.get("form_id"),
            field=self._form.fields["field"],
            name=(self._form.file_name or "")[-NAME_LENGTH:],
            size=size,
            at_most=at_most,
        )
        self._upload = await self._x.apis.files.begin_upload(self._x.principal, command)
        self._object = new_part(self._upload)
        self._writer = await stack.enter_async_context(self._x.objects.writer(self._object))

    async def _write(self) -> None:
        content, self._waiting = bytes(self._waiting), bytearray()
        self._size += len(content)
        if self._upload is None or self._writer is None:
            raise RuntimeError("the upload did not begin")
        if self._size > self._upload.size:
            self._is_short = self._upload.is_short_of_quota
            if self._is_short:
                raise StorageQuotaReached
            raise FileTooLarge(f"The file may have at most {self._upload.size} bytes.")
        await self._writer.write(content)

    def _faults(self) -> list[Fault]:
        form = self._form
        faults = list(form.faults)
        if "field" not in form.fields:
            faults.append(Fault("/field", "required", "The field is missing, or comes after the file."))
        elif len(form.fields["field"]) > FIELD_LENGTH:
            faults.append(Fault("/field", "length.max", "No field has such a long id."))
        unknown = sorted(form.fields.keys() - {"field"})
        faults += [Fault(f"/{name}", "unknown_property", "The form has no such field.") for name in unknown]
        if form.file_name is None:
            faults.append(Fault("/file", "required", "The file is missing."))
        elif not self._waiting and not self._size:
            faults.append(Fault("/file", EmptyFile.code, EmptyFile.title))
        return faults

    @staticmethod
    def _require(faults: list[Fault]) -> None:
        if faults:
            raise Invalid(faults=tuple(faults))


def new_part(upload: Upload) -> str:
    """The key for a new piece of an upload."""
    # A name of its own for each attempt: two that write the same piece must not write into one object.
    return f"{upload.folder}/{uuid_utils.uuid7().hex}"
