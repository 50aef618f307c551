"""Every setting of the platform, described once. The only place that reads the environment.

Every process reads them first, and some do nothing else: no database and no transport is loaded for that.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.settings import DatabaseSettings
from deployments.analytics.warehouse.settings import WarehouseSettings
from deployments.events.retention import Retention
from deployments.exports.settings import ExportsSettings
from deployments.federation.settings import FederationSettings
from deployments.files.settings import FilesSettings
from deployments.identity.contracts import RateLimit, RouteClass
from deployments.identity.settings import IdentitySettings
from deployments.jobs.settings import JobsSettings
from deployments.kit.secret_keys import SHORTEST, SecretKeys
from deployments.models.settings import ModelsSettings
from deployments.notifications.settings import NotificationsSettings
from deployments.reports.settings import ReportsSettings
from deployments.responses.settings import ResponsesSettings
from deployments.webhooks.policy import Policy as WebhookPolicy
from eventing.job_policy import JobPolicy
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
    database_replica_urls: str = Field(
        default="",
        description="PostgreSQL URLs of read replicas, comma separated; they answer lists and figures while they are "
        "less than half a second behind.",
    )
    nats_url: SecretStr = Field(
        default=SecretStr(""),
        description="NATS servers, nats:// or tls://, comma separated; empty for an embedded server.",
    )
    nats_tls_ca: Path | None = Field(
        default=None,
        description="PEM file of the CAs that sign the certificates of servers at tls://; empty for the system's.",
    )
    nats_tls_cert: Path | None = Field(
        default=None, description="PEM file of the certificate that servers at tls:// are shown; empty for none."
    )
    nats_tls_key: Path | None = Field(default=None, description="PEM file of that certificate's key, not encrypted.")
    nats_replicas: int = Field(default=1, ge=1, le=5, description="Copies of the event stream: 3 on a NATS cluster.")
    event_retention_days: int = Field(
        default=365,
        ge=30,
        le=3650,
        description="Days that a published event stays in the database, to be replayed or to rebuild a lost stream.",
    )
    dead_letter_retention_days: int = Field(
        default=90, ge=1, le=3650, description="Days that a dead letter is kept, and its event with it."
    )
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="Mail server, smtp://user:password@host:port; empty for a folder of .eml files.",
    )
    mail_from: str = Field(default="Formstream <formstream@localhost>", description="Sender of the platform's mail.")
    mail_bounces: str = Field(
        default="",
        pattern=r"^([^@\s<>]{1,64}@[^@\s<>]{1,190})?$",
        description="Mailbox that mail comes back to, with its id behind a plus; empty for the sender's.",
    )
    mailings_per_minute: int = Field(
        default=600, ge=1, le=1_000_000, description="Mails of mailings that each tenant sends in a minute."
    )
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
    egress_ports: str = Field(
        default="80,443,8080,8443",
        pattern=r"^([0-9]{1,5}(,[0-9]{1,5})*)?$",
        description="Ports at public addresses that webhooks may be sent to, comma separated; empty for all. "
        "Networks of `FORMSTREAM_EGRESS_ALLOW` may be reached at any.",
    )
    webhook_disable_after_days: float = Field(
        default=5.0, gt=0, le=90, description="An endpoint that no delivery reached for so long is disabled."
    )
    webhook_retention_days: int = Field(
        default=90, ge=1, le=3650, description="Days that webhook deliveries are kept after they ended."
    )
    mail_retention_days: int = Field(
        default=365,
        ge=30,
        le=3650,
        description="Days that it is known to whom which mail was sent; mailings are forgotten with their mails.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="At least 32 characters. Signs tokens and encrypts stored secrets; `formstream up` makes one.",
    )
    old_secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Secret keys that are accepted beside it while it is rotated, comma separated: those before it, "
        "and the next one.",
    )
    secret_key_file: Path | None = Field(
        default=None,
        description="File with the secret key where `FORMSTREAM_SECRET_KEY` is empty, read again when it changes; "
        "empty for `secret.key` in the data folder.",
    )
    backup_passphrase: SecretStr = Field(
        default=SecretStr(""),
        description="At least 12 characters. Encrypts every backup, and opens it; empty for backups that are not "
        "encrypted unless the command says so.",
    )
    backup_url: str = Field(
        default="",
        description="Where backups are when a command names no place: a folder, or s3://bucket/prefix, which must not "
        "be below that of the files.",
    )
    backup_store_endpoint: str = Field(
        default="",
        description="Address of the S3-compatible store of backups; empty for `FORMSTREAM_OBJECT_STORE_ENDPOINT`.",
    )
    backup_store_region: str = Field(
        default="", description="Region of that store; empty for `FORMSTREAM_OBJECT_STORE_REGION`."
    )
    backup_store_access_key: str = Field(
        default="", description="Access key of that store; empty for that of the files, with its secret."
    )
    backup_store_secret_key: SecretStr = Field(default=SecretStr(""), description="Secret of that key.")
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
    export_life_days: int = Field(default=7, ge=1, le=365, description="Days that an export of responses is kept.")
    lake: bool = Field(
        default=True, description="Write responses to the lake in the object store each day, as Parquet files."
    )
    sql_seconds: float = Field(default=20.0, gt=0, le=300, description="Time for one statement of SQL, in seconds.")
    sql_memory_mb: int = Field(default=512, ge=64, description="Memory of the engine for one statement of SQL, in MiB.")
    sql_max_rows: int = Field(default=100_000, ge=1, description="Most rows that a statement of SQL answers.")
    sql_processes: int = Field(
        default=4, ge=1, le=64, description="Statements of SQL that run at once beside one process of analytics."
    )
    sql_per_tenant: int = Field(
        default=2, ge=1, description="Of these, most for one tenant; beyond that it is told 429."
    )
    warehouse_cache_mb: int = Field(
        default=4_096, ge=64, description="Disk for local copies of tables beside one process of analytics, in MiB."
    )
    report_life_days: int = Field(default=30, ge=1, le=365, description="Days that a report is kept.")
    report_attachment_bytes: int = Field(
        default=5_000_000, ge=0, description="Largest report that a mail carries; a larger one is linked to."
    )
    report_fonts: Path | None = Field(
        default=None, description="Folder with fonts for scripts that the platform's own lack, as Chinese and emoji."
    )
    job_policy: JobPolicy = Field(
        default=JobPolicy(),
        description="What is different for kinds of jobs and queues, as JSON: attempts, pauses, limits, how many at "
        "once; see docs/guides/jobs.md.",
    )
    jobs_kept_days: int = Field(
        default=30, ge=1, le=3650, description="How long finished jobs and their results are kept."
    )
    failed_jobs_kept_days: int = Field(default=90, ge=1, le=3650, description="How long failed jobs are kept.")
    models_dir: Path | None = Field(
        default=None, description="Folder of the AI models; empty for `models` in the data folder."
    )
    model_precision: Literal["int8", "fp32"] = Field(
        default="int8", description="Weights of the text encoder: eight bits, or single precision at half the speed."
    )
    model_threads: int = Field(default=1, ge=1, le=64, description="Threads of one model in one process.")
    search_memory_mb: int = Field(
        default=1_024, ge=16, description="Memory of the indexes of answers by meaning in one process, in MiB."
    )
    generation_model: Path | None = Field(
        default=None, description="Folder of a generating model for ONNX Runtime GenAI; empty for none."
    )
    generation_deadline_s: float = Field(
        default=30.0, gt=0, le=300, description="Time for one text of the generating model, in seconds."
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
    max_listeners: int = Field(
        default=1_000, ge=0, description="Streams of events that one tenant may hold open at one edge."
    )
    tenant_isolation: bool = Field(
        default=True,
        description="Off for an install with one tenant: headers and hosts select none, the default tenant counts.",
    )
    otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="OpenTelemetry collector that gets traces by OTLP/HTTP, as http://collector:4318; empty for none. "
        "`/v1/traces` is added to it, as to OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
    otlp_headers: SecretStr = Field(
        default=SecretStr(""),
        description="Headers for the collector, name=value, comma separated, values percent-encoded, as in "
        "OTEL_EXPORTER_OTLP_HEADERS.",
    )
    sentry_dsn: SecretStr = Field(
        default=SecretStr(""),
        description="Where defects are told, https://key@host/project of a tracker with Sentry's protocol; empty for "
        "nowhere. Told are types and places in the code, no messages, variables or requests.",
    )
    sentry_environment: str = Field(default="production", description="Name of this installation at the tracker.")
    trace_ratio: float = Field(default=1.0, ge=0, le=1, description="Share of the requests whose traces are sent.")
    metrics_token: SecretStr = Field(
        default=SecretStr(""),
        description="What Prometheus shows as a bearer token for /metrics; empty where nobody else reaches the port.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("nats_tls_ca", "nats_tls_cert", "nats_tls_key", "secret_key_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("report_fonts", "nats_tls_ca", "nats_tls_cert", "nats_tls_key", "secret_key_file")
    @classmethod
    def _absolute_or_none(cls, value: Path | None) -> Path | None:
        # Documents are typeset, and workers run, in folders of their own, where a relative path leads nowhere.
        return None if value is None else value.expanduser().resolve()

    def origin(self) -> str:
        """The origin (RFC 6454) under which people reach the platform."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @model_validator(mode="after")
    def _one_tenant(self) -> Self:
        if not self.tenant_isolation and not self.default_tenant:
            raise ValueError("FORMSTREAM_TENANT_ISOLATION=off needs FORMSTREAM_DEFAULT_TENANT")
        return self

    @model_validator(mode="after")
    def _nats_tls(self) -> Self:
        urls = [url.strip() for url in self.nats_url.get_secret_value().split(",")]
        over_tls = [url.startswith("tls://") for url in urls]
        if any(over_tls) and not all(over_tls):
            raise ValueError("FORMSTREAM_NATS_URL names servers with tls:// and without; all have to have it, or none")
        if not all(over_tls) and any((self.nats_tls_ca, self.nats_tls_cert, self.nats_tls_key)):
            raise ValueError("FORMSTREAM_NATS_TLS_CA, _CERT and _KEY need a FORMSTREAM_NATS_URL with tls://")
        if (self.nats_tls_cert is None) != (self.nats_tls_key is None):
            raise ValueError("FORMSTREAM_NATS_TLS_CERT and FORMSTREAM_NATS_TLS_KEY need each other")
        return self

    def database(self) -> DatabaseSettings:
        """The data room's part."""
        from db.engine import normalise_url

        url = self.database_url or f"sqlite:///{self.data_dir / 'formstream.db'}"
        replicas = () if url.startswith("sqlite") else self.database_replica_urls.split(",")
        return DatabaseSettings(
            url=normalise_url(url),
            pool_size=self.database_pool_size,
            replica_urls=tuple(normalise_url(each.strip()) for each in replicas if each.strip()),
        )

    def eventing(self) -> EventingSettings:
        """The event transport's part."""
        return EventingSettings(
            nats_url=self.nats_url.get_secret_value(),
            nats_tls_ca=self.nats_tls_ca,
            nats_tls_cert=self.nats_tls_cert,
            nats_tls_key=self.nats_tls_key,
            replicas=self.nats_replicas,
        )

    def events_kept(self) -> Retention:
        """How long events and what was made of them are kept."""
        return Retention(
            stream=timedelta(seconds=EventingSettings.model_fields["max_age_s"].default),
            log=timedelta(days=self.event_retention_days),
            dead_letters=timedelta(days=self.dead_letter_retention_days),
        )

    def identity(self) -> IdentitySettings:
        """Identity's part."""
        return IdentitySettings(
            signing_key=self.secret_keys().derived("access-tokens").digits(),
            signup_enabled=self.signup_enabled,
            require_verified_email=self.require_verified_email,
            tenant_grace_days=self.tenant_grace_days,
            access_token_life_s=self.access_token_life_s,
            public_url=self.origin(),
        )

    def notifications(self) -> NotificationsSettings:
        """Notifications' part."""
        from deployments.notifications.sms import token_of

        return NotificationsSettings(
            signing_key=self.secret_keys().derived("mail").digits(),
            public_url=self.origin(),
            sender=self.mail_from,
            bounces=self.mail_bounces,
            sms_token=SecretStr(token_of(self.sms_url.get_secret_value())),
            mailings_per_minute=self.mailings_per_minute,
        )

    def jobs(self) -> JobsSettings:
        """Jobs' part."""
        return JobsSettings(kept_days=self.jobs_kept_days, failed_kept_days=self.failed_jobs_kept_days)

    def responses(self) -> ResponsesSettings:
        """Responses' part."""
        return ResponsesSettings(partial_life_days=self.partial_life_days, public_url=self.origin())

    def edge(self) -> EdgeSettings:
        """The edge's part."""
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
            max_listeners=self.max_listeners,
            # It may have to wait for its turn, and its answer is large.
            sql_deadline_s=self.sql_seconds + 10.0,
            tenant_isolation=self.tenant_isolation,
            metrics_token=self.metrics_token,
            session_key=self.secret_keys().derived("cookie-sessions").digits() if self.has_secret_key() else None,
        )

    def federation(self) -> FederationSettings:
        """Federation's part."""
        return FederationSettings(public_url=self.origin(), egress_allow=self.egress_networks())

    def object_store(self) -> str:
        """The URL of the object store."""
        return self.object_store_url or f"file://{self.data_dir / 'objects'}"

    def object_store_options(self) -> dict[str, Any]:
        """How an S3-compatible store is reached; empty for other stores."""
        return _s3_options(
            self.object_store_url,
            endpoint=self.object_store_endpoint,
            region=self.object_store_region,
            access_key=self.object_store_access_key,
            secret_key=self.object_store_secret_key,
        )

    def backup_store_options(self, url: str) -> dict[str, Any]:
        """How the store of backups at the URL is reached."""
        own_key = bool(self.backup_store_access_key)
        return _s3_options(
            url,
            endpoint=self.backup_store_endpoint or self.object_store_endpoint,
            region=self.backup_store_region or self.object_store_region,
            access_key=self.backup_store_access_key if own_key else self.object_store_access_key,
            secret_key=self.backup_store_secret_key if own_key else self.object_store_secret_key,
        )

    def files(self) -> FilesSettings:
        """The files' part."""
        return FilesSettings(
            signing_key=self.secret_keys().derived("files").digits(),
            public_url=self.origin(),
            max_file_bytes=self.max_file_bytes,
            max_image_pixels=self.max_image_pixels,
            uploads_per_hour=self.uploads_per_hour,
            clamav_url=self.clamav_url,
            clamav_down=self.clamav_down,
        )

    def egress_port_numbers(self) -> tuple[int, ...]:
        """Ports at public addresses that may be dialled; none named means all."""
        return tuple(int(part) for part in self.egress_ports.split(",") if part)

    def webhooks(self) -> WebhookPolicy:
        """How deliveries are paced and when an endpoint is disabled."""
        return WebhookPolicy(
            disable_after=timedelta(days=self.webhook_disable_after_days),
            keep=timedelta(days=self.webhook_retention_days),
        )

    def warehouse(self) -> WarehouseSettings:
        """The warehouse's part."""
        return WarehouseSettings(
            folder=self.data_dir / "warehouse",
            cache_bytes=self.warehouse_cache_mb << 20,
            memory=self.sql_memory_mb << 20,
            processes=self.sql_processes,
            per_tenant=self.sql_per_tenant,
            seconds=self.sql_seconds,
            rows=self.sql_max_rows,
        )

    def exports(self) -> ExportsSettings:
        """The exports' part."""
        return ExportsSettings(
            signing_key=self.secret_keys().derived("exports").digits(),
            public_url=self.origin(),
            life_days=self.export_life_days,
            lake=self.lake,
        )

    def reports(self) -> ReportsSettings:
        """The reports' part."""
        return ReportsSettings(
            signing_key=self.secret_keys().derived("reports").digits(),
            public_url=self.origin(),
            life_days=self.report_life_days,
            attachment_bytes=self.report_attachment_bytes,
            fonts=self.report_fonts,
        )

    def models(self) -> ModelsSettings:
        """The models' part."""
        return ModelsSettings(
            folder=self.models_dir or self.data_dir / "models",
            precision=self.model_precision,
            threads=self.model_threads,
            generation_model=self.generation_model,
            generation_deadline_s=self.generation_deadline_s,
        )

    def otlp_header_pairs(self) -> dict[str, str]:
        """The headers for the collector."""
        parts = [part.partition("=") for part in self.otlp_headers.get_secret_value().split(",") if part.strip()]
        return {name.strip(): unquote(value.strip()) for name, _, value in parts}

    def egress_networks(self) -> tuple[str, ...]:
        """The private networks that webhooks and login providers may be in."""
        return tuple(part.strip() for part in self.egress_allow.split(",") if part.strip())

    def keys_file(self) -> Path:
        """Where the secret key is kept when none is given."""
        return self.secret_key_file or self.data_dir / "secret.key"

    def old_keys(self) -> tuple[str, ...]:
        """The secret keys that are accepted beside the one that is given or kept."""
        parts = self.old_secret_keys.get_secret_value().split(",")
        return tuple(part.strip() for part in parts if part.strip())

    def has_secret_key(self) -> bool:
        """Whether a secret key is given or kept."""
        return bool(self.secret_key.get_secret_value()) or self.keys_file().is_file()

    def secret_keys(self) -> SecretKeys:
        """The secret key and those beside it. Raises ValueError when there is none, or when one is too short."""
        if not self.has_secret_key():
            raise ValueError(f"FORMSTREAM_SECRET_KEY needs at least {SHORTEST} characters")
        given, old = self.secret_key.get_secret_value(), self.old_keys()
        if given and len(given) < SHORTEST:
            raise ValueError(f"FORMSTREAM_SECRET_KEY needs at least {SHORTEST} characters")
        if any(len(key) < SHORTEST for key in old):
            raise ValueError(f"Each of FORMSTREAM_OLD_SECRET_KEYS needs at least {SHORTEST} characters")
        if given:
            return SecretKeys(given, also=old)
        try:
            return SecretKeys(file=self.keys_file(), also=old)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.keys_file()} cannot be used: {error}") from None


def _s3_options(url: str, *, endpoint: str, region: str, access_key: str, secret_key: SecretStr) -> dict[str, Any]:
    if not url.startswith(("s3:", "s3a:")):
        return {}
    given = {
        "endpoint": endpoint,
        "region": region or "us-east-1",
        "access_key_id": access_key,
        "secret_access_key": secret_key.get_secret_value(),
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value}
    if endpoint.startswith("http:"):
        options["client_options"] = {"allow_http": True}
    return options
