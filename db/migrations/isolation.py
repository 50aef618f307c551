"""PostgreSQL's row-level security, in the words that a migration uses."""

from alembic import op

from db.roles import APP_ROLE, SYSTEM_ROLE

# NULLIF: after a transaction the setting is '' and not NULL. Unset means no rows: it fails closed.
_TENANT = "NULLIF(current_setting('app.tenant', true), '')"


def is_postgres() -> bool:
    """Whether the migration runs on PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def create_roles() -> None:
    """The roles that the platform works as, where they are missing: without login, ownership or a way around."""
    if not is_postgres():
        return
    for name in (APP_ROLE, SYSTEM_ROLE):
        op.execute(
            f"""DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
                    CREATE ROLE {name} NOLOGIN NOSUPERUSER NOBYPASSRLS;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- roles belong to the server: another database of it is migrated at the same time
            END $$"""
        )
        op.execute(f"GRANT {name} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {name}")


def protect(
    table: str, tenant_column: str | None = "tenant_id", *, rights: str = "SELECT, INSERT, UPDATE, DELETE"
) -> None:
    """Force row-level security on a table and give both roles these rights on it.

    A tenant's units see its rows; without a tenant column the table belongs to the platform, and only unscoped units
    see it.
    """
    if not is_postgres():
        return
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(f'GRANT {rights} ON "{table}" TO {APP_ROLE}, {SYSTEM_ROLE}')
    # One condition per role and no OR: the planner then knows the tenant, and how many rows it has.
    if tenant_column is not None:
        op.execute(f'CREATE POLICY tenant_isolation ON "{table}" TO {APP_ROLE} USING ({tenant_column} = {_TENANT})')
    op.execute(f'CREATE POLICY system_access ON "{table}" TO {SYSTEM_ROLE} USING (true)')
