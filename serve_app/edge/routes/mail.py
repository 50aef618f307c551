"""Mail of a tenant: its words and looks, suppressed addresses, mailings, what came back."""

from typing import Literal
from urllib.parse import parse_qsl

from pydantic import Field

from deployments.kit.contract import Page
from deployments.kit.errors import UnsupportedMediaType
from deployments.notifications.contracts import (
    BounceReport,
    CreateMailing,
    MailBranding,
    Mailing,
    MailingRecipient,
    MailPreview,
    MailTemplate,
    MailTemplates,
    MailWords,
    OrderedMail,
    OrderedMailing,
    PreviewMail,
    RecipientState,
    SuppressAddress,
    Suppression,
    TextReceipt,
)
from deployments.notifications.errors import TextMessageNotFound
from serve_app.edge.operations import IDEMPOTENCY_KEY, Access, Body, Exchange, Operation, PageQuery, Reply
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key, read_body

_TEMPLATE = "/api/v1/mail-templates/{mail_template}"
_IN_LANGUAGE = f"{_TEMPLATE}/{{language}}"
_MESSAGE = "message/rfc822"
_FORM = "application/x-www-form-urlencoded"
_FIELDS_AT_MOST = 100


class SuppressionQuery(PageQuery):
    """Which suppressions."""

    reason: Literal["manual", "bounce", "complaint", "unsubscribe"] | None = Field(
        default=None, description="Only these."
    )
    email: str | None = Field(default=None, max_length=320, description="Only that of this address.")


class RecipientQuery(PageQuery):
    """Which recipients."""

    state: RecipientState | None = Field(default=None, description="Only those in this state.")


async def list_templates(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.list_templates(x.principal))


def _language(x: Exchange) -> str:
    return x.path.get("language", "")


async def get_template(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.get_template(x.principal, x.path["mail_template"], _language(x)))


async def put_template(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.put_template(x.principal, x.path["mail_template"], _language(x), x.body))


async def delete_template(x: Exchange) -> Reply:
    await x.apis.notifications.delete_template(x.principal, x.path["mail_template"], _language(x))
    return Reply()


async def preview(x: Exchange) -> Reply:
    if x.body.response_id is not None:
        x.principal.require("responses:read")
    return Reply(await x.apis.notifications.preview(x.principal, x.path["mail_template"], _language(x), x.body))


async def get_branding(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.get_branding(x.principal))


async def put_branding(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.put_branding(x.principal, x.body))


async def suppress(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.suppress(x.principal, x.body))


async def list_suppressions(x: Exchange) -> Reply:
    q: SuppressionQuery = x.query
    return Reply(await x.apis.notifications.list_suppressions(x.principal, q.cursor, q.limit, q.reason, q.email))


async def unsuppress(x: Exchange) -> Reply:
    await x.apis.notifications.unsuppress(x.principal, x.path["suppression_id"])
    return Reply()


async def create_mailing(x: Exchange) -> Reply:
    key = idempotency_key(x.request)
    return accepted(await x.apis.notifications.create_mailing(x.principal, x.path["form_id"], x.body, key))


async def list_mailings(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.notifications.list_mailings(x.principal, x.path["form_id"], query.cursor, query.limit))


async def get_mailing(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.get_mailing(x.principal, x.path["mailing_id"]))


async def list_recipients(x: Exchange) -> Reply:
    q: RecipientQuery = x.query
    mailing_id = x.path["mailing_id"]
    return Reply(await x.apis.notifications.list_recipients(x.principal, mailing_id, q.cursor, q.limit, q.state))


async def cancel_mailing(x: Exchange) -> Reply:
    return Reply(await x.apis.notifications.cancel_mailing(x.principal, x.path["mailing_id"]))


async def send_test(x: Exchange) -> Reply:
    ordered: OrderedMail = await x.apis.notifications.send_test(x.principal)
    return Reply(ordered, headers=(("location", f"/api/v1/jobs/{ordered.job_id}"),))


async def report_bounce(x: Exchange) -> Reply:
    if (x.header("content-type") or "").partition(";")[0].strip().lower() != _MESSAGE:
        raise UnsupportedMediaType(f"The body must be {_MESSAGE}.")
    message = await read_body(x.request, x.settings.max_body, x.settings.deadline_s)
    return Reply(await x.apis.notifications.report_bounce(x.principal, message))


async def report_text(x: Exchange) -> Reply:
    if (x.header("content-type") or "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(f"The body must be {_FORM}.")
    body = await read_body(x.request, x.settings.max_body, x.settings.deadline_s)
    try:
        said = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST)
        receipt = TextReceipt(parameters=said, signature=x.header("x-twilio-signature") or "")
    except ValueError as error:
        raise TextMessageNotFound from error
    await x.apis.notifications.report_text(x.principal, x.path["text_message"], receipt)
    return Reply()


_WORDS = {"subject": "New response: {{ form_title }}", "text": "{{ form_title }} has a new response.\n"}

OPERATIONS = (
    Operation(
        id="list_mail_templates",
        method="GET",
        path="/api/v1/mail-templates",
        summary="Every mail there is",
        tag="Mail",
        scope="mail:read",
        handler=list_templates,
        response=MailTemplates,
    ),
    *(
        operation
        for path, name, those in (
            (_TEMPLATE, "mail_template", "for every language"),
            (_IN_LANGUAGE, "mail_template_in_language", "in a language"),
        )
        for operation in (
            Operation(
                id=f"get_{name}",
                method="GET",
                path=path,
                summary=f"The words of a mail {those}",
                description="The tenant's own, or the platform's while there are none: `built_in` tells. With the "
                "variables that they may say.",
                tag="Mail",
                scope="mail:read",
                handler=get_template,
                response=MailTemplate,
            ),
            Operation(
                id=f"put_{name}",
                method="PUT",
                path=path,
                summary=f"Say a mail in words of one's own, {those}",
                description="Text with `{{ variable }}`, `{% if %}` and `{% for question, answer in answers %}`. "
                "Everything wrong is named with its line and column. A name that is no mail of the platform's makes a "
                "template for mailings.",
                tag="Mail",
                scope="mail:write",
                handler=put_template,
                request=MailWords,
                response=MailTemplate,
                example=_WORDS,
            ),
            Operation(
                id=f"delete_{name}",
                method="DELETE",
                path=path,
                summary=f"Say a mail in the platform's words again, {those}",
                tag="Mail",
                scope="mail:write",
                handler=delete_template,
                status=204,
            ),
            Operation(
                id=f"preview_{name}",
                method="POST",
                path=f"{path}/preview",
                summary=f"A mail as it would be sent, {those}",
                description="With samples, or the answers of a response, for which `responses:read` is needed as well. "
                "Nothing is sent.",
                tag="Mail",
                scope="mail:read",
                handler=preview,
                request=PreviewMail,
                optional_body=True,
                response=MailPreview,
                example={"words": _WORDS},
            ),
        )
    ),
    Operation(
        id="get_mail_branding",
        method="GET",
        path="/api/v1/mail-branding",
        summary="How mails present themselves",
        tag="Mail",
        scope="mail:read",
        handler=get_branding,
        response=MailBranding,
    ),
    Operation(
        id="put_mail_branding",
        method="PUT",
        path="/api/v1/mail-branding",
        summary="Change how mails present themselves",
        tag="Mail",
        scope="mail:write",
        handler=put_branding,
        request=MailBranding,
        response=MailBranding,
        example={"sender_name": "Acme", "reply_to": "hello@acme.example", "logo_url": None, "colour": "#1f6feb"},
    ),
    Operation(
        id="list_suppressions",
        method="GET",
        path="/api/v1/suppressions",
        summary="Addresses that get no more mail",
        tag="Mail",
        scope="mail:read",
        handler=list_suppressions,
        query=SuppressionQuery,
        response=Page[Suppression],
    ),
    Operation(
        id="create_suppression",
        method="POST",
        path="/api/v1/suppressions",
        summary="Send no more mail to an address",
        description="Letters about accounts are still sent. An address that is suppressed already stays as it is.",
        tag="Mail",
        scope="mail:write",
        handler=suppress,
        request=SuppressAddress,
        response=Suppression,
        status=201,
        example={"email": "ada@example.com", "detail": "asked us by telephone"},
    ),
    Operation(
        id="delete_suppression",
        method="DELETE",
        path="/api/v1/suppressions/{suppression_id}",
        summary="Send mail to an address again",
        tag="Mail",
        scope="mail:write",
        handler=unsuppress,
        status=204,
    ),
    Operation(
        id="create_mailing",
        method="POST",
        path="/api/v1/forms/{form_id}/mailings",
        summary="Write to many people about a form",
        description="Each address gets one mail, sent by a job whose address is in `Location`; suppressed addresses "
        "get none. Writing to `respondents` needs `responses:read_personal` as well.",
        tag="Mail",
        scope="mail:send",
        handler=create_mailing,
        request=CreateMailing,
        max_body="max_form_body",
        response=OrderedMailing,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        errors=(409,),
        example={"recipients": [{"email": "ada@example.com", "name": "Ada", "prefill": {"name": "Ada"}}]},
    ),
    Operation(
        id="list_mailings",
        method="GET",
        path="/api/v1/forms/{form_id}/mailings",
        summary="The mailings about a form",
        tag="Mail",
        scope="mail:read",
        handler=list_mailings,
        query=PageQuery,
        response=Page[Mailing],
    ),
    Operation(
        id="get_mailing",
        method="GET",
        path="/api/v1/mailings/{mailing_id}",
        summary="How far a mailing is",
        tag="Mail",
        scope="mail:read",
        handler=get_mailing,
        response=Mailing,
    ),
    Operation(
        id="list_mailing_recipients",
        method="GET",
        path="/api/v1/mailings/{mailing_id}/recipients",
        summary="What became of the mail to each recipient",
        tag="Mail",
        scope="mail:read",
        handler=list_recipients,
        query=RecipientQuery,
        response=Page[MailingRecipient],
    ),
    Operation(
        id="cancel_mailing",
        method="POST",
        path="/api/v1/mailings/{mailing_id}/cancel",
        summary="Write to nobody else",
        tag="Mail",
        scope="mail:send",
        handler=cancel_mailing,
        response=Mailing,
    ),
    Operation(
        id="send_test_mail",
        method="POST",
        path="/api/v1/mail/test",
        summary="Send a mail to one's own address",
        tag="Mail",
        scope="mail:read",
        handler=send_test,
        response=OrderedMail,
        status=202,
        errors=(409,),
    ),
    Operation(
        id="report_bounce",
        method="POST",
        path="/api/v1/mail/bounces",
        summary="Hand in a message that came back",
        description="A delivery status notification (RFC 3464) or a complaint (RFC 5965), as it arrived. An address "
        "that does not exist, or that complains, gets no more mail.",
        tag="Mail",
        scope="mail:write",
        handler=report_bounce,
        request=bytes,
        body=Body.STREAM,
        media_type=_MESSAGE,
        response=BounceReport,
        errors=(415,),
    ),
    Operation(
        id="report_text_message",
        method="POST",
        path="/api/v1/text-messages/{tenant}/{text_message}/status",
        summary="What became of a text message",
        description="For the provider, which signs it (`X-Twilio-Signature`). The result of the message's job says it.",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=report_text,
        request=bytes,
        body=Body.STREAM,
        media_type=_FORM,
        status=204,
        errors=(404, 415),
    ),
)
