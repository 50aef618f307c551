"""What crosses the door of notifications, and what other contexts may ask it to send: orders for its jobs."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Protocol, Self, TypeAlias

from pydantic import AwareDatetime, EmailStr, Field, StringConstraints

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from deployments.kit.texts import Language
from deployments.kit.vault import Vault

SEND_LETTER: Final = "mail.letter"
SEND_TEXT: Final = "sms.send"
SEND_REPORT: Final = "mail.report"


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


class ReportMail(_Sealed):
    """A mail that tells one person of a report; the payload of a job of the kind `SEND_REPORT` in the queue `default`.
    It can be unsubscribed from. `attachment` is a key in the object store, and `link` opens the file for whoever has
    it."""

    recipient: str
    language: str = Field(max_length=64)
    written_at: AwareDatetime = Field(description="The date of the mail, however often it is sent.")
    form_title: str
    period: str
    responses: str
    until: str
    link: str
    attachment: str | None = None
    file_name: str = "report.pdf"
    logo_url: str | None = None
    colour: str | None = None


Line: TypeAlias = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f\u2028\u2029]*$")]


class TemplateVariable(Contract):
    """What the words may say, as `{{ name }}`."""

    name: str
    meaning: str
    kind: Literal["text", "url", "moment", "pairs"] = Field(
        description="`moment` needs the filter `date` or `date_time`; `pairs` are gone through with `for`."
    )
    required: bool = Field(description="Whether the text has to say it.")


class MailTemplateSummary(Contract):
    """A mail, and the languages there are words in. Of `account` letters nobody can unsubscribe."""

    name: str
    purpose: str
    use: Literal["account", "notification", "mailing"]
    languages: list[str] = Field(description="Those of the platform's own words.")
    own_languages: list[str] = Field(description="Those of the tenant's; the empty one stands for every language.")


class MailTemplates(Contract):
    """All mails there are."""

    data: list[MailTemplateSummary]


class MailWords(Contract):
    """What a mail says. Without `html` it is made from the text."""

    subject: str = Field(min_length=1, max_length=500)
    text: str = Field(min_length=1, max_length=20_000)
    html: str | None = Field(
        default=None, min_length=1, max_length=60_000, description="The body; head, logo and the way out are added."
    )


class MailTemplate(MailWords):
    """The words for a mail in a language: the tenant's, or while it has none, the platform's."""

    name: str
    language: str = Field(description="Empty for the tenant's words for every language.")
    built_in: bool
    purpose: str
    use: Literal["account", "notification", "mailing"]
    variables: list[TemplateVariable]
    updated_at: datetime | None = None


class PreviewMail(Contract):
    """Words to try, those that are stored when there are none; with the answers of a response, or samples."""

    words: MailWords | None = None
    response_id: str | None = Field(default=None, max_length=64)


class MailPreview(Contract):
    """A mail as it would be sent. Show the HTML where it can run nothing."""

    subject: str
    text: str
    html: str
    sender: str
    language: str


class MailBranding(Contract):
    """How a tenant's mails present themselves. A form's theme goes before logo and colour in mails about it."""

    sender_name: Line = Field(
        default="", max_length=100, description="Beside the platform's address; empty for its own."
    )
    reply_to: EmailStr | None = Field(default=None, description="Where replies go.")
    logo_url: Annotated[str, StringConstraints(pattern=r"^https://[!#-&*-;=?-\[\]_a-z~]{1,2000}$")] | None = None
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")] | None = None


SuppressionReason: TypeAlias = Literal["manual", "bounce", "complaint", "unsubscribe"]


class SuppressAddress(Contract):
    """An address that is to get no more mail but what is about its account."""

    email: EmailStr
    detail: Line = Field(default="", description="Why.")


class Suppression(Contract):
    id: str
    email: str
    reason: SuppressionReason
    detail: str
    created_by: str
    created_at: datetime


class MailRecipient(Contract):
    """Somebody to write to. `prefill` are answers that the form's page begins with, by field."""

    email: EmailStr
    name: Line = ""
    language: Language | None = None
    prefill: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")], Line] = Field(
        default_factory=dict, max_length=20
    )


class Respondents(Contract):
    """Those who answered a form, by the address that they gave; everything that is given must hold."""

    email_field: str = Field(max_length=64, description="Id of a field of the type `email`.")
    filter: dict[str, Any] = Field(default_factory=dict, description="`{field: {operator: value}}`.")
    where: str | None = Field(default=None, max_length=4_000)
    q: str | None = Field(default=None, max_length=200)
    version: int | None = None


class CreateMailing(Contract):
    """A mail to each of these people: either `recipients` or `respondents`. Each address gets one."""

    template: str = Field(
        default="form_request",
        pattern=r"^[a-z][a-z0-9_]{1,59}$",
        description="A mail of the use `mailing`; any other name is a template of the tenant's own.",
    )
    recipients: list[MailRecipient] | None = Field(default=None, min_length=1, max_length=5_000)
    respondents: Respondents | None = None


class OrderedMailing(Contract):
    """A mailing that will be sent. `replayed`: an earlier call with the same key had ordered it already."""

    mailing_id: str
    job_id: str
    replayed: bool = Field(default=False, exclude=True)


class OrderedMail(Contract):
    """A mail that will be sent."""

    job_id: str
    recipient: str


RecipientState: TypeAlias = Literal["queued", "sending", "sent", "failed", "suppressed", "bounced", "cancelled"]


class MailingCounts(Contract):
    """How many recipients are in each state."""

    queued: int = 0
    sending: int = 0
    sent: int = 0
    failed: int = 0
    suppressed: int = 0
    bounced: int = 0
    cancelled: int = 0


class Mailing(Contract):
    """A mail to many people. While `gathering`, there may be more recipients than are counted."""

    id: str
    form_id: str
    template: str
    state: Literal["gathering", "sending", "done", "failed", "cancelled"]
    counts: MailingCounts
    job_id: str
    created_by: str
    created_at: datetime


class MailingRecipient(Contract):
    """What became of the mail to one person. `failed` says why in `error`; `suppressed` was not sent at all."""

    id: str
    email: str
    name: str
    state: RecipientState
    error: str | None
    attempts: int
    sent_at: datetime | None


class BounceReport(Contract):
    """What a returned message was: about which mail, and what followed from it."""

    outcome: Literal["bounced", "delayed", "complaint", "unmatched"]
    mail_id: str | None = None
    recipient: str | None = None
    status: str | None = Field(default=None, description="Enhanced status code (RFC 3463).")
    suppressed: bool = False


class Subscription(Contract):
    """What a link to unsubscribe is about. The address is given in part."""

    tenant: str
    email: str
    language: str
    unsubscribed: bool


class TextReceipt(Contract):
    """What a provider tells of a text message, as the form's fields that came, with its signature of them."""

    parameters: list[tuple[str, str]] = Field(max_length=100)
    signature: str = Field(max_length=200)


class NotificationsApi(Protocol):
    """Mail of a tenant: its words, to whom it goes, and to whom no more."""

    async def list_templates(self, principal: Principal) -> MailTemplates: ...

    async def get_template(self, principal: Principal, name: str, language: str) -> MailTemplate:
        """The words in a language, the empty one for every. Raises MailTemplateNotFound."""
        ...

    async def put_template(self, principal: Principal, name: str, language: str, words: MailWords) -> MailTemplate:
        """Raises InvalidMailTemplate with every fault and its place."""
        ...

    async def delete_template(self, principal: Principal, name: str, language: str) -> None: ...

    async def preview(self, principal: Principal, name: str, language: str, command: PreviewMail) -> MailPreview: ...

    async def get_branding(self, principal: Principal) -> MailBranding: ...

    async def put_branding(self, principal: Principal, branding: MailBranding) -> MailBranding: ...

    async def suppress(self, principal: Principal, command: SuppressAddress) -> Suppression:
        """The suppression, or the one that there was for the address."""
        ...

    async def list_suppressions(
        self, principal: Principal, cursor: str | None, limit: int, reason: str | None, email: str | None
    ) -> Page[Suppression]: ...

    async def unsuppress(self, principal: Principal, suppression_id: str) -> None: ...

    async def create_mailing(
        self, principal: Principal, form_id: str, command: CreateMailing, idempotency_key: str | None = None
    ) -> OrderedMailing:
        """Raises InvalidMailing, FormNotPublished, MailingKeyMismatch."""
        ...

    async def list_mailings(
        self, principal: Principal, form_id: str, cursor: str | None, limit: int
    ) -> Page[Mailing]: ...

    async def get_mailing(self, principal: Principal, mailing_id: str) -> Mailing: ...

    async def list_recipients(
        self, principal: Principal, mailing_id: str, cursor: str | None, limit: int, state: str | None
    ) -> Page[MailingRecipient]: ...

    async def cancel_mailing(self, principal: Principal, mailing_id: str) -> Mailing:
        """Whoever was not written to yet is not written to."""
        ...

    async def send_test(self, principal: Principal) -> OrderedMail:
        """A mail to the principal's own address. Raises NoAddress."""
        ...

    async def report_bounce(self, principal: Principal, message: bytes) -> BounceReport:
        """Take a message that came back (RFC 3464, RFC 5965)."""
        ...

    async def report_text(self, principal: Principal, message_id: str, receipt: TextReceipt) -> None:
        """Take what the provider tells of a text message. Raises TextMessageNotFound, for a wrong signature too."""
        ...

    async def find_subscription(self, principal: Principal, token: str) -> Subscription:
        """What a link is about. Raises SubscriptionNotFound."""
        ...

    async def unsubscribe(self, principal: Principal, token: str) -> Subscription: ...
