"""Every mail there is: when it is sent, and what its words may say. Tenants may write each in words of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "url", "moment", "pairs"]


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that words may say. `pairs` are questions with their answers, to go through with `for`."""

    meaning: str
    sample: object
    kind: Kind = "text"
    required: bool = False


@dataclass(frozen=True, slots=True)
class MailKind:
    """A mail: `account` letters are always sent, the others can be unsubscribed from and are suppressed."""

    purpose: str
    variables: Mapping[str, Variable]
    use: Literal["account", "notification", "mailing"] = "account"


_NAME: Final = Variable("Name of the person.", "Ada Lovelace")
_TENANT: Final = Variable("Name of the tenant.", "Acme")
_FACTOR: Final = Variable("The way to log in, in words.", "an authenticator app")
_FORM: Final = Variable("Title of the form.", "Summer party")
_ANSWERS: Final = Variable(
    "Questions and answers, for `{% for question, answer in answers %}`.",
    (("Your name", "Ada Lovelace"), ("Comment", "I look forward to it.\nSee you!")),
    "pairs",
)
_SUBMITTED: Final = Variable("When the response was submitted.", datetime(2030, 1, 2, 3, 4, tzinfo=UTC), kind="moment")

_ALARM: Final[Mapping[str, Variable]] = {
    "alarm": Variable("Name of the alarm.", "Far fewer answers than usual"),
    "form": _FORM,
    "tenant": _TENANT,
    "when": Variable("When it was, in the time zone of the alarm.", "Monday 2030-01-07"),
}


def _link(meaning: str) -> Variable:
    return Variable(meaning, "https://forms.example.com/account/reset#token=sample", "url", required=True)


_MAILING: Final[Mapping[str, Variable]] = {
    "name": Variable("Name of the recipient; may be empty.", "Ada Lovelace"),
    "email": Variable("Address of the recipient.", "ada@example.com"),
    "tenant": _TENANT,
    "form_title": _FORM,
    "link": Variable(
        "The form's address for this recipient.", "https://forms.example.com/f/acme/party?name=Ada", "url"
    ),
    "answers": Variable(f"{_ANSWERS.meaning} Empty for who did not answer.", _ANSWERS.sample, "pairs"),
    "submitted_at": Variable("When they answered; empty for who did not.", _SUBMITTED.sample, "moment"),
}

OWN: Final = MailKind("A mailing in words of the tenant's own.", _MAILING, "mailing")

TEMPLATES: Final[Mapping[str, MailKind]] = {
    "email_verification": MailKind(
        "Somebody made an account and is to confirm the address.", {"link": _link("Where to confirm it.")}
    ),
    "email_change": MailKind("Somebody wants another address.", {"link": _link("Where to confirm it.")}),
    "email_changed": MailKind(
        "The address of an account was changed; goes to the old one.",
        {"name": _NAME, "email": Variable("The new address.", "ada@example.com")},
    ),
    "password_reset": MailKind(
        "Somebody asked for a new password.", {"name": _NAME, "link": _link("Where to choose it.")}
    ),
    "password_changed": MailKind("The password was changed.", {"name": _NAME}),
    "account_locked": MailKind("Too many attempts to log in.", {"name": _NAME}),
    "invitation": MailKind(
        "Somebody is invited to the tenant.",
        {"inviter": Variable("Who invites.", "Grace"), "tenant": _TENANT, "link": _link("Where to accept.")},
    ),
    "form_invitation": MailKind(
        "Somebody is invited to one form.",
        {
            "inviter": Variable("Who invites.", "Grace"),
            "tenant": _TENANT,
            "form": _FORM,
            "link": _link("Where to accept."),
        },
    ),
    "one_time_code": MailKind(
        "A code to log in.",
        {
            "name": _NAME,
            "code": Variable("The code.", "123456", required=True),
            "minutes": Variable("How long it works.", "5"),
        },
    ),
    "factor_added": MailKind("A way to log in was added.", {"name": _NAME, "factor": _FACTOR}),
    "factor_removed": MailKind("A way to log in was removed.", {"name": _NAME, "factor": _FACTOR}),
    "recovery_code_used": MailKind(
        "A recovery code was used.", {"name": _NAME, "left": Variable("How many codes are left.", "9")}
    ),
    "quota_approached": MailKind(
        "The tenant uses four fifths of a quota.",
        {
            "name": _NAME,
            "tenant": _TENANT,
            "what": Variable("What there is so much of, in words.", "forms"),
            "used": Variable("How much is used.", "8"),
            "limit": Variable("How much there may be.", "10"),
        },
    ),
    "quota_exceeded": MailKind(
        "A quota is used up.",
        {
            "name": _NAME,
            "tenant": _TENANT,
            "what": Variable("What there is so much of, in words.", "forms"),
            "limit": Variable("How much there may be.", "10"),
        },
    ),
    "webhook_disabled": MailKind(
        "A webhook was switched off.",
        {
            "name": _NAME,
            "tenant": _TENANT,
            "webhook": Variable("Where it sends to.", "https://example.com/hook"),
            "reason": Variable("Why.", "the receiver answered 410"),
        },
    ),
    "export_ready": MailKind(
        "An export that somebody ordered can be fetched.",
        {
            "name": _NAME,
            "tenant": _TENANT,
            "form": _FORM,
            "rows": Variable("How many responses it holds.", "1058"),
            "until": Variable("How long it can be fetched.", "2026-03-08 12:00 UTC"),
            "link": _link("Where to fetch it; asks for a login."),
        },
    ),
    "anomaly_detected": MailKind(
        "A figure of a form was not as expected; goes to those whom the alarm names.",
        {
            **_ALARM,
            "measure": Variable("The figure, in words.", "submissions"),
            "value": Variable("What it was.", "12"),
            "expected": Variable("What was expected.", "120"),
            "lower": Variable("The least that would have been as expected.", "80"),
            "upper": Variable("The most that would have been as expected.", "165"),
            "earlier": Variable("What it was at the same times before.", "118, 131, 122, 119"),
        },
    ),
    "drift_detected": MailKind(
        "People answer a form differently than before; goes to those whom the alarm names.",
        {
            **_ALARM,
            "explanation": Variable(
                "What was found, in an English sentence.", "Answered differently: Side: Corn 20% before, 55% now."
            ),
        },
    ),
    "test_mail": MailKind("Somebody tries whether mail arrives.", {"name": _NAME, "tenant": _TENANT}),
    "response_notification": MailKind(
        "A response was submitted; goes to the form's recipients.",
        {"form_title": _FORM, "submitted_at": _SUBMITTED, "answers": _ANSWERS},
        "notification",
    ),
    "autoresponse": MailKind(
        "A reply to who answered, where the form asks for one.",
        {
            "subject": Variable("The subject in the form's settings.", "Thank you"),
            "text": Variable("The text in the form's settings.", "We look forward to seeing you."),
            "form_title": _FORM,
            "submitted_at": _SUBMITTED,
            "answers": Variable(
                f"{_ANSWERS.meaning} Empty unless the form's settings include them.", _ANSWERS.sample, "pairs"
            ),
        },
        "notification",
    ),
    "report_ready": MailKind(
        "A report that a schedule ordered; goes to the schedule's recipients.",
        {
            "form_title": _FORM,
            "period": Variable("The span of time that it is about.", "Mar 1, 2026 to Mar 7, 2026"),
            "responses": Variable("How many complete responses came in it.", "1,058"),
            "until": Variable("How long it can be fetched.", "Apr 8, 2026, 12:00 PM (UTC)"),
            "link": _link("Where to fetch it, without a login."),
        },
        "notification",
    ),
    "form_request": MailKind("A mailing: somebody is asked to answer a form.", _MAILING, "mailing"),
    "respondent_message": MailKind("A mailing: a message to those who answered.", _MAILING, "mailing"),
}


def mail_kind(name: str) -> MailKind:
    """The mail of a name: one of the platform's, else a mailing of the tenant's own."""
    return TEMPLATES.get(name, OWN)


def samples(name: str) -> dict[str, object]:
    """Values for a preview."""
    return {key: variable.sample for key, variable in mail_kind(name).variables.items()}
