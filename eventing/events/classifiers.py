"""Facts about classifiers."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierCreated(EventData):
    """A classifier was made. It answers when a version of it was trained."""

    type: ClassVar[str] = "classifier.created"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    name: str
    labels: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierUpdated(EventData):
    """A classifier's name, labels, examples or settings changed; these are the names of what did."""

    type: ClassVar[str] = "classifier.updated"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierDeleted(EventData):
    """A classifier is gone, with its examples and versions."""

    type: ClassVar[str] = "classifier.deleted"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierCorrected(EventData):
    """Somebody said which label a text has; `response_id` is that of the response it was in, if any."""

    type: ClassVar[str] = "classifier.corrected"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    example_id: str
    label: str
    response_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierTrained(EventData):
    """A classifier has a new version, which answers from now on. `accuracy` is that of the cross-validation, null where
    there were too few examples for one."""

    type: ClassVar[str] = "classifier.trained"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    classifier_version: int
    examples: int
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierActivated(EventData):
    """Another version of a classifier answers from now on."""

    type: ClassVar[str] = "classifier.activated"
    entity: ClassVar[str] = "classifier_id"
    classifier_id: str
    classifier_version: int
