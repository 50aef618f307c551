"""What a form admits once or so often: the rows that make it exact under concurrency."""

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, key


class ResponseClaim(SQLModel, table=True):
    """What a response holds and no other of its form may: an answer that is unique, a person's only response.

    `kind` says what is claimed (`answer.email`, `person`), `value` is a digest of the claimed value. The place that a
    response takes in a quota is a claim of the kind `quota.<id>`, with the response's id as its value.
    """

    __tablename__ = "response_claim"
    # No foreign key to the response: a place is counted down when it is given back, not when it vanishes.
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_response_claim_response", "tenant_id", "response_id"),
    )

    tenant_id: str = key()
    form_id: str = key()
    kind: str = key()
    value: str = key()
    response_id: str


class FormAdmission(SQLModel, table=True):
    """By which rules a form's claims and counts were made, and up to which change of the form they are complete."""

    __tablename__ = "form_admission"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    digest: str
    revision: int
    seen: int = Field(sa_type=BigInteger)


class QuotaCounter(SQLModel, table=True):
    """How many responses of a form count towards a quota; held by whoever holds the form's counter."""

    __tablename__ = "quota_counter"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    quota_id: str = key()
    responses: int = 0
