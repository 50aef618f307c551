"""What crosses identity's door about one-time codes, telephones and second factors."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.kit.contract import Contract

ChallengeToken = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]*$", description="Opaque; names what a code is for.")
]
Code = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]*$", description="Spaces and dashes do not matter.")
]
Password = Annotated[str, Field(max_length=256)]
Channel = Literal["email", "sms"]
FactorKind = Literal["email", "sms", "totp"]


class RequestCode(Contract):
    """`tenant` is null for a platform administrator."""

    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{1,62}$")] | None = None
    email: str = Field(max_length=320, pattern=r"^[^\x00]*$")
    channel: Channel = "email"


class ChallengeSent(Contract):
    """What the code is to be sent back with."""

    challenge: str
    expires_in: int = Field(description="Life of the challenge in seconds.")


class AnswerChallenge(Contract):
    """A challenge and the code that arrived."""

    challenge: ChallengeToken
    code: Code


class SecondFactorLogIn(AnswerChallenge):
    """`code` is a code of the authenticator app (`totp`), one that was sent (`code`), or a recovery code."""

    method: Literal["totp", "code", "recovery"]


class SendSecondFactorCode(Contract):
    challenge: ChallengeToken
    channel: Channel


class CodeSent(Contract):
    expires_in: int = Field(description="Life of the code in seconds.")


class CurrentPassword(Contract):
    current_password: Password


class FactorProof(Contract):
    """Either the password or a code of the authenticator app."""

    current_password: Password | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.current_password is None) == (self.code is None):
            raise ValueError("give either the current password or a code")
        return self


class StartedTotp(Contract):
    """The secret of an authenticator app (RFC 6238: SHA-1, six digits, 30 s); it counts once it is confirmed."""

    secret: str = Field(description="Base32 (RFC 4648), for typing.")
    uri: str = Field(description="The `otpauth:` URI to show as a QR code.")


class ConfirmTotp(Contract):
    code: Code


class RecoveryCodes(Contract):
    """Codes that each stand in once for a lost factor; shown this once."""

    recovery_codes: list[str]


class AddedFactor(Contract):
    kind: FactorKind
    recovery_codes: list[str] | None = Field(description="With the first factor; shown this once.")


class PutPhone(CurrentPassword):
    phone: str = Field(
        max_length=40, pattern=r"^[^\x00]*$", description="International form, with the country's code: `+1 415 …`."
    )


class Phone(Contract):
    phone: str = Field(description="E.164.")
    verified_at: datetime


class Factor(Contract):
    kind: FactorKind
    added_at: datetime


class Factors(Contract):
    """How the caller proves who they are beside the password."""

    data: list[Factor]
    recovery_codes_left: int
    phone: Phone | None


class EnrolTotp(Contract):
    challenge: ChallengeToken


class ConfirmSetup(AnswerChallenge):
    """`code` is the first one of the authenticator app."""


class Enrolled(RecoveryCodes):
    """The recovery codes, shown this once, and the session."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind of token, not a token
    expires_in: int
