"""Who reacts to what, on one page: every subscription with its durable name, every kind of job."""

from db.session import Database
from deployments.files import handlers as files
from deployments.files import removal
from deployments.forms import purging
from deployments.forms.deployment import Forms
from deployments.identity import handlers as identity
from deployments.imports import handlers as imports
from deployments.kit.egress import Egress
from deployments.kit.objects import ObjectStore
from deployments.kit.vault import Vault
from deployments.notifications import handlers as notifications
from deployments.notifications.letters import SendLetter
from deployments.notifications.sms import text_transport_for
from deployments.notifications.texts import SendText
from deployments.notifications.transport import transport_for
from deployments.responses import handlers as responses_handlers
from deployments.responses.deployment import Responses
from deployments.tenancy import erasing, exporting
from deployments.tenancy.handlers import TellOwners
from deployments.tenancy.receipts import Signer
from deployments.webhooks import handlers as webhooks
from eventing.jobs import JobKind
from eventing.subscription import Subscription
from serve_app.settings import Settings

SUBSCRIPTIONS = frozenset({"files", "notifications", "tenancy", "webhooks"})
QUEUES = frozenset({"high", "default", "batch"})


def subscriptions(database: Database, settings: Settings) -> tuple[Subscription, ...]:
    """Every reaction to an event, for one process."""
    return (
        *notifications.NotifyRecipients(Forms(database)).subscriptions(),
        *files.SUBSCRIPTIONS,
        *webhooks.SUBSCRIPTIONS,
        *TellOwners(Vault(settings.secret())).subscriptions(),
    )


def job_kinds(database: Database, egress: Egress, settings: Settings, purge: erasing.Purge) -> tuple[JobKind, ...]:
    """Every kind of job, for one process. `purge` removes a tenant's messages from the event stream."""
    objects = ObjectStore(settings.object_store(), **settings.object_store_options())
    forms, responses = Forms(database), Responses(database)
    transport = transport_for(settings.smtp_url.get_secret_value(), settings.data_dir / "mail")
    send_mail = notifications.SendMail(database, forms, responses, transport, settings.mail_from)
    text_transport = text_transport_for(settings.sms_url.get_secret_value(), settings.data_dir / "sms")
    vault = Vault(settings.secret())
    return (
        *notifications.job_kinds(send_mail),
        *SendLetter(vault, transport, settings.mail_from).kinds(),
        *SendText(vault, text_transport).kinds(),
        *identity.job_kinds(database, settings.identity(), vault),
        *webhooks.job_kinds(database, vault, egress),
        *imports.job_kinds(objects, forms, responses),
        *purging.job_kinds(database, objects),
        *responses_handlers.job_kinds(database),
        *removal.job_kinds(database, objects),
        *exporting.job_kinds(database, objects),
        *erasing.job_kinds(database, objects, Signer(settings.secret()), purge),
    )
