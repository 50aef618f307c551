"""What the edge can be told."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from deployments.identity.contracts import RateLimit, RouteClass
from deployments.kit.secret_keys import RotatingKey

MEBIBYTE = 1024 * 1024


class EdgeSettings(BaseModel):
    """Address, limits and deadlines of the HTTP edge. Sizes are in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port; 0 takes a free one.")
    object_store_url: str = Field(description="Where uploads go: file:///folder, s3://bucket/prefix, …")
    object_store_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Endpoint and keys of an S3-compatible store."
    )
    max_body: int = Field(default=MEBIBYTE, ge=1, description="Largest request body, where nothing else is said.")
    max_form_body: int = Field(default=2 * MEBIBYTE, ge=1, description="Largest body with a form definition.")
    max_upload: int = Field(default=512 * MEBIBYTE, ge=1, description="Largest uploaded file with its form fields.")
    deadline_s: float = Field(default=10.0, gt=0, description="Time for a call to a context, and for a body to arrive.")
    submit_deadline_s: float = Field(default=5.0, gt=0, description="Time for the call that stores a submission.")
    examine_deadline_s: float = Field(default=90.0, gt=0, description="Time for looking into an uploaded file.")
    generate_deadline_s: float = Field(default=60.0, gt=0, description="Time for a text that a model writes.")
    sql_deadline_s: float = Field(default=30.0, gt=0, description="Time for one statement of SQL, with its answer.")
    upload_deadline_s: float = Field(default=900.0, gt=0, description="Time for an upload to arrive.")
    drain_s: float = Field(default=15.0, ge=0, description="Time for requests in flight when the edge stops.")
    access_log: bool = Field(default=False, description="Log every request, not only failed and slow ones.")
    slow_s: float = Field(default=1.0, gt=0, description="A request that takes longer is logged.")
    proxies: int = Field(default=0, ge=0, description="Trusted reverse proxies in front (X-Forwarded-For entries).")
    metrics_token: SecretStr = Field(
        default=SecretStr(""), description="Opens the metrics, as a bearer token; empty for no need of one."
    )
    docs: bool = Field(default=True, description="Serve the API document and its page.")
    public_url: str = Field(default="", description="Address of the platform as clients see it, https://host.")
    console_origins: frozenset[str] = Field(
        default=frozenset(), description="Web origins that may use every operation, with cookies too."
    )
    default_tenant: str = Field(default="", description="Tenant of clients that name none; empty for none.")
    tenant_domain: str = Field(default="", description="Domain below which each label is a tenant; empty for none.")
    rate_limits: dict[RouteClass, RateLimit | None] = Field(
        default_factory=dict, description="Rate limits where a tenant's settings say nothing."
    )
    tenant_isolation: bool = Field(default=True, description="Whether headers and host names select tenants.")
    session_key: RotatingKey | None = Field(
        default=None, description="Binds CSRF tokens to cookie sessions; none for one of this process."
    )
    head_timeout_s: float = Field(default=15.0, gt=0, description="Time for the head of a request to arrive.")
    idle_timeout_s: float = Field(default=75.0, gt=0, description="How long a connection may be idle.")
    write_timeout_s: float = Field(default=30.0, gt=0, description="How long a client may leave an answer untaken.")
    max_connections: int = Field(default=10_000, ge=1, description="Connections of one replica.")
    max_connections_per_address: int = Field(default=0, ge=0, description="Of one address; 0 for any number.")

    max_listeners: int = Field(default=1_000, ge=0, description="Streams of events that one tenant may hold open.")

    @property
    def secure(self) -> bool:
        """Whether browsers come over TLS."""
        return self.public_url.startswith("https://")
