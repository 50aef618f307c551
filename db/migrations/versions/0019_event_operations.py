"""What operators do with events: dead letters and replays"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import is_postgres, protect
from db.roles import SYSTEM_ROLE
from db.types import JsonColumn, UTCDateTime

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER_EVENTS = """UPDATE event SET sequence = numbered.place
    FROM (SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY published_at, id) AS place
        FROM event WHERE published_at IS NOT NULL) AS numbered
    WHERE event.tenant_id = numbered.tenant_id AND event.id = numbered.id"""
_COUNT_EVENTS = """INSERT INTO event_counter (tenant_id, last)
    SELECT tenant_id, max(sequence) FROM event WHERE sequence IS NOT NULL GROUP BY tenant_id"""
_INDEXES = {"ix_event_type": "type", "ix_event_entity": "entity_id"}


def _add_sequence() -> None:
    """The order in which events can be followed, and indexes for looking them up."""
    op.create_table(
        "event_counter",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_event_counter")),
    )
    protect("event_counter")
    op.add_column("event", sa.Column("sequence", sa.BigInteger(), nullable=True))
    if is_postgres():
        op.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")  # Row-level security is forced on the owner, too.
    op.execute(_NUMBER_EVENTS)
    op.execute(_COUNT_EVENTS)
    if is_postgres():
        op.execute("RESET ROLE")
    op.create_index("ix_event_sequence", "event", ["tenant_id", "sequence"])
    for name, column in _INDEXES.items():
        op.create_index(name, "event", ["tenant_id", column, "id"])


def _drop_sequence() -> None:
    for name in (*_INDEXES, "ix_event_sequence"):
        op.drop_index(name, table_name="event")
    op.drop_column("event", "sequence")
    op.drop_table("event_counter")


_DELIVERY = "uq_webhook_delivery_event"


def upgrade() -> None:
    _add_sequence()
    _add_turns()
    _add_health()


def downgrade() -> None:
    _drop_health()
    _drop_turns()
    _drop_sequence()


def _add_turns() -> None:
    """Another turn at an event, for a consumer or a webhook."""
    with op.batch_alter_table("processed_event") as batch:
        batch.add_column(_generation())
        batch.drop_constraint(op.f("pk_processed_event"), type_="primary")
        batch.create_primary_key(op.f("pk_processed_event"), ["tenant_id", "consumer", "event_id", "generation"])
    op.add_column("failed_event", _generation())
    op.create_index("ix_dead_letter_created", "dead_letter", ["created_at"])
    op.add_column("webhook_delivery", sa.Column("replay_id", sa.String(), nullable=False, server_default=""))
    op.drop_index(_DELIVERY, "webhook_delivery")
    op.create_index(_DELIVERY, "webhook_delivery", ["tenant_id", "endpoint_id", "event_id", "replay_id"], unique=True)


def _generation() -> sa.Column[str]:
    return sa.Column("generation", sa.String(), nullable=False, server_default="")


def _drop_turns() -> None:
    if is_postgres():
        op.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")  # Row-level security is forced on the owner, too.
    op.execute("DELETE FROM webhook_delivery WHERE replay_id <> ''")
    op.execute("DELETE FROM processed_event WHERE generation <> ''")
    if is_postgres():
        op.execute("RESET ROLE")
    op.drop_index(_DELIVERY, "webhook_delivery")
    op.create_index(_DELIVERY, "webhook_delivery", ["tenant_id", "endpoint_id", "event_id"], unique=True)
    with op.batch_alter_table("webhook_delivery") as batch:
        batch.drop_column("replay_id")
    op.drop_index("ix_dead_letter_created", "dead_letter")
    with op.batch_alter_table("failed_event") as batch:
        batch.drop_column("generation")
    with op.batch_alter_table("processed_event") as batch:
        batch.drop_constraint(op.f("pk_processed_event"), type_="primary")
        batch.drop_column("generation")
        batch.create_primary_key(op.f("pk_processed_event"), ["tenant_id", "consumer", "event_id"])


def _add_health() -> None:
    """How the stream and the parts of the platform are."""
    op.create_table(
        "stream_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("needed_since", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stream_state")),
    )
    op.create_table(
        "component_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("figures", JsonColumn, nullable=False),
        sa.Column("checked_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_component_state")),
    )
    protect("stream_state", None)
    protect("component_state", None)


def _drop_health() -> None:
    op.drop_table("component_state")
    op.drop_table("stream_state")
