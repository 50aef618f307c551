"""What the queues of jobs look like, for the metrics of an edge."""

from collections.abc import Awaitable, Iterable

from prometheus_client.metrics_core import Metric

from deployments.jobs.contracts import JobMeasures, JobsApi
from serve_app.edge.measured import Measured
from serve_app.edge.measures import JOB_ATTEMPTS, JOB_LAG, JOB_SECONDS, JOBS_OLDEST, JOBS_RUNNING, JOBS_WAITING, family


class JobNumbers(Measured[JobsApi, JobMeasures]):
    """The numbers of jobs."""

    asked_s = 5.0

    def ask(self, jobs: JobsApi) -> Awaitable[JobMeasures]:
        return jobs.measure()

    def collect(self) -> Iterable[Metric]:
        waiting, running, oldest = family(JOBS_WAITING), family(JOBS_RUNNING), family(JOBS_OLDEST)
        ended, took, waited = family(JOB_ATTEMPTS), family(JOB_SECONDS), family(JOB_LAG)
        if self.measures is not None:
            for queue in self.measures.queues:
                waiting.add_metric([queue.queue], queue.waiting)
                running.add_metric([queue.queue], queue.running)
                oldest.add_metric([queue.queue], queue.oldest_s)
            for each in self.measures.kinds:
                labels = [each.kind, each.outcome]
                ended.add_metric(labels, each.attempts)
                took.add_metric(labels, each.attempts, each.duration_s)
                waited.add_metric(labels, each.attempts, each.lag_s)
        yield from (waiting, running, oldest, ended, took, waited)
