"""What can go wrong with jobs."""

from deployments.kit.errors import Conflict, Invalid, NotFound


class JobNotFound(NotFound):
    code, title = "job.not_found", "There is no such job"


class JobFinished(Conflict):
    code, title = "job.finished", "The job is over and cannot be cancelled"


class JobNotRetryable(Conflict):
    code, title = "job.not_retryable", "Only a failed or cancelled job can be run again"


class JobSuperseded(Conflict):
    code, title = "job.superseded", "Another job does the same already"


class NotPaused(Conflict):
    code, title = "queue.not_paused", "This is not paused"


class ScheduleNotFound(NotFound):
    code, title = "schedule.not_found", "There is no such schedule"


class ScheduleNameTaken(Conflict):
    code, title = "schedule.name_taken", "There is a schedule of this name already"


class TooManySchedules(Conflict):
    code, title = "schedule.too_many", "The tenant has as many schedules as it may"


class InvalidSchedule(Invalid):
    code, title = "schedule.invalid", "The schedule is not valid"
