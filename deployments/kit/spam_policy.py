"""What a form takes for spam (R6)."""

from typing import Literal

from pydantic import Field

from deployments.kit.contract import Contract


class AddressLimit(Contract):
    """At most so many responses of visitors from one network address (IPv6: one /64) in a period."""

    responses: int = Field(ge=1, le=10_000)
    per_seconds: int = Field(default=3_600, ge=60, le=86_400)
    action: Literal["refuse", "quarantine"] = Field(
        default="refuse", description="`refuse`: 429 until the period ends. `quarantine`: kept apart."
    )


class CaptchaPolicy(Contract):
    """Visitors have to solve a captcha of the tenant's provider before their answers are stored."""

    when_down: Literal["quarantine", "refuse", "accept"] = Field(
        default="quarantine", description="What happens to answers while the provider cannot be asked."
    )


class SpamPolicy(Contract):
    """Signs of spam, beside the honeypot, which always counts. A suspect is kept apart until somebody releases it."""

    min_seconds: float | None = Field(
        default=None,
        gt=0,
        le=3_600,
        description="Suspect what arrives sooner after its `started_at`, and what does not say when it was started.",
    )
    max_links: int | None = Field(default=None, ge=0, le=1_000, description="Suspect more web addresses than these.")
    duplicates: bool = Field(default=False, description="Suspect answers that another response has given, all alike.")
    max_per_address: AddressLimit | None = None
    ai_threshold: float | None = Field(
        default=None,
        ge=0.5,
        le=1,
        description="Suspect what the built-in model takes for spam with this probability or a higher one, a moment "
        "after it was stored. 0.9 suits most forms.",
    )
    captcha: CaptchaPolicy | None = Field(default=None, description="Null for none. See `/api/v1/captcha`.")

    @property
    def screens(self) -> bool:
        """Whether visitors are asked for more than their answers."""
        return self.max_per_address is not None or self.captcha is not None
