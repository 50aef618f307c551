"""The job queue: work that happens later, at least once, with attempts, progress and an outcome."""

from eventing.jobs.enqueue import enqueue, enqueue_again, enqueue_all, jobs_topic
from eventing.jobs.kind import JobKind, JobRun, JobSpec
from eventing.jobs.outcomes import Done, Effect, GiveUp, JobCancelled, Retry, SoftLimitExceeded
from eventing.jobs.runner import JobRunner

__all__ = [
    "Done",
    "Effect",
    "GiveUp",
    "JobCancelled",
    "JobKind",
    "JobRun",
    "JobRunner",
    "JobSpec",
    "Retry",
    "SoftLimitExceeded",
    "enqueue",
    "enqueue_again",
    "enqueue_all",
    "jobs_topic",
]
