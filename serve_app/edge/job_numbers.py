"""What the queues of jobs look like, for the metrics of an edge."""

from collections.abc import Awaitable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric

from deployments.jobs.contracts import JobMeasures, JobsApi
from serve_app.edge.measured import Measured


class JobNumbers(Measured[JobsApi, JobMeasures]):
    """The numbers of jobs."""

    asked_s = 5.0

    def ask(self, jobs: JobsApi) -> Awaitable[JobMeasures]:
        return jobs.measure()

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("formstream_jobs_waiting", "Due jobs that nobody holds.", labels=["queue"])
        running = GaugeMetricFamily("formstream_jobs_running", "Jobs that run.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "formstream_jobs_oldest_seconds", "How long the oldest due job waits.", labels=["queue"]
        )
        ended = CounterMetricFamily(
            "formstream_job_attempts", "Attempts that ended, of all workers.", labels=["kind", "outcome"]
        )
        took = SummaryMetricFamily(
            "formstream_job_duration_seconds", "From the start of an attempt to its end.", labels=["kind", "outcome"]
        )
        waited = SummaryMetricFamily(
            "formstream_job_lag_seconds", "From the moment a job was due to its start.", labels=["kind", "outcome"]
        )
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
