"""What models said about responses, and what they have still to look at."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class EnrichmentTask(SQLModel, table=True):
    """A response that models are to look at. `mark` is another one each time that it is ordered, so that who has looked
    at it before does not take away a later order. With an `error` it was given up until it is ordered again."""

    __tablename__ = "enrichment_task"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("ix_enrichment_task_form", "tenant_id", "form_id", "response_id"),
    )

    tenant_id: str = key()
    response_id: str = key()
    form_id: str
    mark: str
    error: str | None = None


class EnrichmentTurn(SQLModel, table=True):
    """The one job of a tenant that works on its tasks: whose turn it is, and when it last gave a sign of life; none
    when nothing is to be done."""

    __tablename__ = "enrichment_turn"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    turn: int = 0
    seen_at: datetime | None = moment(default=None)


class Verdict(SQLModel, table=True):
    """What a version of a model said about one answer of one revision of a response. `name` is that of the head or
    `entities`; `label` and `score` are the best one and its probability, no label when the model abstains."""

    __tablename__ = "verdict"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("ix_verdict_form", "tenant_id", "form_id", "field", "name", "model"),
    )

    tenant_id: str = key()
    response_id: str = key()
    field: str = key()
    name: str = key()
    revision: int = key(sa_column_kwargs={"autoincrement": False})
    model: str = key()
    form_id: str
    label: str | None = None
    score: float | None = None
    result: dict[str, Any] = document()
    made_at: datetime = moment()


class AnswerVector(SQLModel, table=True):
    """The direction of an answer's text, a signed byte for each dimension. `number` names it in the index of the form:
    63 bits of a hash of response and field."""

    __tablename__ = "answer_vector"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("uq_answer_vector_number", "tenant_id", "form_id", "number", unique=True),
    )

    tenant_id: str = key()
    response_id: str = key()
    field: str = key()
    form_id: str
    number: int = Field(sa_type=BigInteger)
    revision: int
    model: str
    vector: bytes = Field(sa_type=LargeBinary)
