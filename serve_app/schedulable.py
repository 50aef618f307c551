"""What schedules may start, on one page.

Apart from `serve_app.subscriptions`, since who only names jobs need not load what runs them.
"""

from deployments.analytics.forecasts import watching
from deployments.events import pruning as events_pruning
from deployments.exports import lake_jobs, making
from deployments.files import removal
from deployments.forms import purging
from deployments.identity.service import pruning as identity_pruning
from deployments.jobs import pruning as jobs_pruning
from deployments.jobs.contracts import Schedulable
from deployments.notifications import pruning as notifications_pruning
from deployments.reports import making as reports
from deployments.responses import pruning as responses_pruning
from deployments.tenancy import erasing, exporting
from deployments.webhooks import pruning as webhooks_pruning

SCHEDULABLE: tuple[Schedulable, ...] = (
    watching.SCHEDULABLE,
    events_pruning.SCHEDULABLE,
    exporting.SCHEDULABLE,
    lake_jobs.SCHEDULABLE,
    making.SCHEDULABLE,
    erasing.SCHEDULABLE,
    identity_pruning.SCHEDULABLE,
    jobs_pruning.SCHEDULABLE,
    notifications_pruning.SCHEDULABLE,
    purging.SCHEDULABLE,
    removal.SCHEDULABLE,
    *reports.SCHEDULABLE,
    responses_pruning.SCHEDULABLE,
    webhooks_pruning.SCHEDULABLE,
)
"""What schedules may start, and what that needs."""
