"""The one shape of a failure that a caller is meant to see: status, code, sentence, details."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the input: a JSON pointer (RFC 6901), a stable dotted code and a sentence."""

    pointer: str
    code: str
    detail: str


class DomainError(Exception):
    """A failure with an HTTP meaning (RFC 9457). Subclasses set `status`, `code` and `title`.

    `detail` is the sentence for this occurrence, `faults` names every error of the input, `retry_after`
    is in seconds, `members` are further members of the problem document, for failures that say how to go on (RFC 9457
    §3.2). Survives pickling, because Ray carries it across process boundaries.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after: float | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.faults = faults
        self.retry_after = retry_after
        self.members = dict(members or {})
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ drops keyword-only arguments.
        return _rebuild, (type(self), self.detail, self.faults, self.retry_after, self.members)

    @classmethod
    def at(cls, pointer: str, code: str, detail: str) -> Self:
        """The failure with a single fault."""
        return cls(detail, faults=(Fault(pointer, code, detail),))


def _rebuild(
    cls: type[DomainError],
    detail: str,
    faults: tuple[Fault, ...],
    retry_after: float | None,
    members: Mapping[str, Any],
) -> DomainError:
    return cls(detail, faults=faults, retry_after=retry_after, members=members)


class BadRequest(DomainError):
    status, code, title = 400, "bad_request", "Bad request"


class TenantRequired(BadRequest):
    """The platform's own tenant holds administrators, and nothing of customers."""

    code, title = "tenant.required", "Name the tenant this is for"


class Unauthenticated(DomainError):
    status, code, title = 401, "unauthenticated", "Valid credentials are required"


class Forbidden(DomainError):
    status, code, title = 403, "forbidden", "Not allowed"


class TenantSuspended(Forbidden):
    code, title = "tenant.suspended", "The tenant is suspended"


class NotFound(DomainError):
    status, code, title = 404, "not_found", "Not found"


class Conflict(DomainError):
    status, code, title = 409, "conflict", "Conflict"


class PreconditionFailed(DomainError):
    status, code, title = 412, "precondition_failed", "The object has changed since it was read"


class PayloadTooLarge(DomainError):
    status, code, title = 413, "payload_too_large", "The request body is too large"


class UnsupportedMediaType(DomainError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(DomainError):
    status, code, title = 422, "invalid", "The input is not valid"


class TooManyRequests(DomainError):
    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(DomainError):
    status, code, title = 503, "unavailable", "The service is not available at the moment"


class DeadlineExceeded(DomainError):
    status, code, title = 504, "deadline_exceeded", "The request took too long"
