"""Who reacts to what, on one page: every subscription with its durable name, and every kind of job. Which of them
schedules may start stands in `serve_app.schedulable`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from db.session import Database
from deployments.analytics.forecasts import watching
from deployments.analytics.metrics import recounting
from deployments.analytics.metrics.door import LiveMetrics
from deployments.analytics.metrics.keeping import Counting, Nudges
from deployments.events.dead_letters import ManyDeadLetters
from deployments.events.pruning import PruneEvents
from deployments.events.replaying import ReplayJob
from deployments.exports import lake_jobs, making
from deployments.files import handlers as files
from deployments.files import removal
from deployments.forms import purging
from deployments.forms.deployment import Forms
from deployments.identity import handlers as identity
from deployments.imports import handlers as imports
from deployments.inference import summaries
from deployments.inference.brought import CheckModel
from deployments.inference.classifiers import training
from deployments.inference.enrichment import marking, rescoring, working
from deployments.jobs import pruning as jobs_pruning
from deployments.kit.egress import Egress
from deployments.kit.objects import ObjectStore
from deployments.kit.spans import untraced
from deployments.kit.vault import Vault
from deployments.models.contracts import ModelsApi
from deployments.models.heads.learning import Learning
from deployments.notifications import handlers as notifications
from deployments.notifications import pruning as notifications_pruning
from deployments.notifications.deployment import stationery_of
from deployments.notifications.letters import SendLetter
from deployments.notifications.mailings import SendMailing
from deployments.notifications.reports import SendReport
from deployments.notifications.sms import text_transport_for
from deployments.notifications.texts import SendText
from deployments.notifications.transport import MailTransport, transport_for
from deployments.reports import making as reports
from deployments.reports.brand import LOGO_BYTES
from deployments.responses import handlers as responses_handlers
from deployments.responses.deployment import Responses
from deployments.responses.judging import JudgementOrders, Judging
from deployments.tenancy import erasing, exporting
from deployments.tenancy.handlers import TellOwners
from deployments.tenancy.people import erasing as erasing_people
from deployments.tenancy.people.copies import LearnedResponses, ResponseFiles, SearchIndexes, TenantExports
from deployments.tenancy.people.stream import EventStream
from deployments.tenancy.receipts import Signer
from deployments.webhooks import handlers as webhooks
from deployments.webhooks.replaying import WebhookReplay
from eventing import jobs
from eventing.jobs import JobKind
from eventing.subscription import Subscription
from serve_app.consumers import CONSUMERS
from serve_app.settings import Settings
from serve_app.tracing.work import TracedMail, traced_jobs

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer

SUBSCRIPTIONS = frozenset(CONSUMERS)
QUEUES = frozenset(jobs.QUEUES)


def subscriptions(database: Database, settings: Settings) -> tuple[Subscription, ...]:
    """Every reaction to an event, for one process."""
    return (
        *notifications.NotifyRecipients(Forms(database)).subscriptions(),
        *Nudges(Counting(database)).subscriptions(),
        *files.SUBSCRIPTIONS,
        *marking.SUBSCRIPTIONS,
        *JudgementOrders(database).subscriptions(),
        *webhooks.SUBSCRIPTIONS,
        *TellOwners(Vault(settings.secret_keys()), settings.origin()).subscriptions(),
    )


def job_kinds(
    database: Database,
    egress: Egress,
    settings: Settings,
    purge: erasing.Purge,
    stream: EventStream,
    models: ModelsApi,
    tracer: Tracer | None = None,
) -> tuple[JobKind, ...]:
    """Every kind of job, for one process, as the operator wants them. `purge` removes a tenant's messages from the
    event stream. Raises ValueError for a policy that does not fit."""
    objects = store_of_jobs(settings)
    forms, responses = Forms(database), Responses(database)
    stationery = stationery_of(settings.notifications())

    def transport() -> MailTransport:
        """Connections of its own: what is urgent waits neither for mailings nor for mails about responses."""
        plain = transport_for(settings.smtp_url.get_secret_value(), settings.data_dir / "mail")
        return plain if tracer is None else TracedMail(plain, tracer)

    send_mail = notifications.SendMail(database, forms, responses, transport(), stationery)
    send_mailing = SendMailing(
        database, forms, responses, transport(), stationery, per_minute=settings.mailings_per_minute
    )
    text_transport = text_transport_for(settings.sms_url.get_secret_value(), settings.data_dir / "sms")
    vault, tracing = Vault(settings.secret_keys()), untraced if tracer is None else tracer.effect
    signer = Signer(settings.secret_keys())
    copies = (
        TenantExports(database, objects),
        ResponseFiles(database),
        SearchIndexes(objects),
        LearnedResponses(database),
    )
    kinds = (
        *notifications.job_kinds(send_mail),
        *send_mailing.kinds(),
        *notifications_pruning.job_kinds(database, timedelta(days=settings.mail_retention_days)),
        *SendLetter(database, vault, transport(), stationery).kinds(),
        *SendReport(database, objects, vault, transport(), stationery).kinds(),
        *reports.job_kinds(
            database,
            objects,
            forms,
            LiveMetrics(database),
            summaries.ReadySummaries(database, responses),
            Egress(settings.egress_networks(), max_response_bytes=LOGO_BYTES),
            vault,
            settings.reports(),
        ),
        *SendText(vault, text_transport, settings.origin()).kinds(),
        *identity.job_kinds(database, settings.identity(), vault),
        *webhooks.job_kinds(database, vault, egress, settings.webhooks(), tracing),
        *imports.job_kinds(objects, forms, responses),
        *working.job_kinds(database, models),
        *rescoring.job_kinds(database, responses),
        *purging.job_kinds(database, objects),
        *responses_handlers.job_kinds(database),
        *Judging(database, models).kinds(),
        *ManyDeadLetters(database, CONSUMERS).kinds(),
        *ReplayJob(database, subscriptions(database, settings), WebhookReplay).kinds(),
        *PruneEvents(database, settings.events_kept()).kinds(),
        *making.job_kinds(database, objects, responses, settings.exports().life),
        *lake_jobs.job_kinds(database, objects, responses, is_on=settings.lake),
        *removal.job_kinds(database, objects),
        *training.job_kinds(database, objects, models, Learning(threads=settings.model_threads)),
        *exporting.job_kinds(database, objects),
        *erasing.job_kinds(database, objects, signer, purge),
        *erasing_people.job_kinds(database, copies, signer, vault, stream),
        *jobs_pruning.job_kinds(database, settings.jobs()),
        *CheckModel(database, models, objects).kinds(),
        *summaries.job_kinds(database, responses, models),
        *recounting.job_kinds(database),
        *watching.job_kinds(database, LiveMetrics(database), vault),
    )
    applied = settings.job_policy.applied(kinds)
    return applied if tracer is None else traced_jobs(applied, tracer)


def store_of_jobs(settings: Settings) -> ObjectStore:
    """The object store, each request made once: a job is tried again as a whole, and attempts multiply."""
    return ObjectStore(settings.object_store(), **settings.object_store_options(), retry_config={"max_retries": 0})


def check_job_policy(settings: Settings) -> None:
    """Raise ValueError for a policy of jobs that does not fit the kinds that there are."""

    async def purge(_tenant_id: str) -> int:
        return 0

    if settings.job_policy.kinds:
        nowhere: Any = None  # the kinds are looked at and not run
        job_kinds(Database(settings.database()), Egress(settings.egress_networks()), settings, purge, nowhere, nowhere)
