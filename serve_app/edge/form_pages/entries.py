"""What a browser posts: names with their values, in order, as urlencoded or multipart form."""

import io
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from deployments.kit.errors import BadRequest, UnsupportedMediaType

Entries: TypeAlias = Mapping[str, list[str]]

# Above what the largest form that can be published posts: 50 matrices with a thousand cells each.
MAX_ENTRIES = 60_000


class MalformedForm(BadRequest):
    """The body is not what a browser makes of a form."""

    code, title = "form.syntax", "The body is not a form"


def read_entries(content_type: str, body: bytes) -> Entries:
    """The entries of a body. Raises UnsupportedMediaType, MalformedForm."""
    media_type, options = parse_options_header(content_type)
    if media_type == b"application/x-www-form-urlencoded":
        return _urlencoded(body)
    if media_type == b"multipart/form-data" and options.get(b"boundary"):
        return _multipart(content_type, body)
    raise UnsupportedMediaType("The body must be a form: urlencoded or multipart.")


def query_entries(query: str) -> Entries:
    """The entries of a query string; of one that cannot be read, none."""
    try:
        return _urlencoded(query.encode())
    except MalformedForm:
        return {}


def _urlencoded(body: bytes) -> Entries:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_ENTRIES)
    except (ValueError, UnicodeDecodeError):
        raise MalformedForm from None
    return gathered(pairs)


def _multipart(content_type: str, body: bytes) -> Entries:
    pairs: list[tuple[str, str]] = []

    def take(field: object) -> None:
        if len(pairs) == MAX_ENTRIES:
            raise MalformedForm
        pairs.append(pair_of(field))

    try:
        # A file that came without its upload has no place here: only its name is known, and it is left out.
        parse_form({"Content-Type": content_type.encode()}, io.BytesIO(body), take, lambda _: None)
    except FormParserError:
        raise MalformedForm from None
    return gathered(pairs)


def pair_of(field: Any) -> tuple[str, str]:
    """The name and the value of a part. Raises MalformedForm for what is not UTF-8."""
    try:
        return (field.field_name or b"").decode(), (field.value or b"").decode()
    except UnicodeDecodeError:
        raise MalformedForm from None


def gathered(pairs: Iterable[tuple[str, str]]) -> Entries:
    """The values of each name, in order."""
    entries: dict[str, list[str]] = {}
    for name, value in pairs:
        entries.setdefault(name, []).append(value)
    return entries
