"""Files on a page without scripts: they come with all that was entered, and are kept before the page is shown again."""

import io
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, FormParser, parse_options_header

from deployments.files.contracts import AppendPart, BeginUpload
from deployments.kit.errors import DomainError, Fault, UnsupportedMediaType
from deployments.kit.file_fields import DEFAULT_MAX_SIZE, FILE_TYPES
from serve_app.edge.form_pages.entries import MAX_ENTRIES, Entries, MalformedForm, gathered, pair_of
from serve_app.edge.form_pages.form_page import FormPage
from serve_app.edge.form_pages.texts import Texts
from serve_app.edge.operations import Exchange
from serve_app.edge.parsing import pieces_of
from serve_app.edge.uploads import NAME_LENGTH, new_part

CHOSEN: Final = ".chosen"
"""Ends the name of the control where files for a question are chosen."""

_PIECE: Final = 1 << 20


@asynccontextmanager
async def posted(x: Exchange, page: FormPage) -> AsyncIterator[tuple[Entries, list[File]]]:
    """What was entered and the files that were chosen, which are gone with the block.

    Raises UnsupportedMediaType, MalformedForm, PayloadTooLarge.
    """
    content_type = x.header("content-type") or ""
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType("The body must be multipart/form-data with a boundary.")
    pairs: list[tuple[str, str]] = []
    files: list[File] = []
    with ExitStack() as stack:

        def take(file: File) -> None:
            stack.callback(file.close)
            files.append(file)

        parser = FormParser(
            "multipart/form-data",
            lambda field: pairs.append(pair_of(field)),
            take,
            boundary=options[b"boundary"],
            config={"MAX_FIELDS": MAX_ENTRIES, "MAX_FIELD_SIZE": x.settings.max_body},
        )
        try:
            async for piece in pieces_of(x.request, _most(x, page)):
                parser.write(piece)
            parser.finalize()
        except FormParserError:
            raise MalformedForm from None
        yield gathered(pairs), [file for file in files if file.size and file.file_name]


async def attached(
    x: Exchange, page: FormPage, texts: Texts, entries: Entries, files: list[File]
) -> tuple[Entries, tuple[Fault, ...]]:
    """The entries with the files that were kept, and a fault for each that was refused."""
    found = {name: list(values) for name, values in entries.items()}
    faults: list[Fault] = []
    for file in files:
        name = (file.field_name or b"").decode("utf-8", "replace").removesuffix(CHOSEN)
        if not is_of_files(page, name):
            continue
        title = (file.file_name or b"").decode("utf-8", "replace").replace("\0", "")[-NAME_LENGTH:]
        try:
            kept = await _kept(x, name.rpartition(".")[2], title, file)
        except DomainError as error:
            reason = texts("upload_failed", file=title)
            # What exactly is wrong is said in English only.
            if texts.language.startswith("en"):
                reason = f"{reason} {error.faults[0].detail if error.faults else error.detail}"
            faults.append(_fault(name, "upload.refused", reason))
        else:
            found.setdefault(name, []).append(kept)
            found.setdefault(f"{name}.name", []).append(title)
    return found, tuple(faults)


def left_behind(page: FormPage, entries: Entries) -> tuple[Fault, ...]:
    """A fault for each question whose files were chosen and not added: what came of them is their names."""
    return tuple(
        _fault(name.removesuffix(CHOSEN), "upload.left_behind", "the files were chosen and not added")
        for name, values in entries.items()
        if name.endswith(CHOSEN) and any(values) and is_of_files(page, name.removesuffix(CHOSEN))
    )


def without(entries: Entries, file_id: str) -> Entries:
    """The entries without a file."""
    found = {name: list(values) for name, values in entries.items()}
    for name, values in entries.items():
        if file_id in values:
            place = values.index(file_id)
            for each in (name, f"{name}.name"):
                del found.get(each, [])[place : place + 1]
    return found


def is_of_files(page: FormPage, name: str) -> bool:
    """Whether a name is one of a question that is answered with files."""
    first, *rest = name.split(".")
    element = page.elements.get(first)
    if element is not None and element["type"] == "group" and len(rest) == 2:
        element = next((each for each in element["elements"] if each["id"] == rest[1]), None)
    elif rest:
        return False
    return element is not None and element["type"] in FILE_TYPES


def _fault(name: str, code: str, detail: str) -> Fault:
    return Fault("/answers/" + name.replace(".", "/"), code, detail)


async def _kept(x: Exchange, field: str, title: str, file: File) -> str:
    """The id of the file, examined and kept. Raises what its field, the quota and its content are refused for."""
    command = BeginUpload(slug=x.path["slug"], field=field, name=title, size=file.size)
    upload = await x.apis.files.begin_upload(x.principal, command)
    try:
        key = new_part(upload)
        content = file.file_object
        content.seek(0, io.SEEK_SET)
        async with x.objects.writer(key) as writer:
            while piece := content.read(_PIECE):
                await writer.write(piece)
        part = AppendPart(start=0, size=file.size, object=key, is_last=True)
        kept = await x.apis.files.append_part(x.principal, upload.upload_id, part)
    except BaseException:
        with suppress(DomainError):  # refused and gone already; the rest is swept up
            await x.apis.files.cancel_upload(x.principal, upload.upload_id, False)
        raise
    return kept.id


def _most(x: Exchange, page: FormPage) -> int:
    """What a page with all its files may be, in bytes."""
    asked = (each for element in page.elements.values() for each in (element, *element.get("elements", ())))
    fields = (each for each in asked if each["type"] in FILE_TYPES)
    files: int = sum(each.get("max_size", DEFAULT_MAX_SIZE) * each.get("max_files", 1) for each in fields)
    return min(x.settings.max_upload, x.settings.max_body + files)
