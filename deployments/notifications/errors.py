"""What can go wrong with mail, beside sending it."""

from deployments.kit.errors import Conflict, Invalid, NotFound


class MailTemplateNotFound(NotFound):
    code, title = "mail_template.not_found", "There are no such words"


class InvalidMailTemplate(Invalid):
    code, title = "mail_template.invalid", "The words of the mail are not valid"


class SuppressionNotFound(NotFound):
    code, title = "suppression.not_found", "There is no such suppression"


class MailingNotFound(NotFound):
    code, title = "mailing.not_found", "There is no such mailing"


class InvalidMailing(Invalid):
    code, title = "mailing.invalid", "The mailing is not valid"


class MailingKeyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The Idempotency-Key was used for another mailing"


class FormNotPublished(Conflict):
    code, title = "mailing.form_not_published", "The form takes no answers, so nobody can be asked for some"


class NoAddress(Conflict):
    code, title = "mail.no_address", "A program has no address to send a mail to"


class SubscriptionNotFound(NotFound):
    code, title = "subscription.not_found", "There is nothing to unsubscribe from"


class TextMessageNotFound(NotFound):
    """There is none, or who tells of it is not the provider."""

    code, title = "text_message.not_found", "There is no such text message"
