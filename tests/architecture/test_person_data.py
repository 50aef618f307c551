"""R8: of every table and every event somebody decided what an erasure of a person does with it."""

import dataclasses
import re

import pytest

from db.repositories.person_data import ERASED, KEPT
from db.repositories.tenant_data import TENANT, tables_of_tenants
from eventing.events.catalogue import CATALOGUE
from eventing.events.envelope import EventData

# Texts that are ids, names of fields, or words from a list.
PLAIN = re.compile(
    r".*_id|id|field|status|review|previous|action|reason|reasons|assignee|media_type|added|removed|changed"
)


def test_of_every_table_somebody_decided() -> None:
    """A new table goes to `ERASED` or `KEPT` in `db/repositories/person_data.py`, with the reason. One that holds what
    people answered, or addresses of theirs, is to be erased: the job is `deployments/tenancy/people/erasing.py`."""
    assert not ERASED.keys() & KEPT.keys()
    assert ERASED.keys() | KEPT.keys() == tables_of_tenants().keys() - {TENANT}


@pytest.mark.parametrize("decisions", [ERASED, KEPT], ids=["erased", "kept"])
def test_every_decision_has_a_reason(decisions: dict[str, str]) -> None:
    assert [name for name, reason in decisions.items() if re.search(r"\w", reason) is None] == []


@pytest.mark.parametrize("kind", [kind for kind in CATALOGUE if kind.entity in ("response_id", "file_id")])
def test_of_every_fact_about_answers_it_is_known_what_is_personal(kind: type[EventData]) -> None:
    """A new field that may hold a text of the person's goes to `personal` of its event."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    assert set(kind.personal) <= fields.keys()
    free = {
        name for name, type_ in fields.items() if re.search(r"str|dict|list|Any", type_) and not PLAIN.fullmatch(name)
    }
    assert free == set(kind.personal)
