"""What forecasts and alarms can refuse."""

from deployments.kit.errors import Conflict, Invalid, NotFound, Unavailable


class AlarmNotFound(NotFound):
    code, title = "alarm.not_found", "There is no such alarm"


class InvalidAlarm(Invalid):
    code, title = "alarm.invalid", "The alarm cannot be set like this"


class TooManyAlarms(Conflict):
    code, title = "alarm.too_many", "The form has as many alarms as it can"


class ForecastBusy(Unavailable):
    """Others are waiting for the process that learns from figures, or it took too long."""

    code, title = "forecast.busy", "Too many ask for forecasts at the moment"


class ForecastFailed(Unavailable):
    code, title = "forecast.failed", "Nothing can be learned from these figures"
