"""E1, trap 22: events that were written by any version of the platform are read by this one."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from eventing.events.catalogue import CATALOGUE
from eventing.events.envelope import Event, EventData, Origin, Upcast
from eventing.events.schema import schema_of
from tests.eventing.corpus import FOLDER, file_of

FILES = sorted(FOLDER.glob("*.json"))
KINDS = {kind.type: kind for kind in CATALOGUE}
NAME = re.compile(r"(?P<type>[a-z_.]+)\.v(?P<version>[1-9][0-9]*)")


def kept(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def test_every_type_and_version_has_a_payload() -> None:
    """A new one is made by `python -m tests.eventing.corpus`; those of earlier versions stay."""
    names = {path.stem for path in FILES}
    assert names >= {f"{kind.type}.v{version}" for kind in CATALOGUE for version in range(1, kind.version + 1)}
    assert {match["type"] for name in names if (match := NAME.fullmatch(name))} == KINDS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_past_payload_is_read_by_the_present_class(path: Path) -> None:
    event = Event.decode(orjson.dumps(kept(path)["event"]))
    assert path.stem == f"{event.type}.v{event.version}"
    kind = KINDS[event.type]
    fact = event.read(kind)
    assert getattr(fact, kind.entity) == event.entity_id
    assert event.origin.request_id


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.type)
def test_a_class_that_changes_gets_a_new_version(kind: type[EventData]) -> None:
    """The shape of a version is what it was when it was first written. Give the changed class the next `version` and,
    in `older`, the step that leads to it."""
    assert schema_of(kind) == kept(file_of(kind))["data_schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CakeBaked(EventData):
    """A cake is ready: its layers had no names in version 1, and no number of their own in version 2."""

    type: ClassVar[str] = "cake.baked"
    version: ClassVar[int] = 3
    older: ClassVar[Mapping[int, Upcast]] = {
        1: lambda data: {"cake_id": data["cake_id"], "layers": [f"layer {n}" for n in range(data["layers"])]},
        2: lambda data: {**data, "height": len(data["layers"])},
    }
    entity: ClassVar[str] = "cake_id"
    cake_id: str
    layers: list[str]
    height: int


def baked(version: int, **data: Any) -> Event:
    return Event(
        id="evt_1",
        type="cake.baked",
        version=version,
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
        tenant_id="acme",
        entity_id="cak_1",
        form_id=None,
        actor="usr_1",
        origin=Origin(),
        data={"cake_id": "cak_1", **data},
    )


@pytest.mark.parametrize(
    "event",
    [
        baked(1, layers=2),
        baked(2, layers=["layer 0", "layer 1"]),
        baked(3, layers=["layer 0", "layer 1"], height=2),
    ],
    ids=lambda event: f"v{event.version}",
)
def test_older_versions_are_brought_up_step_by_step(event: Event) -> None:
    before = dict(event.data)
    assert event.read(CakeBaked) == CakeBaked(cake_id="cak_1", layers=["layer 0", "layer 1"], height=2)
    assert event.data == before, "what was recorded stays as it was"


def test_what_cannot_be_read_says_why() -> None:
    with pytest.raises(ValueError, match="version 4 is newer"):
        baked(4, layers=[]).read(CakeBaked)
    with pytest.raises(ValueError, match="height"):
        dataclasses.replace(baked(2, layers=[]), version=3).read(CakeBaked)

    class Forgetful(CakeBaked):
        older: ClassVar[Mapping[int, Upcast]] = {}

    with pytest.raises(ValueError, match="nothing reads version 1"):
        baked(1, layers=2).read(Forgetful)
