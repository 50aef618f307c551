"""Every number of the event transport, with its reason; read once at the composition root and passed down."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class EventingSettings(BaseModel):
    """Where NATS is and how events are published, kept and consumed. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats_url: str = Field(
        min_length=1, repr=False, description="NATS servers, comma separated; may hold credentials, so never logged."
    )
    nats_tls_ca: Path | None = Field(
        default=None, description="CAs that the servers' certificates are checked with; none for the system's."
    )
    nats_tls_cert: Path | None = Field(
        default=None, description="Certificate that we show to the servers; none for none."
    )
    nats_tls_key: Path | None = Field(default=None, description="Key of that certificate.")
    inbox_prefix: str = Field(
        default="_INBOX",
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        description="Subject prefix of replies. Give each NATS user its own, or users can read each other's replies.",
    )
    connect_timeout_s: Seconds = Field(default=10.0, description="Deadline of the first connection.")
    reconnect_wait_s: Seconds = Field(default=1.0, description="Mean pause between reconnection attempts (±50 %).")
    ping_interval_s: int = Field(default=10, ge=1, description="A dead connection is noticed after about two of these.")
    pending_bytes: int = Field(
        default=256 * 1024,
        ge=1024,
        description="Publishes buffered while disconnected; small, so a publisher learns at once that NATS is away.",
    )

    replicas: int = Field(
        default=1, ge=1, le=5, description="Copies of the stream: 1 on one server, 3 with three or more hosts."
    )
    max_bytes: int = Field(
        default=8 * 1024**3, ge=1024**2, description="Size of the stream; past it publishers are refused, not readers."
    )
    max_age_s: Seconds = Field(
        default=14 * 86_400.0, description="Age at which the stream drops an event; the database keeps it."
    )
    duplicate_window_s: Seconds = Field(
        default=600.0, description="How long JetStream recognises a message id that it has seen."
    )

    cache_bytes: int = Field(
        default=64 * 1024**2, ge=1024**2, description="Size of the cache that processes share, in the server's memory."
    )
    cache_life_s: Seconds = Field(
        default=600.0, description="Age at which that cache forgets a value, whether or not it is still right."
    )

    publish_timeout_s: Seconds = Field(
        default=5.0, description="Deadline of one publish acknowledgement; afterwards the event is sent again."
    )
    relay_batch: int = Field(default=256, ge=1, le=4000, description="Events in flight from the relay at once.")
    poll_interval_s: Seconds = Field(
        default=1.0, description="Safety poll for unpublished events; the nudge after the commit is the fast way."
    )

    busy_pause_s: Seconds = Field(
        default=0.05, description="Pause after a batch of many, so that under load batches grow instead of multiplying."
    )
    busy_batch: int = Field(default=8, ge=2, description="Events in a batch from which on there is load.")

    ack_wait_s: Seconds = Field(
        default=30.0, description="Silence of a consumer after which its message is delivered again."
    )
    fetch_batch: int = Field(
        default=256, ge=1, le=1000, description="Messages per pull; what is processed within ack_wait_s."
    )
    max_ack_pending: int = Field(
        default=1024, ge=1, description="Unacknowledged messages per consumer over all its replicas."
    )
    max_attempts: int = Field(default=8, ge=1, description="Attempts before an event becomes a dead letter.")
    retry_delays_s: tuple[Seconds, ...] = Field(
        default=(5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0),
        min_length=1,
        description="Pause before attempt 2, 3, ...; the last one repeats.",
    )
    retry_jitter: float = Field(
        default=0.2, ge=0, lt=1, description="Share by which a pause varies at random, up and down."
    )
