"""Classifiers, what they learn from, and their versions"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "classifier",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=True),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("labels", JsonColumn, nullable=False),
        sa.Column("precision", sa.Float(), nullable=False),
        sa.Column("retrain_after", sa.Integer(), nullable=True),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"], ["form.tenant_id", "form.id"], name=op.f("fk_classifier_form"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_classifier")),
    )
    with op.batch_alter_table("classifier", schema=None) as batch_op:
        batch_op.create_index("uq_classifier_name", ["tenant_id", "name"], unique=True)
    op.create_table(
        "classifier_example",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("classifier_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("is_correction", sa.Boolean(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "classifier_id"],
            ["classifier.tenant_id", "classifier.id"],
            name=op.f("fk_classifier_example_classifier"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "response_id"],
            ["response.tenant_id", "response.id"],
            name=op.f("fk_classifier_example_response"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_classifier_example")),
    )
    with op.batch_alter_table("classifier_example", schema=None) as batch_op:
        batch_op.create_index("uq_classifier_example_text", ["tenant_id", "classifier_id", "digest"], unique=True)
        batch_op.create_index("ix_classifier_example_response", ["tenant_id", "response_id"], unique=False)
    op.create_table(
        "classifier_version",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("classifier_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("encoder", sa.String(), nullable=False),
        sa.Column("labels", JsonColumn, nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("report", JsonColumn, nullable=False),
        sa.Column("learned", JsonColumn, nullable=False),
        sa.Column("trained_by", sa.String(), nullable=False),
        sa.Column("trained_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "classifier_id"],
            ["classifier.tenant_id", "classifier.id"],
            name=op.f("fk_classifier_version_classifier"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "classifier_id", "number", name=op.f("pk_classifier_version")),
    )
    with op.batch_alter_table("classifier_version", schema=None) as batch_op:
        batch_op.create_index("uq_classifier_version_job", ["tenant_id", "classifier_id", "job_id"], unique=True)
    protect("classifier")
    protect("classifier_example")
    protect("classifier_version")


def downgrade() -> None:
    op.drop_table("classifier_version")
    op.drop_table("classifier_example")
    op.drop_table("classifier")
