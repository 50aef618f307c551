"""Every table belongs to tenants: the tenant is the first column of its key, and its foreign keys carry it (T3, T5)."""

import pytest
from sqlalchemy import Table

from db.models import SQLModel

TABLES = sorted(SQLModel.metadata.tables.values(), key=lambda table: table.name)

WITHOUT_TENANT = {
    "tenant": "is the tenant itself",
    "lease": "duties of the platform, which work for all tenants",
    "stream_state": "the one stream that carries the events of all tenants",
    "component_state": "parts of the platform",
    "job_tally": "sums over all tenants, for the metrics",
}

# Credentials are looked up before anybody knows whose they are; all are hashes of random secrets, so a
# collision tells nobody anything.
UNIQUE_OVER_TENANTS = {"uq_refresh_token_hash", "uq_api_key_hash", "uq_tenant_host_host"}
UNIQUE_OVER_TENANTS |= {"uq_link_token_hash", "uq_invitation_hash", "uq_challenge_token"}


def _by_name(table: Table) -> str:
    return table.name


def test_there_are_tables_and_every_exception_exists() -> None:
    assert WITHOUT_TENANT.keys() < {table.name for table in TABLES}
    assert {str(index.name) for table in TABLES for index in table.indexes} > UNIQUE_OVER_TENANTS


@pytest.mark.parametrize("table", [t for t in TABLES if t.name not in WITHOUT_TENANT], ids=_by_name)
class TestTenantTable:
    def test_key_begins_with_the_tenant(self, table: Table) -> None:
        """T3: the tenant leads every primary key."""
        assert next(iter(table.primary_key.columns)).name == "tenant_id"

    def test_foreign_keys_carry_the_tenant(self, table: Table) -> None:
        """T5: a row can never point at a row of another tenant."""
        for constraint in table.foreign_key_constraints:
            pairs = {(element.parent.name, element.target_fullname) for element in constraint.elements}
            target = constraint.referred_table.name
            expected = ("tenant_id", "tenant.id" if target == "tenant" else f"{target}.tenant_id")
            assert expected in pairs, f"{constraint.name} does not carry the tenant"

    def test_unique_keys_are_unique_per_tenant(self, table: Table) -> None:
        """T4: what one tenant has named says nothing about another's names."""
        for index in table.indexes:
            if index.unique and index.name not in UNIQUE_OVER_TENANTS:
                assert next(iter(index.columns)).name == "tenant_id", index.name
