"""Alarms on figures of forms, and what they found."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from db.models.columns import belongs_to, document, key, moment


class Alarm(SQLModel, table=True):
    """What is looked at, and how far that has come: `next_check_at` is when the next bucket is complete, and null while
    the alarm is off. `unusual_since` is the first bucket of those that were not as expected, one after the other."""

    __tablename__ = "alarm"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_alarm_form", "tenant_id", "form_id", "id"),
        Index("ix_alarm_due", "next_check_at"),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    name: str
    kind: str
    measure: str
    bucket: str
    timezone: str
    direction: str
    sensitivity: str
    min_difference: float
    cooldown_hours: int
    fields: list[str] = document()
    recipients: list[str] = document()
    next_check_at: datetime | None = moment(default=None)
    checked_until: datetime | None = moment(default=None)
    finding: str | None = None
    unusual_since: datetime | None = moment(default=None)
    last_told_at: datetime | None = moment(default=None)
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Anomaly(SQLModel, table=True):
    """Something that an alarm found, once for each bucket. `details` are its values or fields."""

    __tablename__ = "anomaly"
    __table_args__ = (
        belongs_to("alarm", "alarm_id"),
        belongs_to("form", "form_id"),
        UniqueConstraint("tenant_id", "alarm_id", "start", name="uq_anomaly_start"),
        Index("ix_anomaly_form", "tenant_id", "form_id", "id"),
    )

    tenant_id: str = key()
    id: str = key()
    alarm_id: str
    form_id: str
    kind: str
    start: datetime = moment()
    end: datetime = moment()
    explanation: str
    told: bool
    details: dict[str, Any] = document()
    unusual_since: datetime = moment()
    found_at: datetime = moment()
