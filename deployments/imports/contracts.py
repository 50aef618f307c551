"""What crosses the door of imports: a stored file and what should become of it."""

from typing import Any, Literal, Protocol

from pydantic import Field

from deployments.forms.contracts import Slug, Title
from deployments.kit.contract import Contract
from deployments.kit.principal import Principal

ImportFormat = Literal["surveymonkey_csv", "google_csv", "typeform_json", "xlsform", "surveyjs_json", "formstream_json"]
DefinitionFormat = Literal["formstream_json", "xlsform", "surveyjs_json"]


class StartImport(Contract):
    """`file` is the object store's key of the uploaded file, `sha256` its checksum in hexadecimal."""

    file: str
    file_name: str = Field(max_length=300)
    size: int
    sha256: str
    format: ImportFormat
    slug: Slug
    title: Title
    dry_run: bool = False
    idempotency_key: str | None = None


class StartedImport(Contract):
    job_id: str
    replayed: bool = False


class WriteDefinition(Contract):
    """A definition to be written in a format, for the form of that name and title; `version` is null for a draft."""

    form_id: str
    slug: Slug
    title: Title
    version: int | None = None
    definition: dict[str, Any]
    format: DefinitionFormat


class DefinitionFile(Contract):
    """A definition as a file. `warnings` counts what the format cannot say; the file itself names it."""

    content: bytes
    media_type: str
    file_name: str
    warnings: int


class ImportsApi(Protocol):
    """Bringing in forms and responses from other systems, and writing definitions for them."""

    async def start(self, principal: Principal, command: StartImport) -> StartedImport: ...

    async def write_definition(self, principal: Principal, command: WriteDefinition) -> DefinitionFile:
        """The definition in a format of another system. Raises Forbidden, InvalidDefinition."""
        ...
