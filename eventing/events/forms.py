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
