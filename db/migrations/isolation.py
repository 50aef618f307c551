"""PostgreSQL's row-level security, in the words that a migration uses."""

from alembic import op

APP_ROLE = "formstream_app"

# NULLIF: after a transaction the setting is '' and not NULL. Unset means no rows: it fails closed.
_TENANT = "NULLIF(current_setting('app.tenant', true), '')"
_SYSTEM = "current_setting('app.scope', true) = 'system'"


def is_postgres() -> bool:
    """Whether the migration runs on PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def create_app_role() -> None:
    """The role that the platform works as: it owns nothing and cannot bypass row-level security."""
    if is_postgres():
        op.execute(
            f"""DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                    CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS;
                END IF;
            END $$"""
        )
        op.execute(f"GRANT {APP_ROLE} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")


def protect(
    table: str, tenant_column: str | None = "tenant_id", *, rights: str = "SELECT, INSERT, UPDATE, DELETE"
) -> None:
    """Force row-level security on a table and give the application role these rights on it.

    Without a tenant column the table belongs to the platform: only unscoped units see it.
    """
    if not is_postgres():
        return
    op.execute(f'GRANT {rights} ON "{table}" TO {APP_ROLE}')
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    own = f"{tenant_column} = {_TENANT} OR " if tenant_column else ""
    op.execute(f'CREATE POLICY tenant_isolation ON "{table}" USING ({own}{_SYSTEM})')
