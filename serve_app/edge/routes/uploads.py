"""Files of answers, sent in pieces that survive a broken connection: tus 1.0 (https://tus.io/protocols).

With its extensions creation, expiration, checksum and termination.
"""

import asyncio
import base64
import hashlib
import re
from contextlib import suppress
from datetime import datetime
from email.utils import format_datetime

from deployments.files.contracts import AppendPart, BeginUpload, StoredFile, Upload
from deployments.files.errors import UploadConflict, UploadNotFound
from deployments.identity.contracts import RouteClass
from deployments.kit.contract import Contract
from deployments.kit.errors import BadRequest, DomainError, Fault, Invalid, PreconditionFailed, UnsupportedMediaType
from serve_app.edge.errors import RequestTimeout
from serve_app.edge.operations import Access, Body, Exchange, HeaderParameter, Headers, Operation, Reply
from serve_app.edge.parsing import pieces_of
from serve_app.edge.uploads import FIELD_LENGTH, NAME_LENGTH, new_part

_PART = 4 << 20
_NUMBER = re.compile(r"\d{1,18}")
_VERSION = "1.0.0"
_CHECKSUMS = ("sha1", "sha256", "md5")


class CreatedUpload(Contract):
    """An upload that can begin. `file_id` is what an answer names once the upload is complete."""

    file_id: str
    upload_url: str
    offset: int
    size: int
    expires_at: datetime


class UploadStatus(Contract):
    """How far an upload is. `file` is there when it is complete."""

    file_id: str
    offset: int
    size: int
    expires_at: datetime
    file: StoredFile | None


class ChecksumMismatch(DomainError):
    """The piece is not what its checksum says; it was thrown away."""

    status, code, title = 460, "upload.checksum", "The piece does not match its checksum"


class WrongTusVersion(PreconditionFailed):
    code, title = "upload.version", "This server speaks version 1.0.0 of the tus protocol"


async def create_public_upload(x: Exchange) -> Reply:
    return await _create(x, {"slug": x.path["slug"]}, f"/api/v1/public/{x.path['tenant']}/{x.path['slug']}/uploads")


async def create_upload(x: Exchange) -> Reply:
    return await _create(x, {"form_id": x.path["form_id"]}, f"/api/v1/forms/{x.path['form_id']}/uploads")


async def _create(x: Exchange, target: dict[str, str], address: str) -> Reply:
    _require_version(x)
    length = x.header("upload-length") or ""
    faults = []
    if not _NUMBER.fullmatch(length) or not int(length):
        faults.append(Fault("", "upload.length", "Upload-Length must be the size of the file in bytes."))
    metadata = _metadata(x.header("upload-metadata") or "", faults)
    if not 0 < len(metadata.get("field", "")) <= FIELD_LENGTH:
        faults.append(Fault("/field", "required", "Upload-Metadata must name the form's field as `field`."))
    if faults:
        raise Invalid(faults=tuple(faults))
    name = metadata.get("filename", "")[-NAME_LENGTH:]
    command = BeginUpload(
        slug=target.get("slug"), form_id=target.get("form_id"), field=metadata["field"], name=name, size=int(length)
    )
    upload = await x.apis.files.begin_upload(x.principal, command)
    url = f"{address}/{upload.upload_id}"
    created = CreatedUpload(
        file_id=upload.id, upload_url=url, offset=upload.offset, size=upload.size, expires_at=upload.expires_at
    )
    return Reply(created, headers=(("location", url), *_headers(upload)))


async def get_upload(x: Exchange) -> Reply:
    upload = await _found(x)
    status = UploadStatus(
        file_id=upload.id, offset=upload.offset, size=upload.size, expires_at=upload.expires_at, file=upload.file
    )
    return Reply(
        status, headers=(*_headers(upload), ("upload-length", str(upload.size)), ("cache-control", "no-store"))
    )


async def append_to_upload(x: Exchange) -> Reply:
    _require_version(x)
    if (x.header("content-type") or "").partition(";")[0].strip().lower() != "application/offset+octet-stream":
        raise UnsupportedMediaType("The body must be application/offset+octet-stream.")
    offset = x.header("upload-offset") or ""
    if not _NUMBER.fullmatch(offset):
        raise Invalid.at("", "upload.offset", "Upload-Offset must be a number of bytes.")
    checksum = _checksum(x.header("upload-checksum"))
    upload = await _found(x)
    if upload.file is None and upload.offset != int(offset):
        raise UploadConflict(f"The upload stands at {upload.offset} of {upload.size} bytes.")
    if upload.file is None:
        try:
            async with asyncio.timeout(x.settings.upload_deadline_s):
                upload = await _Appender(x, upload, checksum).append()
        except TimeoutError:
            raise RequestTimeout(f"The piece did not arrive within {x.settings.upload_deadline_s:g} s.") from None
    return Reply(headers=_headers(upload))


async def cancel_upload(x: Exchange) -> Reply:
    await _found(x)
    await x.apis.files.cancel_upload(x.principal, x.path["upload_id"], False)
    return Reply(headers=(("tus-resumable", _VERSION),))


async def _found(x: Exchange) -> Upload:
    """The upload of the address. Raises UploadNotFound, also when it is for another form than the address says."""
    upload = await x.apis.files.find_upload(x.principal, x.path["upload_id"])
    if x.path.get("form_id", upload.form_id) != upload.form_id:
        raise UploadNotFound
    return upload


class _Appender:
    """Takes the body of one PATCH. What has come stays when the connection breaks, unless a checksum covers it."""

    def __init__(self, x: Exchange, upload: Upload, checksum: tuple[str, bytes] | None) -> None:
        self._x = x
        self._upload = upload
        self._expected = checksum
        self._digest = hashlib.new(checksum[0], usedforsecurity=False) if checksum is not None else None
        self._buffer = bytearray()
        self._offset = upload.offset
        self._unproved: list[AppendPart] = []

    async def append(self) -> Upload:
        """How far the upload is now. Raises ChecksumMismatch, UploadConflict, what examining the file raises."""
        upload = self._upload
        try:
            async for piece in pieces_of(self._x.request, upload.size - upload.offset):
                if self._digest is not None:
                    self._digest.update(piece)
                self._buffer += piece
                if len(self._buffer) >= _PART:
                    await self._put()
            await self._put()
            if self._digest is not None and self._expected is not None:
                if self._digest.digest() != self._expected[1]:
                    raise ChecksumMismatch
                for part in self._unproved:
                    await self._take(part)
                self._unproved = []
        except BaseException:
            await asyncio.shield(self._rescue())
            raise
        return self._upload

    async def _put(self) -> None:
        if not self._buffer:
            return
        content, self._buffer = bytes(self._buffer), bytearray()
        part = AppendPart(start=self._offset, size=len(content), object=new_part(self._upload))
        await self._x.objects.put(part.object, content)
        self._offset += part.size
        if self._digest is None:
            await self._take(part)
        else:
            self._unproved.append(part)

    async def _take(self, part: AppendPart) -> None:
        self._upload = await self._x.apis.files.append_part(self._x.principal, self._upload.upload_id, part)

    async def _rescue(self) -> None:
        for part in self._unproved:
            await self._x.objects.delete(part.object)
        if self._digest is None:
            with suppress(DomainError):
                await self._put()


def _require_version(x: Exchange) -> None:
    if x.header("tus-resumable") not in (None, _VERSION):
        raise WrongTusVersion


def _headers(upload: Upload) -> Headers:
    return (
        ("tus-resumable", _VERSION),
        ("upload-offset", str(upload.offset)),
        ("upload-expires", format_datetime(upload.expires_at, usegmt=True)),
    )


def _metadata(header: str, faults: list[Fault]) -> dict[str, str]:
    """The pairs of Upload-Metadata: a name, and a value in base64."""
    found: dict[str, str] = {}
    for pair in header.split(",") if header else ():
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode("utf-8").replace("\0", "")
        except ValueError:
            faults.append(Fault("", "upload.metadata", "Upload-Metadata must be names with values in base64."))
            return {}
    return found


def _checksum(header: str | None) -> tuple[str, bytes] | None:
    if header is None:
        return None
    algorithm, _, value = header.strip().partition(" ")
    if algorithm not in _CHECKSUMS:
        raise BadRequest.at("", "upload.checksum", f"Upload-Checksum takes {', '.join(_CHECKSUMS)}.")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except ValueError:
        raise BadRequest.at("", "upload.checksum", "Upload-Checksum must have a value in base64.") from None


_TUS_HEADERS = (HeaderParameter("Tus-Resumable", "`1.0.0`, the version of the protocol; 412 for another."),)
_CREATE_HEADERS = (
    *_TUS_HEADERS,
    HeaderParameter("Upload-Length", "Size of the file in bytes.", "^[0-9]{1,18}$"),
    HeaderParameter(
        "Upload-Metadata", "`field` (id of the form's field) and `filename`, each with its value in base64."
    ),
)
_APPEND_HEADERS = (
    *_TUS_HEADERS,
    HeaderParameter("Upload-Offset", "Where the piece begins; 409 unless the upload stands there.", "^[0-9]{1,18}$"),
    HeaderParameter(
        "Upload-Checksum", "`sha1`, `sha256` or `md5` and the piece's checksum in base64; 460 if it differs."
    ),
)


def _upload_operations(kind: str, path: str, tag: str, scope: str | Access) -> tuple[Operation, ...]:
    of_visitor = " as a visitor" if kind else ""
    rate: RouteClass = "submit" if kind else "api"
    return (
        Operation(
            id=f"get_{kind}upload",
            method="GET",
            path=path,
            summary=f"See how far an upload is{of_visitor}",
            description="`HEAD` tells the same in `Upload-Offset` and `Upload-Length`.",
            tag=tag,
            scope=scope,
            handler=get_upload,
            response=UploadStatus,
            errors=(404, 422),
        ),
        Operation(
            id=f"append_to_{kind}upload",
            method="PATCH",
            path=path,
            summary=f"Send a piece of an upload{of_visitor}",
            description="`application/offset+octet-stream`. With the last piece the file is checked, as one that "
            "is sent at once.",
            tag=tag,
            scope=scope,
            rate=rate,
            handler=append_to_upload,
            request=bytes,
            body=Body.STREAM,
            media_type="application/offset+octet-stream",
            max_body="max_upload",
            status=204,
            headers=_APPEND_HEADERS,
            errors=(404, 408, 409, 412, 422, 460),
        ),
        Operation(
            id=f"cancel_{kind}upload",
            method="DELETE",
            path=path,
            summary=f"Take back an upload{of_visitor}",
            description="Also after it is complete, as long as no response has the file.",
            tag=tag,
            scope=scope,
            handler=cancel_upload,
            status=204,
            headers=_TUS_HEADERS,
            errors=(404, 409),
        ),
    )


OPERATIONS = (
    Operation(
        id="create_public_upload",
        method="POST",
        path="/api/v1/public/{tenant}/{slug}/uploads",
        summary="Begin a resumable upload as a visitor",
        description="Resumable uploads follow tus 1.0 with the extensions creation, expiration, checksum and "
        "termination. Who knows the upload's address may go on with it.",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=create_public_upload,
        response=CreatedUpload,
        status=201,
        headers=_CREATE_HEADERS,
        errors=(403, 404, 412, 413, 422),
    ),
    *_upload_operations("public_", "/api/v1/public/{tenant}/{slug}/uploads/{upload_id}", "Public", Access.PUBLIC),
    Operation(
        id="create_upload",
        method="POST",
        path="/api/v1/forms/{form_id}/uploads",
        summary="Begin a resumable upload",
        description="Resumable uploads follow tus 1.0 with the extensions creation, expiration, checksum and "
        "termination.",
        tag="Files",
        scope="responses:write",
        handler=create_upload,
        response=CreatedUpload,
        status=201,
        headers=_CREATE_HEADERS,
        errors=(412, 413, 422),
    ),
    *_upload_operations("", "/api/v1/forms/{form_id}/uploads/{upload_id}", "Files", "responses:write"),
)
