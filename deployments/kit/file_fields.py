"""The fields of a form that are answered with files: what they accept, and where in the answers the files are named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

FILE_TYPES: Final = frozenset({"file", "image", "signature"})

# A stored definition does not repeat what is the default of its type.
_ACCEPTED: Final[dict[str, tuple[str, ...]]] = {"file": (), "image": ("image/*",), "signature": ("image/png",)}
DEFAULT_MAX_SIZE: Final = 10 * 1024**2
"""Of a file whose field says nothing, in bytes."""


@dataclass(frozen=True, slots=True)
class FileField:
    """A field of files. `path` leads to it through repeating groups and ends with its own id; `max_size` is in bytes.

    `accept` holds media types (`image/*`, `application/pdf`), none for any.
    """

    path: tuple[str, ...]
    accept: tuple[str, ...] = ()
    max_size: int = DEFAULT_MAX_SIZE

    @property
    def id(self) -> str:
        """The field's id."""
        return self.path[-1]


def file_fields(definition: Mapping[str, Any]) -> tuple[FileField, ...]:
    """The file fields of a definition document, as `parse_definition` takes and stores it."""
    return tuple(
        field for page in definition.get("pages", ()) for field in _fields_in(page.get("elements", ()), path=())
    )


def named_files(fields: tuple[FileField, ...], answers: Mapping[str, Any]) -> Iterator[tuple[FileField, str, str]]:
    """Each file that checked answers name: its field, its id, and the pointer to the place."""
    for field in fields:
        for pointer, file_id in _named(field.path, answers, "/answers"):
            yield field, file_id, pointer


def _fields_in(elements: Any, path: tuple[str, ...]) -> Iterator[FileField]:
    for element in elements:
        here = (*path, element["id"])
        if element["type"] in FILE_TYPES:
            accept = element.get("accept", _ACCEPTED[element["type"]])
            yield FileField(here, tuple(accept), element.get("max_size", DEFAULT_MAX_SIZE))
        elif "elements" in element:
            # A section only gathers what it holds; the answers of a repeating group are below the group's own id.
            yield from _fields_in(element["elements"], path if element["type"] == "section" else here)


def _named(path: tuple[str, ...], value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if not path:
        for index, file_id in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(file_id, str):
                yield (f"{pointer}/{index}" if isinstance(value, list) else pointer), file_id
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named(path, item, f"{pointer}/{index}")
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _named(path[1:], value[path[0]], f"{pointer}/{path[0]}")
