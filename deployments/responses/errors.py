"""What can go wrong with responses."""

from deployments.kit.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ResponseNotFound(NotFound):
    code, title = "response.not_found", "There is no such response"


class InvalidAnswers(Invalid):
    code, title = "response.invalid", "The answers are not valid"


class FormClosed(Forbidden):
    code, title = "form.closed", "The form takes no answers at the moment"


class FormFull(Forbidden):
    code, title = "quota.responses", "The form holds as many responses as it may"


class QuotaReached(Forbidden):
    code, title = "form.quota_full", "Enough people have given this answer"


class Unquarantinable(Conflict):
    code, title = "response.not_complete", "Only a complete response can be taken for spam"


class NotReleasable(Conflict):
    code, title = "response.not_quarantined", "The response is not taken for spam"


class LoginRequired(Unauthenticated):
    code, title = "form.login_required", "The form is for people who have logged in"


class AlreadyAnswered(Conflict):
    code, title = "response.already_answered", "You have answered this form already"


class IdempotencyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The idempotency key was used with another request"


class SubmissionConflict(Conflict):
    code, title = "response.conflict", "The response could not be stored beside a concurrent one"


class IdempotencyRunning(Conflict):
    code, title = "idempotency.running", "A request with this idempotency key is being worked on"


class PartialNotFound(NotFound):
    """One answer for tokens that never were, that have expired, and whose response or form is gone."""

    code, title = "response.not_found", "There is no such response"


class AlreadyCompleted(Conflict):
    code, title = "response.completed", "The response has been submitted"


class NotComplete(Conflict):
    code, title = "response.partial", "The response has not been submitted yet"


class RevisionOutdated(PreconditionFailed):
    code, title = "response.outdated", "The response was changed meanwhile"


class RevisionNotFound(NotFound):
    code, title = "response.revision_not_found", "There is no such revision"


class CommentNotFound(NotFound):
    code, title = "comment.not_found", "There is no such comment"


class CommentForeign(Forbidden):
    code, title = "comment.foreign", "The comment is somebody else's"


class CommentFixed(Conflict):
    code, title = "comment.review", "The remark of a decision stays as it is"


class TooManyComments(Conflict):
    code, title = "comment.too_many", "The response has as many comments as it may"


class InvalidChange(Invalid):
    code, title = "response.invalid_change", "The change cannot be made"


class SearchBehind(Unavailable):
    code, title = "search.behind", "Very many responses came or changed; their texts can be searched in a moment"


class AddressBusy(TooManyRequests):
    code, title = "form.rate_limited", "There were too many responses from this network address"


class CaptchaDown(Unavailable):
    code, title = "captcha.unavailable", "Nobody can check at the moment that you are a person"


class CaptchaPending(Conflict):
    """Never told to a client: the edge calls once more, where waiting for the provider holds up nobody else."""

    code, title = "captcha.pending", "The captcha has to be checked first"
