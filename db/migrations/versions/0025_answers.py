"""What is asked of responses besides their answers"""

from collections.abc import Sequence

from alembic import op

from db.migrations.isolation import is_postgres

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


# One look-up for each response: a planner without statistics reads the whole index of the tenant.
_GONE = """CREATE FUNCTION forget_answers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM answer_entry WHERE ctid = ANY (ARRAY(
            SELECT found.ctid FROM gone, LATERAL (
                SELECT ctid FROM answer_entry
                    WHERE answer_entry.tenant_id = gone.tenant_id AND answer_entry.response_id = gone.id OFFSET 0
            ) AS found));
        RETURN NULL;
    END $$"""
_ON_GONE = """CREATE TRIGGER forget_answers AFTER DELETE ON response
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_answers()"""
_ON_GONE_SQLITE = """CREATE TRIGGER forget_answers AFTER DELETE ON response BEGIN
        DELETE FROM answer_entry WHERE tenant_id = OLD.tenant_id AND response_id = OLD.id;
    END"""


def upgrade() -> None:
    with op.batch_alter_table("answer_entry") as table:
        table.drop_constraint("fk_answer_entry_response", type_="foreignkey")
    if is_postgres():
        op.execute(_GONE)
        op.execute(_ON_GONE)
    else:
        op.execute(_ON_GONE_SQLITE)


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_answers ON response" if is_postgres() else "DROP TRIGGER forget_answers")
    if is_postgres():
        op.execute("DROP FUNCTION forget_answers")
    with op.batch_alter_table("answer_entry") as table:
        table.create_foreign_key(
            "fk_answer_entry_response",
            "response",
            ["tenant_id", "response_id"],
            ["tenant_id", "id"],
            ondelete="CASCADE",
        )
