"""What can go wrong with jobs."""

from deployments.kit.errors import Conflict, NotFound


class JobNotFound(NotFound):
    code, title = "job.not_found", "There is no such job"


class JobFinished(Conflict):
    code, title = "job.finished", "The job is over and cannot be cancelled"


class JobNotRetryable(Conflict):
    code, title = "job.not_retryable", "Only a failed or cancelled job can be run again"
