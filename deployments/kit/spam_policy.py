"""What a form takes for spam (R6)."""

from pydantic import Field

from deployments.kit.contract import Contract


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
