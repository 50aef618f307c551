"""Formstream's own definitions as files."""

from pathlib import Path
from typing import IO, Any, Final

import orjson

from deployments.imports.errors import FileUnreadable
from deployments.imports.json_values import read_values
from deployments.imports.settling import unreadable
from deployments.imports.source import DefinitionOnly
from deployments.kit.engine import InvalidDefinition, compile_form, parse_definition

_WHOLE: Final = frozenset(("",))


def read_document(file: IO[bytes], _: Path) -> DefinitionOnly:
    """The definition in the file: itself, or under `definition` as in the answer of `GET /api/v1/forms/{id}`.

    Nothing is left out: a definition with any fault is refused. Raises FileUnreadable.
    """
    values = [value for _, value in read_values(file, _WHOLE)]
    if len(values) != 1 or not isinstance(values[0], dict):
        raise FileUnreadable("The file must hold one JSON object: the definition of a form.")
    (document,) = values
    if "pages" not in document and isinstance(document.get("definition"), dict):
        document = document["definition"]
    try:
        return DefinitionOnly(compile_form(parse_definition(document)))
    except InvalidDefinition as error:
        raise unreadable(error) from error


def write_document(definition: dict[str, Any]) -> bytes:
    """The canonical document, which `read_document` reads to the same definition."""
    return orjson.dumps(parse_definition(definition).document(), option=orjson.OPT_INDENT_2)
