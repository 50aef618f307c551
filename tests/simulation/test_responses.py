"""R3, R4: whatever is published, edited, trashed, restored, filtered and paged in whatever order, no response is lost,
doubled or altered: a real database beside a plain dictionary."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar, TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlmodel import col

from db.models.forms import FormCounter
from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import ResponseNotFound
from deployments.responses.life_contracts import ChangeTags, EditResponse, RevertResponse
from deployments.responses.query.indexing import AnswerIndexer
from tests.factories import make_form, make_tenant

T = TypeVar("T")
NAMES = st.sampled_from(["Ada", "Grace", "Zoë"])
SCORES = st.none() | st.integers(0, 10)
EXTRA = ("x0", "x1", "x2")
_TENANTS = count()


def definition(extra: set[str]) -> dict[str, Any]:
    """A form that asks for a name, a score, and these."""
    more = [{"id": name, "type": "short_text", "title": name} for name in sorted(extra)]
    own = [
        {"id": "name", "type": "short_text", "title": "Name", "required": True},
        {"id": "score", "type": "nps", "title": "Score"},
    ]
    return {"pages": [{"id": "p1", "elements": [*own, *more]}]}


@dataclass
class Known:
    """A response as it must be: its answers and versions of the form, the newest last."""

    kept: list[tuple[dict[str, Any], int]]
    tags: set[str] = field(default_factory=set)
    trashed: bool = False

    @property
    def answers(self) -> dict[str, Any]:
        return self.kept[-1][0]

    @property
    def version(self) -> int:
        return self.kept[-1][1]

    def keep(self, answers: dict[str, Any], version: int) -> None:
        """It was left with these answers; where they are those that it had, that is no version."""
        if (answers, version) != self.kept[-1]:
            self.kept.append((answers, version))


@dataclass
class Reader:
    """Somebody in the middle of a list: what they began with, and what they got so far."""

    sort: str
    limit: int
    began_with: set[str]
    cursor: str | None = None
    got: list[str] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """A form and its responses."""

    database_settings: ClassVar[DatabaseSettings]

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = Database(self.database_settings)
        self.acme = self._run(make_tenant(self.database, f"sim{next(_TENANTS)}"))
        self.form_id = self._run(make_form(self.database, self.acme, definition=definition(set()))).id
        self.asked: dict[int, set[str]] = {1: set()}
        self.responses = Responses(self.database)
        self.indexer = AnswerIndexer(self.database, at_least=1, piece=4)
        self.known: dict[str, Known] = {}
        self.readers: list[Reader] = []
        self.copy: dict[str, dict[str, Any]] = {}
        self.cursor: str | None = None

    # What happens to the form.

    @rule(extra=st.sets(st.sampled_from(EXTRA)))
    def publish(self, extra: set[str]) -> None:
        forms = Forms(self.database)
        self._run(forms.update(self.acme, self.form_id, UpdateForm(definition=definition(extra))))
        self.asked[self._run(forms.publish(self.acme, self.form_id)).version] = extra
        # Another replica: this one would know of it within half a second.
        self._run(self.responses.close())
        self.responses = Responses(self.database)

    @rule()
    def index(self) -> None:
        self._run(self.indexer.round())

    # What happens to responses.

    @rule(name=NAMES, score=SCORES, more=st.dictionaries(st.sampled_from(EXTRA), NAMES))
    def submit(self, name: str, score: int | None, more: dict[str, str]) -> None:
        newest = max(self.asked)
        answers = {"name": name, "score": score, **more}
        given = {key: value for key, value in answers.items() if value is not None and self._asks(key, newest)}
        command = SubmitResponse(body=orjson.dumps({"answers": given}), form_id=self.form_id)
        made = self._run(self.responses.submit(self.acme, command))
        assert made.version == newest
        assert made.id not in self.known
        self.known[made.id] = Known([(given, newest)])

    @precondition(lambda self: self._ids(trashed=False))
    @rule(data=st.data(), name=st.sampled_from(["name", "score", *EXTRA]), moves=st.booleans())
    def edit(self, data: st.DataObject, name: str, moves: bool) -> None:
        response_id = data.draw(st.sampled_from(self._ids(trashed=False)))
        known = self.known[response_id]
        version = max(self.asked) if moves else known.version
        value = data.draw(SCORES if name == "score" else NAMES if name == "name" else NAMES | st.none())
        change = {name: value} if self._asks(name, version) else {}
        command = EditResponse(answers=change, version=version if moves else None)
        self._run(self.responses.edit(self.acme, response_id, command, None))
        answers = {key: kept for key, kept in {**known.answers, **change}.items() if kept is not None}
        known.keep({key: kept for key, kept in answers.items() if self._asks(key, version)}, version)

    @precondition(lambda self: self._ids(trashed=False))
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        response_id = data.draw(st.sampled_from(self._ids(trashed=False)))
        known = self.known[response_id]
        revision = data.draw(st.integers(1, len(known.kept)))
        self._run(self.responses.revert(self.acme, response_id, RevertResponse(revision=revision), None))
        known.keep(*known.kept[revision - 1])

    @precondition(lambda self: self._ids(trashed=False))
    @rule(data=st.data(), tag=st.sampled_from(["vip", "new"]), adds=st.booleans())
    def tag(self, data: st.DataObject, tag: str, adds: bool) -> None:
        response_id = data.draw(st.sampled_from(self._ids(trashed=False)))
        change = ChangeTags(add=[tag]) if adds else ChangeTags(remove=[tag])
        self._run(self.responses.change_tags(self.acme, response_id, change))
        tags = self.known[response_id].tags
        self.known[response_id].tags = tags | {tag} if adds else tags - {tag}

    @precondition(lambda self: self._ids(trashed=False))
    @rule(data=st.data())
    def trash(self, data: st.DataObject) -> None:
        response_id = data.draw(st.sampled_from(self._ids(trashed=False)))
        self._run(self.responses.delete(self.acme, response_id))
        self.known[response_id].trashed = True

    @precondition(lambda self: self._ids(trashed=True))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        response_id = data.draw(st.sampled_from(self._ids(trashed=True)))
        self._run(self.responses.restore(self.acme, response_id))
        self.known[response_id].trashed = False

    # Who looks.

    @rule(
        wanted=st.sampled_from(["", "name", "q", "score", "extra", "tags", "version"]),
        name=NAMES,
        number=st.integers(0, 10),
        sort=st.sampled_from(["submitted_at", "-submitted_at", "name", "-score"]),
        limit=st.integers(1, 5),
    )
    def filter(self, wanted: str, name: str, number: int, sort: str, limit: int) -> None:
        extra = next((each for each in EXTRA if any(each in asked for asked in self.asked.values())), "score")
        tag, version = ["vip", "new"][number % 2], 1 + number % len(self.asked)
        query, holds = {
            "": ({}, lambda known: True),
            "name": ({"filter": {"name": {"eq": name}}}, lambda known: known.answers["name"] == name),
            "q": ({"q": name}, lambda known: name in known.answers.values()),
            "score": ({"filter": {"score": {"lte": number}}}, lambda known: known.answers.get("score", 11) <= number),
            "extra": ({"filter": {extra: {"exists": True}}}, lambda known: extra in known.answers),
            "tags": ({"filter": {"tags": {"any": tag}}}, lambda known: tag in known.tags),
            "version": ({"filter": {"version": {"eq": version}}}, lambda known: known.version == version),
        }[wanted]
        expected = {key for key in self._ids(trashed=False) if holds(self.known[key])}
        found: list[str] = []
        cursor: str | None = None
        while True:
            asked = ListResponses(
                form_id=self.form_id, sort=sort, limit=limit, cursor=cursor, include_total=True, **query
            )
            page = self._run(self.responses.list_responses(self.acme, asked))
            assert page.meta.total == len(expected)
            for each in page.data:
                assert (each.answers, each.version) == self.known[each.id].kept[-1]
                assert set(each.tags) == self.known[each.id].tags
            found += [each.id for each in page.data]
            cursor = page.meta.next_cursor
            if cursor is None:
                break
        assert sorted(found) == sorted(expected), "each that fits, once"

    @rule(sort=st.sampled_from(["submitted_at", "-submitted_at"]), limit=st.integers(1, 3))
    def begin_to_read(self, sort: str, limit: int) -> None:
        self.readers.append(Reader(sort, limit, set(self._ids(trashed=False))))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def read_on(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from(self.readers))
        asked = ListResponses(form_id=self.form_id, sort=reader.sort, limit=reader.limit, cursor=reader.cursor)
        page = self._run(self.responses.list_responses(self.acme, asked))
        reader.got += [each.id for each in page.data]
        reader.cursor = page.meta.next_cursor
        # Who is in the trash for a while may be missed; nobody else, and nobody comes twice.
        reader.began_with &= set(self._ids(trashed=False)) | set(reader.got)
        assert len(set(reader.got)) == len(reader.got)
        if reader.cursor is None:
            self.readers.remove(reader)
            assert reader.began_with <= set(reader.got)

    @rule(limit=st.integers(1, 4))
    def copy_changes(self, limit: int) -> None:
        page = self._run(self.responses.list_changes(self.acme, self.form_id, self.cursor, limit))
        for each in page.data:
            if each.response is None:
                self.copy.pop(each.id, None)
            else:
                self.copy[each.id] = each.response.answers
        self.cursor = page.next_cursor
        if not page.has_more:
            assert self.copy == {key: self.known[key].answers for key in self._ids(trashed=False)}

    # And in the end.

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self._check()
        finally:
            self._run(self.responses.close())
            self._run(self.database.close())
            self.loop.close()

    def _check(self) -> None:
        trash = self._run(self.responses.list_trash(self.acme, self.form_id, None, 100))
        assert {each.id for each in trash.data} == set(self._ids(trashed=True))
        for response_id in self._ids(trashed=True):
            with pytest.raises(ResponseNotFound):
                self._run(self.responses.get(self.acme, response_id))
            self._run(self.responses.restore(self.acme, response_id))
        for response_id, known in self.known.items():
            found = self._run(self.responses.get(self.acme, response_id))
            assert (found.answers, found.version, set(found.tags)) == (known.answers, known.version, known.tags)
            versions = self._run(self.responses.list_versions(self.acme, response_id, None, 100)).data
            assert [(each.answers, each.version) for each in reversed(versions)] == known.kept
        assert self._run(self._held()) == len(self.known)

    # How it is done.

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    async def _held(self) -> int:
        """How many responses count against the form's limit."""
        async with self.database.read(self.acme.tenant_id) as unit:
            counted = select(col(FormCounter.responses)).where(col(FormCounter.form_id) == self.form_id)
            return int((await unit.session.execute(counted)).scalar_one())

    def _ids(self, *, trashed: bool) -> list[str]:
        return [key for key, known in self.known.items() if known.trashed is trashed]

    def _asks(self, name: str, version: int) -> bool:
        return name in ("name", "score") or name in self.asked[version]


def test_no_sequence_of_deeds_loses_a_response(database_settings: DatabaseSettings) -> None:
    """Shown by: no response is lost or altered by any sequence of publish, edit, trash, restore, filter, page."""
    Life.database_settings = database_settings
    thorough = settings(max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=thorough)
