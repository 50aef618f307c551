"""What the API can do, as values: each route is an `Operation`, from which the server and its document are made."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter
from sanic import Request

from deployments.identity.contracts import RouteClass
from deployments.identity.permissions import PERMISSIONS
from deployments.kit.contract import Contract
from deployments.kit.errors import DomainError
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from serve_app.edge.answer import Answer
from serve_app.edge.apis import Apis
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.deprecation import Deprecation
from serve_app.edge.errors import problem
from serve_app.edge.live import LiveEvents
from serve_app.edge.settings import EdgeSettings

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Headers: TypeAlias = tuple[tuple[str, str], ...]


class Access(Enum):
    """Who may use an operation that needs no particular scope."""

    PUBLIC = "anyone, without a credential"
    SIGNED_IN = "anyone with a valid credential"


class Body(Enum):
    """How the request body reaches the handler."""

    JSON = "parsed and validated"
    RAW_JSON = "as the bytes that came; the context parses it"
    STREAM = "unread; the handler reads it piece by piece"


@dataclass(slots=True)
class Exchange:
    """One request and what is known about it. `body` and `query` are what the operation's types describe,
    `allowed_origins` those of the tenant, where its limits were looked up."""

    request: Request
    apis: Apis
    settings: EdgeSettings
    objects: ObjectStore
    principal: Principal
    path: Mapping[str, str]
    cookies: CookieSessions
    renewed: Callable[[], Awaitable[Principal]]
    """The caller as they are now, asked again; raises when they may not use the operation any more."""
    live: LiveEvents
    allowed_origins: Sequence[str] = ()
    query: Any = None
    body: Any = None

    def header(self, name: str) -> str | None:
        """The value of a request header; name in lower case."""
        value: str | None = self.request.headers.getone(name, None)
        return value


@dataclass(slots=True)
class Reply:
    """The answer: a contract, JSON bytes, or a stream of bytes. Status 0 stands for the operation's own. `length` is
    the size of a stream that is known in advance, in bytes."""

    value: BaseModel | bytes | None = None
    status: int = 0
    headers: Headers = ()
    media_type: str = "application/json"
    stream: AsyncIterator[bytes] | None = None
    length: int | None = None


Handler: TypeAlias = Callable[[Exchange], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class HeaderParameter:
    """A request header that an operation reads."""

    name: str
    description: str
    pattern: str | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route: how it is addressed, who may use it, what it takes and gives.

    `path` is an OpenAPI template. `scope` is the permission it needs; with a `form_id` in the path a grant for that
    form will do, and with `per_form` a grant for any, since the context then looks at the form. `selects_tenant` is for
    public operations without a tenant in the path that act in the one which header or host name select. `rate` is the
    class of its rate limits if any, `max_body` names the limit in EdgeSettings, `errors` are the status codes of its
    own beside those that all can answer with. With `optional_body` no body stands for an empty object. `deprecated`
    tells callers that it is to go, and when.
    """

    id: str
    method: Method
    path: str
    summary: str
    tag: str
    scope: str | Access
    per_form: bool = False
    selects_tenant: bool = False
    handler: Handler
    request: Any = None
    body: Body = Body.JSON
    optional_body: bool = False
    media_type: str = "application/json"
    rate: RouteClass | None = "api"
    max_body: Literal["max_body", "max_form_body", "max_upload"] = "max_body"
    query: type[BaseModel] | None = None
    response: Any = None
    response_media_type: str = "application/json"
    status: int = 200
    headers: tuple[HeaderParameter, ...] = ()
    errors: tuple[int, ...] = ()
    description: str = ""
    example: Mapping[str, Any] | None = None
    documented: bool = True
    deprecated: Deprecation | None = None
    problem: Callable[[DomainError, Request], Answer] = problem
    """How its failures are told."""
    adapter: TypeAdapter[Any] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if not isinstance(self.scope, Access) and self.scope not in PERMISSIONS:
            raise ValueError(f"{self.id} needs the permission {self.scope!r}, which the table does not have")
        if self.request is not None and self.body is Body.JSON:
            object.__setattr__(self, "adapter", TypeAdapter(self.request))


class PageQuery(Contract):
    """Which page of a list."""

    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=100, description="Most entries in the page.")


IDEMPOTENCY_KEY = HeaderParameter(
    "Idempotency-Key",
    "Names this request; sent again with the same key it is carried out once. 1–255 visible ASCII characters.",
    "^[\\x21-\\x7e]{1,255}$",
)
IF_MATCH = HeaderParameter("If-Match", "Entity tag of the revision that the change is based on; 412 when it is older.")
IF_NONE_MATCH = HeaderParameter("If-None-Match", "Entity tag that the client has; 304 when it is still current.")
