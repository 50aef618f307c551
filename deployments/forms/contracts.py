"""What crosses the door of forms: drafts, published versions, settings, templates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from deployments.forms.settings import Autoresponder, Confirmation, FormSettings, Messages, Theme
from deployments.kit.answer_quotas import AnswerQuota
from deployments.kit.captcha import CaptchaWidget
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from deployments.kit.texts import Passage

__all__ = [
    "AnswerQuota",
    "Autoresponder",
    "Confirmation",
    "FormSettings",
    "Messages",
    "Theme",
]

Slug = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$", description="Name of the form in addresses.")
]
Title = Annotated[str, Field(min_length=1, max_length=300)]
Status = Literal["draft", "published", "archived"]


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
    status: Status
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
    status: Literal["draft", "published", "archived", "trashed"]
    version: int | None
    responses: int = Field(default=0, description="How many count against its limit.")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = Field(default=None, description="When it went to the trash.")
    purge_at: datetime | None = Field(default=None, description="Until then it can be restored from the trash.")


Sort = Literal["-created_at", "created_at", "-updated_at", "updated_at", "title", "-title"]


class ListForms(Contract):
    """Which forms, in which order; `-` turns it round. Without `status` all but those in the trash."""

    status: Literal["draft", "published", "archived", "trashed"] | None = Field(
        default=None, description="Only forms of this status; all but those in the trash without it."
    )
    q: str | None = Field(
        default=None, min_length=1, max_length=200, description="Part of the title or slug, whatever its case."
    )
    sort: Sort = Field(default="-created_at", description="`-` turns the order round.")
    cursor: str | None = Field(default=None, max_length=2_048, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=100, description="Most entries in the page.")
    include_total: bool = Field(default=False, description="Count all matches.")


class FormDraft(Contract):
    """What is being edited. `changed`: it differs from the published version, or there is none."""

    form_id: str
    title: str
    definition: dict[str, Any]
    revision: int
    published_version: int | None
    changed: bool
    updated_at: datetime


class PublishForm(Contract):
    """How the draft is published."""

    notes: str | None = Field(default=None, min_length=1, max_length=5_000, description="What is new in this version.")
    if_match: int | None = Field(default=None, description="Revision that is to be published; 412 when it is older.")


class FormVersion(Contract):
    """A published definition; it never changes."""

    form_id: str
    version: int
    title: str
    definition: dict[str, Any]
    published_at: datetime
    published_by: str = Field(default="", description="Id of the person, key or part of the platform that did it.")
    notes: str | None = Field(default=None, description="What its publisher had to say about it.")


class DefinitionChange(Contract):
    """One difference between two definitions.

    `pointer` is the place in the newer one, of what was removed in the older one. `id` is that of the page, element,
    option, row or column, and `of` that of the element an option belongs to. With `changed` and `moved` the pointers
    lead to the property, or to the item in its new place; `before` and `after` are the values.
    """

    change: Literal["added", "removed", "moved", "changed"]
    kind: str = Field(description="`form`, `page`, `element`, `option`, `row`, `column`, or the name of another list.")
    id: str | None
    of: str | None = None
    pointer: str
    before: Any = None
    after: Any = None


class DefinitionDiff(Contract):
    """What changed from one version to another. Null as `to_version` is the draft, as `from_version` an empty form."""

    form_id: str
    from_version: int | None
    to_version: int | None
    from_title: str | None
    to_title: str
    changes: list[DefinitionChange]


class DuplicateForm(Contract):
    """The copy: it has the draft and the settings, no versions and no responses."""

    slug: Slug
    title: Title | None = Field(default=None, description="That of the form which is copied, when there is none.")


class RestoreForm(Contract):
    """How a form comes back."""

    slug: Slug | None = Field(default=None, description="Another slug, for when its own is taken by now.")


class OrderedPurge(Contract):
    job_id: str


class TemplateSummary(Contract):
    """A form to begin with. `built_in` ones come with the platform, the others are the tenant's own."""

    id: str
    title: str
    description: str
    built_in: bool
    created_at: datetime | None = None


class Template(TemplateSummary):
    definition: dict[str, Any]
    settings: dict[str, Any]


class CreateTemplate(Contract):
    """A form's draft and settings become a template; recipients, dates and limits stay behind."""

    form_id: str = Field(max_length=64)
    title: Title
    description: str = Field(default="", max_length=2_000)


class UseTemplate(Contract):
    """The form to be made from a template."""

    slug: Slug
    title: Title | None = Field(default=None, description="That of the template, when there is none.")


ClosedReason = Literal["not_open_yet", "closed", "full", "archived", "suspended"]


class PublishedForm(Contract):
    """What a visitor's page needs: the published definition, how it looks, and whether answers are taken.

    While they are not, `closed_reason` says why and `message` what the form's owner has to say about it.
    """

    id: str
    slug: str
    title: str
    version: int
    definition: dict[str, Any]
    open: bool
    closed_reason: ClosedReason | None = None
    login_required: bool = Field(default=False, description="Answers are taken at `/api/v1/me/forms/{slug}/responses`.")
    message: Passage | None = None
    opens_at: datetime | None
    closes_at: datetime | None
    languages: list[str] = Field(default_factory=lambda: ["en"], description="Those offered; the first is the default.")
    confirmation: Confirmation | None = None
    theme: Theme | None = None
    show_progress: bool = True
    captcha: CaptchaWidget | None = Field(default=None, description="What visitors solve before their answers count.")


class ValidateDefinition(Contract):
    definition: Any = None


class DefinitionFault(Contract):
    pointer: str
    code: str
    detail: str


class DefinitionReport(Contract):
    """Whether a definition is valid, and every reason why not. Warnings are what is allowed but hardly meant."""

    valid: bool
    errors: list[DefinitionFault]
    warnings: list[DefinitionFault] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CarriedVersion:
    """A version that was published in another backend."""

    title: str
    definition: dict[str, Any]
    published_at: datetime | None
    published_by: str
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class CarriedForm:
    """A form of another backend with its versions in order. `draft` is what is edited, null when it is as published."""

    title: str
    slug: str
    settings: dict[str, Any]
    versions: tuple[CarriedVersion, ...]
    draft: dict[str, Any] | None
    archived: bool
    created_by: str
    created_at: datetime | None
    updated_at: datetime | None


class FormsApi(Protocol):
    """Defining and publishing forms."""

    async def create(self, principal: Principal, command: CreateForm) -> Form: ...

    async def get(self, principal: Principal, form_id: str) -> Form: ...

    async def get_by_slug(self, principal: Principal, slug: str) -> Form: ...

    async def list_forms(self, principal: Principal, query: ListForms) -> Page[FormSummary]: ...

    async def update(self, principal: Principal, form_id: str, command: UpdateForm) -> Form: ...

    async def get_draft(self, principal: Principal, form_id: str) -> FormDraft: ...

    async def discard_draft(self, principal: Principal, form_id: str, if_match: int | None = None) -> Form: ...

    async def publish(self, principal: Principal, form_id: str, command: PublishForm | None = None) -> FormVersion: ...

    async def list_versions(
        self, principal: Principal, form_id: str, cursor: str | None = None, limit: int = 100
    ) -> Page[FormVersion]: ...

    async def get_version(self, principal: Principal, form_id: str, version: int) -> FormVersion: ...

    async def diff_version(
        self, principal: Principal, form_id: str, version: int, base: int | None = None
    ) -> DefinitionDiff:
        """From the version `base`, or the one before, to `version`."""
        ...

    async def diff_draft(self, principal: Principal, form_id: str, base: int | None = None) -> DefinitionDiff:
        """From the version `base`, or the published one, to the draft."""
        ...

    async def duplicate(self, principal: Principal, form_id: str, command: DuplicateForm) -> Form: ...

    async def archive(self, principal: Principal, form_id: str) -> Form: ...

    async def restore(self, principal: Principal, form_id: str, command: RestoreForm) -> Form:
        """The form, back from the trash as it was when it went there, or else back from the archive."""
        ...

    async def delete(self, principal: Principal, form_id: str) -> None:
        """Move the form to the trash."""
        ...

    async def purge(self, principal: Principal, form_id: str) -> OrderedPurge:
        """Delete a form that is in the trash for good, by a job."""
        ...

    async def list_templates(self, principal: Principal, cursor: str | None, limit: int) -> Page[TemplateSummary]: ...

    async def get_template(self, principal: Principal, template_id: str) -> Template: ...

    async def create_template(self, principal: Principal, command: CreateTemplate) -> Template: ...

    async def delete_template(self, principal: Principal, template_id: str) -> None: ...

    async def use_template(self, principal: Principal, template_id: str, command: UseTemplate) -> Form: ...

    async def validate(self, principal: Principal, command: ValidateDefinition) -> DefinitionReport: ...

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        """The published form of the principal's tenant, for visitors. Raises FormNotFound, FeatureDisabled."""
        ...
