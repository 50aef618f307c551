"""The formats by name: who reads them, and who writes them."""

from collections.abc import Callable
from typing import Any, Final

from deployments.imports.contracts import DefinitionFile, DefinitionFormat, ImportFormat, WriteDefinition
from deployments.imports.document import read_document, write_document
from deployments.imports.google.reading import read_google
from deployments.imports.notices import Notices
from deployments.imports.source import Reader
from deployments.imports.survey import read_survey
from deployments.imports.surveyjs.reading import read_surveyjs
from deployments.imports.surveyjs.writing import write_surveyjs
from deployments.imports.typeform.reading import read_typeform
from deployments.imports.xlsform.reading import read_xlsform
from deployments.imports.xlsform.writing import write_xlsform

READERS: Final[dict[ImportFormat, Reader]] = {
    "surveymonkey_csv": read_survey,
    "google_csv": read_google,
    "formstream_json": read_document,
    "xlsform": read_xlsform,
    "surveyjs_json": read_surveyjs,
    "typeform_json": read_typeform,
}

Writer = Callable[[dict[str, Any], str, Notices], bytes]
"""Writes the definition of a form with that title; what the format cannot say becomes a notice."""

_WRITERS: Final[dict[DefinitionFormat, tuple[Writer, str, str]]] = {
    "formstream_json": (lambda definition, _title, _notices: write_document(definition), "application/json", "json"),
    "xlsform": (write_xlsform, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    "surveyjs_json": (write_surveyjs, "application/json", "json"),
}


def write_definition(command: WriteDefinition) -> DefinitionFile:
    """The definition as a file, named after the form and its version."""
    write, media_type, ending = _WRITERS[command.format]
    notices = Notices()
    content = write(command.definition, command.title, notices)
    version = "draft" if command.version is None else f"v{command.version}"
    return DefinitionFile(
        content=content,
        media_type=media_type,
        file_name=f"{command.slug}-{version}.{ending}",
        warnings=notices.total,
    )
