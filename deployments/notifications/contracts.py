"""What other contexts may ask notifications to send: orders for its jobs."""

from typing import Final, Self

from pydantic import AwareDatetime, Field

from deployments.kit.contract import Contract
from deployments.kit.vault import Vault

SEND_LETTER: Final = "mail.letter"
SEND_TEXT: Final = "sms.send"


class _Sealed(Contract):
    """An order whose content may open an account, so it is encrypted wherever it is kept."""

    def sealed(self, vault: Vault) -> dict[str, str]:
        """The payload of the job."""
        return {"sealed": vault.seal(self.model_dump_json())}

    @classmethod
    def unsealed(cls, vault: Vault, payload: dict[str, str]) -> Self:
        """The order in a job's payload. Raises cryptography.fernet.InvalidToken when it was sealed by another key."""
        return cls.model_validate_json(vault.open(payload["sealed"]))


class Letter(_Sealed):
    """A mail to one person about their account; the payload of a job of the kind `SEND_LETTER` in the queue `high`."""

    template: str = Field(pattern=r"^[a-z_]{1,60}$", description="Name of a template of notifications.")
    recipient: str
    locale: str = Field(
        default="en", max_length=64, description="Language tag (RFC 5646); English when there is no text."
    )
    written_at: AwareDatetime = Field(description="The date of the mail, however often it is sent.")
    values: dict[str, str] = Field(description="What the template needs.")


class TextMessage(_Sealed):
    """A text message to one telephone; the payload of a job of the kind `SEND_TEXT` in the queue `high`."""

    recipient: str = Field(pattern=r"^\+[1-9][0-9]{6,14}$", description="Number as in ITU-T E.164.")
    text: str = Field(min_length=1, max_length=480)
