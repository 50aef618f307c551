"""What crosses the door of tenancy about single persons."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from deployments.kit.contract import Contract

MAX_IDS = 1_000

_Id = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]


class ErasureSubject(Contract):
    """The person, in one of four ways: `email`, `phone`, `response_ids`, or `field` with `value`."""

    email: _Text | None = Field(default=None, description="Compared without regard to case.")
    phone: _Text | None = Field(default=None, description="With the country's code: compared in E.164.")
    response_ids: list[_Id] | None = Field(default=None, min_length=1, max_length=MAX_IDS)
    field: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Id of a field, in any form that has it."
    )
    value: _Text | None = Field(default=None, description="The answer to that field, without regard to case.")

    @model_validator(mode="after")
    def _one_way(self) -> "ErasureSubject":
        if sum(way is not None for way in (self.email, self.phone, self.response_ids, self.field)) != 1:
            raise ValueError("name the person by exactly one of email, phone, response_ids and field")
        if (self.field is None) != (self.value is None):
            raise ValueError("field and value go together")
        return self


class ErasePerson(Contract):
    """Whom to erase, and where. Nothing is erased until `dry_run` is false."""

    subject: ErasureSubject
    form_ids: list[_Id] | None = Field(
        default=None, min_length=1, max_length=MAX_IDS, description="Only in these forms; null for all."
    )
    dry_run: bool = Field(default=True, description="Only find out what would be erased.")


class PersonErasure(Contract):
    """An erasure, or a search for what one would erase. Who it is about is told by a digest only."""

    id: str
    job_id: str
    state: Literal["running", "done"]
    dry_run: bool
    subject_kind: Literal["email", "phone", "responses", "field"]
    subject_digest: str = Field(description="The same for the same person in the same tenant.")
    form_ids: list[str] | None
    requested_by: str
    created_at: datetime
    ended_at: datetime | None
    forms: dict[str, int] = Field(description="Responses found, by form.")
    places: dict[str, int] = Field(description="What was, or would be, erased or emptied, by place.")
    accounts: list[str] = Field(description="People and invitations of the tenant with the address: they stay.")
    audit_entries: int = Field(description="Entries of the audit trail about the responses: they stay.")


class PersonErasureReceipt(Contract):
    """Proof that a person was erased: what was deleted, signed by the platform (Ed25519, RFC 8032).

    The signature, in base64, is over the JSON of all the rest with sorted keys and without spaces.
    """

    erasure_id: str
    tenant_id: str
    subject_kind: Literal["email", "phone", "responses", "field"]
    subject_digest: str
    form_ids: list[str] | None
    requested_by: str
    started_at: datetime
    ended_at: datetime
    forms: dict[str, int] = Field(description="Responses erased, by form.")
    places: dict[str, int] = Field(description="What was erased or emptied, by place.")
    accounts: list[str] = Field(description="People and invitations of the tenant with the address: they stay.")
    audit_entries: int = Field(description="Entries of the audit trail about the responses: they stay.")
    public_key: str = Field(description="Key that verifies the signature, in base64.")
    signature: str
