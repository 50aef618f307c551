"""Every setting of the platform, described once. The only place that reads the environment."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.engine import normalise_url
from db.settings import DatabaseSettings
from deployments.federation.settings import FederationSettings
from deployments.files.settings import FilesSettings
from deployments.identity.contracts import RateLimit, RouteClass
from deployments.identity.settings import IdentitySettings
from deployments.kit.vault import derive_key
from deployments.responses.settings import ResponsesSettings
from eventing.settings import EventingSettings
from serve_app.edge.settings import EdgeSettings


class Settings(BaseSettings):
    """Read from `FORMSTREAM_*` variables. Rooms get their own part of it as arguments."""

    model_config = SettingsConfigDict(env_prefix="FORMSTREAM_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path(".formstream"), description="Folder of everything that is kept locally.")
    host: str = Field(default="127.0.0.1", description="Address that the edge listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the edge listens on.")
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.\[\]:-]{1,253})?$",
        description="Origin that people's browsers use, for links in mails; empty for http:// with host and port. "
        "With https:// cookies are Secure and browsers are told to use TLS only.",
    )
    database_url: str = Field(
        default="", description="PostgreSQL or SQLite URL; empty for a SQLite file in the data folder."
    )
    database_pool_size: int = Field(default=8, ge=1, le=200, description="Database connections of one process.")
    nats_url: SecretStr = Field(
        default=SecretStr(""), description="NATS servers, comma separated; empty for an embedded server."
    )
    nats_replicas: int = Field(default=1, ge=1, le=5, description="Copies of the event stream: 3 on a NATS cluster.")
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="Mail server, smtp://user:password@host:port; empty for a folder of .eml files.",
    )
    mail_from: str = Field(default="Formstream <formstream@localhost>", description="Sender of the platform's mail.")
    sms_url: SecretStr = Field(
        default=SecretStr(""),
        description="Provider of text messages, twilio://sid:token@host?from=+15550100; empty for a folder of files.",
    )
    object_store_url: str = Field(
        default="", description="Where files go: s3://bucket/prefix, file:///folder; empty for the data folder."
    )
    object_store_endpoint: str = Field(
        default="", description="Address of an S3-compatible store, https://host:port; empty for AWS."
    )
    object_store_region: str = Field(default="", description="Region of the S3 store; empty for us-east-1.")
    object_store_access_key: str = Field(
        default="", description="Access key of the S3 store; empty for what the machine itself is allowed."
    )
    object_store_secret_key: SecretStr = Field(default=SecretStr(""), description="Secret of that key.")
    max_file_bytes: int = Field(
        default=25 * 1024 * 1024, ge=1, description="Largest file of an answer, where its field does not say less."
    )
    max_image_pixels: int = Field(
        default=50_000_000, ge=1, description="Most pixels of an uploaded image, all frames together."
    )
    uploads_per_hour: int = Field(default=200, ge=1, description="Files that a visitor's address may begin in an hour.")
    clamav_url: str = Field(
        default="",
        pattern=r"^(tcp://.+|unix:///.+)?$",
        description="ClamAV's daemon, tcp://host:3310 or unix:///path, which sees every upload; empty for none.",
    )
    clamav_down: Literal["refuse", "accept"] = Field(
        default="refuse", description="Uploads while clamd is away: refused with 503, or accepted as not scanned."
    )
    egress_allow: str = Field(
        default="",
        description="Private networks that webhooks and login providers may be in, comma separated CIDR; "
        "none by default.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="At least 32 characters. Signs tokens and encrypts stored secrets; `formstream up` makes one.",
    )
    admin_email: str = Field(default="", description="E-mail of the first platform administrator.")
    admin_password: SecretStr = Field(
        default=SecretStr(""), description="Password of the first platform administrator; generated when empty."
    )
    signup_enabled: bool = Field(default=True, description="Whether anybody may create a tenant.")
    require_verified_email: bool = Field(
        default=False, description="Refuse to log people in before they verified their e-mail address."
    )
    tenant_grace_days: int = Field(
        default=30, ge=0, le=3650, description="How long a deleted tenant can be resumed before it may be erased."
    )
    partial_life_days: int = Field(
        default=30, ge=1, le=365, description="Days that a partial response is kept after it was last saved."
    )
    access_token_life_s: int = Field(default=900, ge=60, le=86_400, description="Life of an access token in seconds.")
    signing_algorithm: Literal["HS256", "ES256", "EdDSA"] = Field(
        default="HS256",
        description="How access tokens are signed. ES256 and EdDSA publish their keys at `/.well-known/jwks.json`.",
    )
    access_log: bool = Field(default=False, description="Log every request, not only failed and slow ones.")
    trusted_proxies: int = Field(default=0, ge=0, le=10, description="Reverse proxies in front of the edge.")
    console_origins: str = Field(
        default="", description="Web origins that may use every operation, with cookies too; comma separated."
    )
    default_tenant: str = Field(default="", description="Tenant of clients that name none; empty for none.")
    tenant_domain: str = Field(
        default="",
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$",
        description="Domain with a host name for each tenant, acme.<domain>; empty for none.",
    )
    rate_limits: dict[RouteClass, RateLimit | None] = Field(
        default={"auth": RateLimit(caller_per_minute=1_000)},
        description="Calls a minute by class of routes, as JSON, where a tenant's settings say nothing.",
    )
    tenant_isolation: bool = Field(
        default=True,
        description="Off for an install with one tenant: headers and hosts select none, the default tenant counts.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    def origin(self) -> str:
        """The origin (RFC 6454) under which people reach the platform."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @model_validator(mode="after")
    def _one_tenant(self) -> Self:
        if not self.tenant_isolation and not self.default_tenant:
            raise ValueError("FORMSTREAM_TENANT_ISOLATION=off needs FORMSTREAM_DEFAULT_TENANT")
        return self

    def database(self) -> DatabaseSettings:
        """The data room's part."""
        url = self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'formstream.db'}"
        return DatabaseSettings(url=normalise_url(url), pool_size=self.database_pool_size)

    def eventing(self) -> EventingSettings:
        """The event transport's part."""
        return EventingSettings(nats_url=self.nats_url.get_secret_value(), replicas=self.nats_replicas)

    def identity(self) -> IdentitySettings:
        """Identity's part."""
        return IdentitySettings(
            signing_key=SecretStr(derive_key(self.secret(), "access-tokens").hex()),
            signup_enabled=self.signup_enabled,
            require_verified_email=self.require_verified_email,
            tenant_grace_days=self.tenant_grace_days,
            access_token_life_s=self.access_token_life_s,
            public_url=self.origin(),
        )

    def responses(self) -> ResponsesSettings:
        """Responses' part."""
        return ResponsesSettings(partial_life_days=self.partial_life_days)

    def edge(self) -> EdgeSettings:
        """The edge's part."""
        secret = self.secret_key.get_secret_value()
        return EdgeSettings(
            host=self.host,
            port=self.port,
            object_store_url=self.object_store(),
            object_store_options=self.object_store_options(),
            access_log=self.access_log,
            proxies=self.trusted_proxies,
            public_url=self.origin(),
            console_origins=frozenset(part.strip() for part in self.console_origins.split(",") if part.strip()),
            default_tenant=self.default_tenant,
            tenant_domain=self.tenant_domain,
            rate_limits=self.rate_limits,
            tenant_isolation=self.tenant_isolation,
            session_key=SecretStr(derive_key(secret, "cookie-sessions").hex() if secret else ""),
        )

    def federation(self) -> FederationSettings:
        """Federation's part."""
        return FederationSettings(public_url=self.origin(), egress_allow=self.egress_networks())

    def object_store(self) -> str:
        """The URL of the object store."""
        return self.object_store_url or f"file://{self.data_dir / 'objects'}"

    def object_store_options(self) -> dict[str, Any]:
        """How an S3-compatible store is reached; empty for other stores."""
        if not self.object_store_url.startswith(("s3:", "s3a:")):
            return {}
        given = {
            "endpoint": self.object_store_endpoint,
            "region": self.object_store_region or "us-east-1",
            "access_key_id": self.object_store_access_key,
            "secret_access_key": self.object_store_secret_key.get_secret_value(),
        }
        options: dict[str, Any] = {name: value for name, value in given.items() if value}
        if self.object_store_endpoint.startswith("http:"):
            options["client_options"] = {"allow_http": True}
        return options

    def files(self) -> FilesSettings:
        """The files' part."""
        return FilesSettings(
            signing_key=SecretStr(derive_key(self.secret(), "files").hex()),
            public_url=self.origin(),
            max_file_bytes=self.max_file_bytes,
            max_image_pixels=self.max_image_pixels,
            uploads_per_hour=self.uploads_per_hour,
            clamav_url=self.clamav_url,
            clamav_down=self.clamav_down,
        )

    def egress_networks(self) -> tuple[str, ...]:
        """The private networks that webhooks and login providers may be in."""
        return tuple(part.strip() for part in self.egress_allow.split(",") if part.strip())

    def secret(self) -> str:
        """The secret key. Raises ValueError when it is missing or too short."""
        secret = self.secret_key.get_secret_value()
        if len(secret) < 32:
            raise ValueError("FORMSTREAM_SECRET_KEY needs at least 32 characters")
        return secret
