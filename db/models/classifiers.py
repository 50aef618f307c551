"""Classifiers of tenants: their labels, what they learn from, and the versions that came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Classifier(SQLModel, table=True):
    """What tells texts apart. `labels` are `{"name", "description"}`; `field` is the one of the form whose answers it
    is about. `active` is the number of the version that answers, `latest` that of the last one.

    `pending` counts the corrections since the last version; at `retrain_after` of them another one is trained.
    """

    __tablename__ = "classifier"
    __table_args__ = (belongs_to("form", "form_id"), Index("uq_classifier_name", "tenant_id", "name", unique=True))

    tenant_id: str = key()
    id: str = key()
    name: str
    form_id: str | None = None
    field: str | None = None
    labels: list[dict[str, Any]] = document()
    precision: float
    retrain_after: int | None = None
    pending: int = 0
    latest: int = 0
    active: int | None = None
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class ClassifierExample(SQLModel, table=True):
    """A text and the label that it has. One that comes from a response goes with it. `digest` is that of the text: a
    text is an example once."""

    __tablename__ = "classifier_example"
    __table_args__ = (
        belongs_to("classifier", "classifier_id"),
        belongs_to("response", "response_id"),
        Index("uq_classifier_example_text", "tenant_id", "classifier_id", "digest", unique=True),
        Index("ix_classifier_example_response", "tenant_id", "response_id"),
    )

    tenant_id: str = key()
    id: str = key()
    classifier_id: str
    label: str
    text: str
    digest: str
    is_correction: bool
    response_id: str | None = None
    created_by: str
    created_at: datetime = moment()


class ClassifierVersion(SQLModel, table=True):
    """A trained head: `file` is its key in the object store. A job makes one version. `learned` are the responses that
    it has learned from, which its file still holds in a way when they are gone."""

    __tablename__ = "classifier_version"
    __table_args__ = (
        belongs_to("classifier", "classifier_id"),
        Index("uq_classifier_version_job", "tenant_id", "classifier_id", "job_id", unique=True),
    )

    tenant_id: str = key()
    classifier_id: str = key()
    number: int = key()
    job_id: str
    file: str
    sha256: str
    bytes: int = Field(sa_type=BigInteger)
    encoder: str
    labels: list[str] = document()
    threshold: float
    report: dict[str, Any] = document()
    learned: list[str] = document()
    trained_by: str
    trained_at: datetime = moment()
