"""Facts about forms."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCreated(EventData):
    """A form was created, as a draft."""

    type: ClassVar[str] = "form.created"
    entity: ClassVar[str] = "form_id"
    form_id: str
    slug: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormUpdated(EventData):
    """A form's draft, title, slug or settings changed."""

    type: ClassVar[str] = "form.updated"
    entity: ClassVar[str] = "form_id"
    form_id: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPublished(EventData):
    """A version of a form became the one that is answered."""

    type: ClassVar[str] = "form.published"
    entity: ClassVar[str] = "form_id"
    form_id: str
    slug: str
    title: str
    form_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FormDeleted(EventData):
    """A form went to the trash."""

    type: ClassVar[str] = "form.deleted"
    entity: ClassVar[str] = "form_id"
    form_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormArchived(EventData):
    """A form takes no more answers; what it has stays readable."""

    type: ClassVar[str] = "form.archived"
    entity: ClassVar[str] = "form_id"
    form_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRestored(EventData):
    """A form came back, out of the archive or the trash (`source`)."""

    type: ClassVar[str] = "form.restored"
    entity: ClassVar[str] = "form_id"
    form_id: str
    slug: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPurged(EventData):
    """A form is gone for good, with its responses: as many as it held when it went to the trash."""

    type: ClassVar[str] = "form.purged"
    entity: ClassVar[str] = "form_id"
    form_id: str
    slug: str
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateCreated(EventData):
    """A form was kept as a template."""

    type: ClassVar[str] = "template.created"
    entity: ClassVar[str] = "template_id"
    template_id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDeleted(EventData):
    """A template of the tenant is gone."""

    type: ClassVar[str] = "template.deleted"
    entity: ClassVar[str] = "template_id"
    template_id: str
