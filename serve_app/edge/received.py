"""A form whose file goes to the object store as it comes; what is made of it gets a reference."""

import asyncio
import hashlib
from dataclasses import dataclass

from serve_app.edge.errors import RequestTimeout
from serve_app.edge.multipart import Form, read_form
from serve_app.edge.operations import Exchange
from serve_app.edge.parsing import pieces_of


@dataclass(frozen=True, slots=True)
class Received:
    """The form; the size of its file in bytes, and its checksum in hexadecimal digits."""

    form: Form
    size: int
    sha256: str


async def received(x: Exchange, key: str, *, most_files: int = 1) -> Received:
    """The form of the request, its file in the object store under `key`; several reach it as one.

    Raises RequestTimeout, PayloadTooLarge and what `read_form` raises, and then there is no object.
    """
    digest = hashlib.sha256()
    size = 0
    try:
        async with asyncio.timeout(x.settings.upload_deadline_s), x.objects.writer(key) as writer:

            async def sink(content: bytes) -> None:
                nonlocal size
                size += len(content)
                digest.update(content)
                await writer.write(content)

            pieces = pieces_of(x.request, x.settings.max_upload)
            form = await read_form(x.header("content-type") or "", pieces, "file", sink, most_files=most_files)
    except TimeoutError:
        raise RequestTimeout(f"The file did not arrive within {x.settings.upload_deadline_s:g} s.") from None
    return Received(form, size, digest.hexdigest())
