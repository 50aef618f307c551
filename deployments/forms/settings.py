"""How a form behaves and looks, apart from what it asks (F7)."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, StringConstraints

from deployments.kit.answer_quotas import AnswerQuota
from deployments.kit.contract import Contract
from deployments.kit.enrichment import EnrichmentPolicy
from deployments.kit.moments import written
from deployments.kit.spam_policy import SpamPolicy
from deployments.kit.texts import Language, Line, Passage


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _web_address(value: str) -> str:
    # What would end an attribute, a CSS url() or a header has no place in an address that is put there.
    if any(not "!" <= character <= "~" or character in "\"'()<>\\`{}" for character in value):
        raise ValueError("the address holds characters that have to be percent-encoded")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError("this is no web address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address holds a name or password")
    return value


def _secure(value: str) -> str:
    if not value.lower().startswith("https://"):
        raise ValueError("the address begins with https://")
    return value


Moment = Annotated[datetime, BeforeValidator(written), AfterValidator(_in_utc)]
WebAddress = Annotated[str, StringConstraints(max_length=2_048), AfterValidator(_web_address)]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]


class Confirmation(Contract):
    """What follows a complete response: a text, or another page."""

    message: Passage | None = None
    redirect_url: WebAddress | None = Field(default=None, description="Where the browser goes on to, instead.")


class Messages(Contract):
    """What visitors read while no answers are taken. Without a text the page has its own."""

    not_open_yet: Passage | None = None
    closed: Passage | None = None
    full: Passage | None = None


class Theme(Contract):
    """How the form looks. Nothing here is CSS: colours are hexadecimal, the rest is chosen from lists and bounds."""

    primary: Colour | None = Field(default=None, description="Buttons and what is chosen, as `#rrggbb`.")
    background: Colour | None = None
    text: Colour | None = None
    font: Literal["system", "sans", "serif", "rounded", "mono"] = "system"
    radius: int = Field(default=8, ge=0, le=32, description="Of corners, in pixels.")
    logo_url: Annotated[WebAddress, AfterValidator(_secure)] | None = None
    logo_alt: Line | None = Field(default=None, description="What the logo says to those who do not see it.")


class Autoresponder(Contract):
    """A mail to the person who answered, to the address that they gave in `email_field`."""

    enabled: bool = True
    email_field: str = Field(max_length=64, description="Id of a field of the type `email`.")
    subject: Line
    text: Passage
    include_answers: bool = Field(
        default=False, description="Send the answers along. Anybody can enter anybody's address, so think of it."
    )


class FormSettings(Contract):
    """How a form behaves. Changes take effect at once, without a new version."""

    send_notification: bool = False
    notification_recipients: list[EmailStr] = Field(default_factory=list, max_length=50)
    max_responses: int | None = Field(default=None, ge=0, description="Null for no limit of the form's own.")
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    login_required: bool = Field(
        default=False, description="Take answers only of people and keys of the tenant, not of visitors."
    )
    one_response_per: Literal["user"] | None = Field(
        default=None, description="`user`: each person answers once; goes with `login_required`."
    )
    quotas: list[AnswerQuota] = Field(default_factory=list, max_length=100)
    spam: SpamPolicy | None = Field(default=None, description="Signs of spam, beside the honeypot.")
    retention_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Responses are purged so long after they were submitted, once a day."
    )
    confirmation: Confirmation | None = None
    messages: Messages | None = None
    autoresponder: Autoresponder | None = None
    languages: list[Language] | None = Field(
        default=None, min_length=1, max_length=50, description="Those of the definition that are offered; null for all."
    )
    theme: Theme | None = None
    ai: EnrichmentPolicy | None = Field(
        default=None, description="What models look at in each response; null for nothing. Needs the feature `ai`."
    )
    show_progress: bool = True
