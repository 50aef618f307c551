"""multipart/form-data (RFC 7578) read as a stream: fields in memory within bounds, the file straight to its sink."""

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from deployments.kit.errors import BadRequest, Fault, Invalid, UnsupportedMediaType

MAX_FIELD_BYTES = 4096
MAX_PARTS = 20
_MAX_HEADER_BYTES = 4096
_MAX_HEADERS = 10


class MalformedMultipart(BadRequest):
    """The body does not follow its own boundary, or ends before its end."""

    code, title = "multipart.syntax", "The body is not valid multipart/form-data"


@dataclass(slots=True)
class Form:
    """What came: text fields by name, the name of the first file, and how many files there were.

    `faults` are errors that do not end the reading.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    files: int = 0
    faults: list[Fault] = field(default_factory=list)


async def read_form(
    content_type: str,
    pieces: AsyncIterable[bytes],
    file_field: str,
    sink: Callable[[bytes], Awaitable[None]],
    form: Form | None = None,
    *,
    most_files: int = 1,
) -> Form:
    """Read a form to its end, sending the content of `file_field` to `sink` as it comes. `form`, when given, is filled,
    so that the sink can look at the fields that came before the file.

    With `most_files` there may be several; they reach the sink as one, each beginning a line of its own.

    Raises UnsupportedMediaType, MalformedMultipart, and Invalid when there are more parts than MAX_PARTS.
    A field that is too long, comes twice or is not UTF-8 becomes a fault of the form.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if media_type != b"multipart/form-data" or not boundary:
        raise UnsupportedMediaType("The body must be multipart/form-data with a boundary.")
    reader = _Reader(file_field, form or Form(), most_files)
    try:
        parser = MultipartParser(
            boundary,
            reader.callbacks(),
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )
        async for piece in pieces:
            parser.write(piece)
            for content in reader.take():
                await sink(content)
        parser.finalize()
    except FormParserError:
        raise MalformedMultipart from None
    if not reader.ended:
        raise MalformedMultipart("The body ends before its closing boundary.")
    return reader.form


class _Reader:
    """The parser's callbacks: they cannot wait, so file content is kept until the piece has been parsed."""

    def __init__(self, file_field: str, form: Form, most_files: int) -> None:
        self.form = form
        self._most_files = most_files
        self.ended = False
        self._file_field = file_field
        self._content: list[bytes] = []
        self._parts = 0
        self._name = ""
        self._value = bytearray()
        self._is_file = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_piece,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def take(self) -> list[bytes]:
        """File content that came with the last piece."""
        content, self._content = self._content, []
        return content

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid.at("", "length.max", f"The form may have at most {MAX_PARTS} parts.")
        self._disposition = b""
        self._value = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_piece(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise MalformedMultipart("A part has no name.")
        self._name = name.decode("utf-8", "replace").replace("\0", "")[:100]
        self._is_file = self._name == self._file_field
        if self._is_file:
            self.form.files += 1
            if self.form.files > self._most_files:
                files = "one file" if self._most_files == 1 else f"{self._most_files} files"
                raise Invalid.at(f"/{self._file_field}", "duplicate", f"The form may have {files}.")
            if self.form.files == 1:
                self.form.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            else:
                self._content.append(b"\n")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._content.append(data[start:end])
        elif len(self._value) <= MAX_FIELD_BYTES:
            self._value += data[start:end]

    def _part_end(self) -> None:
        if self._is_file:
            return
        if self._name in self.form.fields:
            self._fault("duplicate", "The field comes more than once.")
        if len(self._value) > MAX_FIELD_BYTES:
            self._fault("length.max", f"The field may have at most {MAX_FIELD_BYTES} bytes.")
        try:
            text = self._value.decode("utf-8")
        except UnicodeDecodeError:
            self._fault("text.encoding", "The field is not UTF-8.")
            text = ""
        if "\0" in text:
            self._fault("text.nul", "The character U+0000 is not allowed.")
        self.form.fields[self._name] = text

    def _end(self) -> None:
        self.ended = True

    def _fault(self, code: str, detail: str) -> None:
        self.form.faults.append(Fault("/" + self._name.replace("~", "~0").replace("/", "~1"), code, detail))
