"""What can go wrong with responses."""

from deployments.kit.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


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


class TenantSuspended(Forbidden):
    code, title = "tenant.suspended", "The tenant is suspended"


class IdempotencyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The idempotency key was used with another request"


class SubmissionConflict(Conflict):
    code, title = "response.conflict", "The response could not be stored beside a concurrent one"


class SearchBehind(Unavailable):
    code, title = "search.behind", "Very many responses came or changed; their texts can be searched in a moment"
