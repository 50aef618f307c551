"""What can go wrong with webhooks."""

from deployments.kit.errors import Conflict, Invalid, NotFound
from deployments.kit.quotas import QuotaReached


class WebhookNotFound(NotFound):
    code, title = "webhook.not_found", "There is no such webhook"


class DeliveryNotFound(NotFound):
    code, title = "delivery.not_found", "There is no such delivery"


class DeliveryPending(Conflict):
    code, title = "delivery.pending", "The delivery is under way already"


class WebhookDisabled(Conflict):
    code, title = "webhook.disabled", "The webhook is disabled; enable it first"


class InvalidWebhook(Invalid):
    code, title = "webhook.invalid", "The webhook is not valid"


class WebhookQuotaReached(QuotaReached):
    code, title, quota = "quota.webhooks", "The tenant has as many webhooks as it may", "max_webhooks"
