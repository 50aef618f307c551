"""Isolation by role

A database of before has one policy per table, for one role: the tenant's rows, or all when a setting said so. With
that OR the planner took a tenant's rows to be few, and sorted all of them where an index had the first twenty.
"""

from collections.abc import Sequence

from alembic import op

from db.migrations.isolation import create_roles, is_postgres
from db.roles import APP_ROLE, SYSTEM_ROLE

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TENANT = "NULLIF(current_setting(''app.tenant'', true), '''')"
_SYSTEM = "current_setting(''app.scope'', true) = ''system''"
_EACH_TABLE = """DO $$
DECLARE
    name text;
    tenant text;
    rights text;
BEGIN
    FOR name IN SELECT relname FROM pg_class
        WHERE relkind = 'r' AND relforcerowsecurity AND relnamespace = 'public'::regnamespace
    LOOP
        SELECT CASE WHEN name = 'tenant' THEN 'id' ELSE max(column_name::text) END INTO tenant
            FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = name AND column_name = 'tenant_id';
        EXECUTE format('DROP POLICY IF EXISTS tenant_isolation ON %I', name);
        EXECUTE format('DROP POLICY IF EXISTS system_access ON %I', name);
        {body}
    END LOOP;
END $$"""


_BY_ROLE = (
    "SELECT string_agg(DISTINCT privilege_type, ', ') INTO rights FROM information_schema.role_table_grants"
    f" WHERE table_schema = 'public' AND table_name = name AND grantee = '{APP_ROLE}';"
    f" EXECUTE format('GRANT %s ON %I TO {SYSTEM_ROLE}', rights, name);"
    " IF tenant IS NOT NULL THEN"
    f" EXECUTE format('CREATE POLICY tenant_isolation ON %I TO {APP_ROLE} USING (%I = {_TENANT})', name, tenant);"
    " END IF;"
    f" EXECUTE format('CREATE POLICY system_access ON %I TO {SYSTEM_ROLE} USING (true)', name);"
)
_BY_SETTING = (
    "IF tenant IS NOT NULL THEN"
    f" EXECUTE format('CREATE POLICY tenant_isolation ON %I USING (%I = {_TENANT} OR {_SYSTEM})', name, tenant);"
    " ELSE"
    f" EXECUTE format('CREATE POLICY tenant_isolation ON %I USING ({_SYSTEM})', name);"
    " END IF;"
)


def upgrade() -> None:
    if is_postgres():
        create_roles()
        op.execute(_EACH_TABLE.format(body=_BY_ROLE))


def downgrade() -> None:
    if is_postgres():
        op.execute(_EACH_TABLE.format(body=_BY_SETTING))
