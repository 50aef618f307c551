"""What crosses the door of forms: drafts, published versions, settings."""

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import EmailStr, Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

Slug = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$", description="Name of the form in addresses.")
]
Title = Annotated[str, Field(min_length=1, max_length=300)]


class FormSettings(Contract):
    """How a form behaves. Changes take effect at once, without a new version."""

    send_notification: bool = False
    notification_recipients: list[EmailStr] = Field(default_factory=list, max_length=50)
    max_responses: int | None = Field(default=None, ge=0, description="Null for no limit of the form's own.")
    opens_at: datetime | None = None
    closes_at: datetime | None = None


class CreateForm(Contract):
    slug: Slug
    title: Title
    definition: dict[str, Any] = Field(description="See the definition language.")
    settings: dict[str, Any] = Field(default_factory=dict)


class UpdateForm(Contract):
    """What changes. Settings are merged key by key; a definition replaces the draft."""

    slug: Slug | None = None
    title: Title | None = None
    definition: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    if_match: int | None = Field(default=None, description="Revision the change is based on; 412 when it is older.")


class Form(Contract):
    """A form with its draft. `version` is the published version, null before the first publication."""

    id: str
    slug: str
    title: str
    status: Literal["draft", "published", "archived"]
    version: int | None
    revision: int
    definition: dict[str, Any]
    settings: FormSettings
    created_at: datetime
    updated_at: datetime


class FormSummary(Contract):
    """A form in a list: everything but its definition."""

    id: str
    slug: str
    title: str
    status: Literal["draft", "published", "archived"]
    version: int | None
    created_at: datetime
    updated_at: datetime


class FormVersion(Contract):
    """A published definition; it never changes."""

    form_id: str
    version: int
    title: str
    definition: dict[str, Any]
    published_at: datetime


class PublishedForm(Contract):
    """What a visitor gets: the published definition, and whether answers are taken."""

    id: str
    slug: str
    title: str
    version: int
    definition: dict[str, Any]
    open: bool
    opens_at: datetime | None
    closes_at: datetime | None


class ValidateDefinition(Contract):
    definition: Any = None


class DefinitionFault(Contract):
    pointer: str
    code: str
    detail: str


class DefinitionReport(Contract):
    """Whether a definition is valid, and every reason why not."""

    valid: bool
    errors: list[DefinitionFault]


class FormsApi(Protocol):
    """Defining and publishing forms."""

    async def create(self, principal: Principal, command: CreateForm) -> Form: ...

    async def get(self, principal: Principal, form_id: str) -> Form: ...

    async def get_by_slug(self, principal: Principal, slug: str) -> Form: ...

    async def list_forms(self, principal: Principal, cursor: str | None, limit: int) -> Page[FormSummary]: ...

    async def update(self, principal: Principal, form_id: str, command: UpdateForm) -> Form: ...

    async def delete(self, principal: Principal, form_id: str) -> None: ...

    async def publish(self, principal: Principal, form_id: str) -> FormVersion: ...

    async def list_versions(self, principal: Principal, form_id: str) -> Page[FormVersion]: ...

    async def get_version(self, principal: Principal, form_id: str, version: int) -> FormVersion: ...

    async def validate(self, principal: Principal, command: ValidateDefinition) -> DefinitionReport: ...

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        """The published form of the principal's tenant, for visitors. Raises FormNotFound, FeatureDisabled."""
        ...
