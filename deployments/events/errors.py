"""What can go wrong with events."""

from deployments.kit.errors import Conflict, DomainError, Invalid, NotFound


class EventNotFound(NotFound):
    code, title = "event.not_found", "There is no such event"


class EventHasNoPlace(DomainError):
    status, code, title = 410, "event.not_in_stream", "The event is not in the stream, so nothing can follow it"


class DeadLetterNotFound(NotFound):
    code, title = "dead_letter.not_found", "There is no such dead letter"


class NotRedrivable(Conflict):
    code, title = "dead_letter.not_redrivable", "The event is not in the log, or nobody consumes it any more"


class InvalidChoice(Invalid):
    code, title = "dead_letter.choice", "Say which dead letters are meant"


class InvalidReplay(Invalid):
    code, title = "replay.invalid", "The replay is not valid"


class ReplayKeyReused(Invalid):
    code, title = "idempotency.mismatch", "The key was used for another replay"
