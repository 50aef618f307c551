"""T7: every table of tenants is exported and erased, and of every column that looks like a secret somebody decided."""

import re

import pytest
from sqlalchemy import Integer, String

from db.models import SQLModel
from db.repositories.tenant_data import TENANT, tables_of_tenants, tables_to_erase, tables_to_export
from deployments.tenancy.inventory import EXPORTED, LEFT_OUT, SECRET_NAME, exported_columns
from tests.architecture.test_tables import TABLES, WITHOUT_TENANT

COLUMNS = {f"{table.name}.{column.name}" for table in TABLES for column in table.columns}


def test_every_table_of_tenants_is_covered() -> None:
    expected = {table.name for table in TABLES} - WITHOUT_TENANT.keys()
    assert tables_of_tenants().keys() == expected | {TENANT}
    assert set(tables_to_erase()) == expected
    derived = {"answer_entry", "answer_index", "answer_vector", "metric_count", "metric_part", "metric_state"}
    assert tables_of_tenants().keys() - tables_to_export().keys() == derived


def test_what_refers_to_others_is_erased_before_them() -> None:
    turns = {name: turn for turn, name in enumerate(tables_to_erase())}
    for name in turns:
        for constraint in SQLModel.metadata.tables[name].foreign_key_constraints:
            referred = constraint.referred_table.name
            assert referred == TENANT or turns[name] < turns[referred], (name, referred)


def test_of_every_column_that_looks_like_a_secret_somebody_decided() -> None:
    """Put a new one on one of the lists in `deployments/tenancy/inventory.py`."""
    undecided = {
        name for name in COLUMNS if SECRET_NAME.search(name.partition(".")[2]) and name not in EXPORTED | LEFT_OUT
    }
    assert not undecided


@pytest.mark.parametrize("decisions", [EXPORTED, LEFT_OUT], ids=["exported", "left out"])
def test_every_decision_is_about_a_column_and_has_a_reason(decisions: dict[str, str]) -> None:
    assert decisions.keys() <= COLUMNS
    assert all(re.search(r"\w \w", reason) for reason in decisions.values())
    assert not EXPORTED.keys() & LEFT_OUT.keys()


def test_an_undecided_secret_is_not_exported() -> None:
    assert exported_columns("new", ["id", "reset_token_hash", "name"]) == ("id", "name")


@pytest.mark.parametrize("name", tables_to_erase())
def test_pages_can_follow_the_key(name: str) -> None:
    """An export remembers the last key as JSON: a time or a document would not come back as it was."""
    key = SQLModel.metadata.tables[name].primary_key.columns
    assert all(isinstance(getattr(c.type, "impl", c.type), String | Integer) for c in key)
