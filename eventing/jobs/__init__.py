"""The job queue: work that happens later, at least once, with attempts, progress and an outcome."""

from eventing.job_policy import QUEUES, JobPolicy
from eventing.jobs.enqueue import enqueue, enqueue_again, enqueue_all, jobs_topic, opened
from eventing.jobs.kind import LOWEST, JobKind, JobRun, JobSpec, exponential
from eventing.jobs.outcomes import Done, Effect, GiveUp, JobCancelled, Retry, SoftLimitExceeded
from eventing.jobs.runner import JobRunner

__all__ = [
    "LOWEST",
    "QUEUES",
    "Done",
    "Effect",
    "GiveUp",
    "JobCancelled",
    "JobKind",
    "JobPolicy",
    "JobRun",
    "JobRunner",
    "JobSpec",
    "Retry",
    "SoftLimitExceeded",
    "enqueue",
    "enqueue_again",
    "enqueue_all",
    "exponential",
    "jobs_topic",
    "opened",
]
