"""What crosses the door of imports: a stored file and what should become of it."""

from typing import Literal, Protocol

from pydantic import Field

from deployments.forms.contracts import Slug, Title
from deployments.kit.contract import Contract
from deployments.kit.principal import Principal


class StartImport(Contract):
    """`file` is the object store's key of the uploaded file, `sha256` its checksum in hexadecimal."""

    file: str
    file_name: str = Field(max_length=300)
    size: int
    sha256: str
    format: Literal["surveymonkey_csv"]
    slug: Slug
    title: Title
    dry_run: bool = False
    idempotency_key: str | None = None


class StartedImport(Contract):
    job_id: str
    replayed: bool = False


class ImportsApi(Protocol):
    """Bringing in forms and responses from other systems."""

    async def start(self, principal: Principal, command: StartImport) -> StartedImport: ...
