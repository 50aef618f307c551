"""Lists of responses: what is asked becomes a search, the rows a page."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from db.errors import QueryTimeout
from db.repositories.answer_index import AnswerIndexRepository
from db.repositories.response_filters import Column, Condition, Either, Every, Mark, Search, Test, Unless
from db.repositories.response_query import IndexBehind, Position, ResponseQueryRepository
from db.repositories.response_statements import Order
from db.repositories.responses import QUARANTINED, ResponseRepository
from db.session import Database, UnitOfWork
from deployments.kit.cache import Cache, Caches, Key
from deployments.kit.contract import PageMeta
from deployments.kit.engine import Style
from deployments.kit.enrichment import VERDICTS
from deployments.kit.errors import DeadlineExceeded, Fault, Invalid
from deployments.kit.filtering.filters import condition_of, conditions_of
from deployments.kit.filtering.where import condition_of_text
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportResponses, ListResponses, Response, Selection
from deployments.responses.errors import SearchBehind
from deployments.responses.masking import PersonalFields
from deployments.responses.presenting import COLUMNS, Documents, to_json
from deployments.responses.query.forms import SearchedForm, SearchedForms
from deployments.responses.query.words import MAX_WORDS

MAX_QUERY: Final = 500

_CHANGED: Final = (*COLUMNS, "change", "deleted_at")
_RESPONSES: Final = TypeAdapter(list[Response])


class Listing:
    """Answers queries over one database."""

    def __init__(
        self, database: Database, forms: SearchedForms, personal: PersonalFields, caches: Caches | None = None
    ) -> None:
        self._database = database
        self._forms = forms
        self._personal = personal
        self._totals: Cache[int] | None = None if caches is None else Cache("response_counts", caches, shape=int)

    async def page(self, principal: Principal, query: ListResponses) -> bytes:
        """The JSON of a page. Raises Invalid with every fault of the query, FormNotFound, SearchBehind,
        DeadlineExceeded."""
        with searching():
            async with self._database.snapshot(principal.tenant_id, tolerant=True) as unit:
                principal.require("responses:read", query.form_id)
                form = await self._forms.get(unit, query.form_id)
                hidden = await self._personal.hidden(unit, principal, query.form_id, form.version)
                search, order, chosen = _read(form, query, hidden)
                binding = _binding(query)
                after = None if query.cursor is None else position_in(query.cursor, binding)
                repository = ResponseQueryRepository(unit.connection, unit.tenant, query.form_id, form.rules)
                rows = await repository.page(search, order, after, query.limit + 1, COLUMNS)
                total, number = None, ""
                if query.include_total and self._totals is not None:
                    number = await _version(unit, form)
                elif query.include_total:
                    total = await repository.count(search)
            if number and self._totals is not None:
                key = Key(principal.tenant_id, "count", _binding(query))
                total = await self._totals.at(key, number, lambda: self._count(principal.tenant_id, form, search))
        if repository.is_outdated:
            await self._renew(principal, form)
        next_cursor = None
        if len(rows) > query.limit:
            next_cursor = encode_cursor(binding, values_of(rows[query.limit - 1][1]))
        documents = Documents(hidden, chosen)
        data = [documents.of(row) for row, _ in rows[: query.limit]]
        meta = PageMeta(limit=query.limit, next_cursor=next_cursor, total=total)
        return to_json({"data": data, "meta": meta.model_dump()})

    async def pick(self, principal: Principal, form_id: str, ids: list[str], selection: Selection) -> list[Response]:
        """Those of these that are meant. Raises Invalid with every fault of the selection, FormNotFound."""
        with searching():
            async with self._database.snapshot(principal.tenant_id) as unit:
                principal.require("responses:read", form_id)
                form = await self._forms.get(unit, form_id)
                hidden = await self._personal.hidden(unit, principal, form_id, form.version)
                search = search_of(form, selection, hidden)
                repository = ResponseQueryRepository(unit.connection, unit.tenant, form_id, form.rules)
                rows = await repository.among(search, ids, COLUMNS)
        documents = Documents(hidden)
        return _RESPONSES.validate_json(to_json([documents.of(row) for row in rows]))

    async def changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> bytes:
        """The next changes, as JSON. Raises Invalid when the cursor is not this form's, FormNotFound."""
        binding = f"changes:{form_id}"
        last = 0 if after is None else _change(after, binding)
        async with self._database.snapshot(principal.tenant_id) as unit:
            principal.require("responses:read", form_id)
            form = await self._forms.get(unit, form_id)
            repository = ResponseQueryRepository(unit.connection, unit.tenant, form_id)
            rows = await repository.changes(last, limit + 1, _CHANGED)
            hidden = await self._personal.hidden(unit, principal, form_id, form.version)
        if rows:
            last = rows[:limit][-1].change
        documents = Documents(hidden)
        data = []
        for row in rows[:limit]:
            # A suspect is gone until it is released, which is a change again.
            gone = row.deleted_at is not None or row.status == QUARANTINED
            response = None if gone else documents.of(row)
            data.append({"id": row.id, "change": row.change, "deleted": gone, "response": response})
        more = {"next_cursor": encode_cursor(binding, [str(last)]), "has_more": len(rows) > limit}
        return to_json({"data": data, **more})

    async def _count(self, tenant_id: str, form: SearchedForm, search: Search) -> int:
        # Over a connection of its own: whoever waits for the answer may leave with theirs.
        async with self._database.snapshot(tenant_id, tolerant=True) as unit:
            return await ResponseQueryRepository(unit.connection, unit.tenant, form.form_id, form.rules).count(search)

    async def _renew(self, principal: Principal, form: SearchedForm) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await AnswerIndexRepository(unit.session, unit.tenant, form.form_id, form.rules).distrust()


def search_of(form: SearchedForm, selection: Selection, hidden: Collection[str]) -> Search:
    """What a selection asks for, by a reader who does not see the `hidden` fields. Raises Invalid with every fault."""
    search, faults = _search(form, selection, hidden)
    if faults:
        raise Invalid(faults=tuple(faults))
    return search


@contextmanager
def searching() -> Iterator[None]:
    """Failures of a search in the words of the API."""
    try:
        yield
    except IndexBehind as error:
        raise SearchBehind(retry_after=10.0) from error
    except QueryTimeout as error:
        raise DeadlineExceeded("The query took too long; narrow it by a filter.") from error


def _read(
    form: SearchedForm, query: ListResponses, hidden: Collection[str]
) -> tuple[Search, Order, frozenset[str] | None]:
    search, faults = _search(form, query, hidden)
    order = _order(form, query.sort, hidden)
    if isinstance(order, Fault):
        faults.append(order)
        order = Order()
    chosen = None
    if query.fields is not None:
        chosen = frozenset(name.removeprefix("answers.") for name in query.fields)
        faults += [
            Fault("/fields", "fields.unknown_field", "The form has no such field.")
            for _ in chosen - form.fields.answers
        ][:1]
    if faults:
        raise Invalid(faults=tuple(faults))
    return search, order, chosen


def read_export(form: SearchedForm, wanted: ExportResponses, hidden: Collection[str]) -> tuple[Search, Order]:
    """What an export asks for, by a reader who does not see the `hidden` fields. Raises Invalid with every fault."""
    search, faults = _search(form, wanted, hidden)
    order = _order(form, wanted.sort, hidden)
    if isinstance(order, Fault):
        faults.append(order)
        order = Order()
    known = {name for column in form.columns(style_of(wanted)) for name in (column.key, column.field_id)}
    known |= {VERDICTS.rstrip(".")} if form.inferred else set()
    faults += [
        Fault("/columns", "columns.unknown", "The form has no such column.")
        for name in wanted.columns or ()
        if name not in known
    ][:1]
    if faults:
        raise Invalid(faults=tuple(faults))
    return search, order


def style_of(wanted: ExportResponses, public_url: str = "") -> Style:
    """How the answers become columns."""
    address = f"{public_url}/api/v1/files/{{}}/content" if wanted.file_links else "{}"
    return Style(wanted.labels, wanted.lists, address)


def _order(form: SearchedForm, sort: str, hidden: Collection[str]) -> Order | Fault:
    field = form.fields.for_reader(hidden).find(sort.removeprefix("-"))
    if field is None:
        return Fault("/sort", "sort.unknown_field", "The form has no such field.")
    if not field.is_sortable:
        return Fault("/sort", "sort.not_one_value", "Only a field with a single value can be sorted by.")
    return Order(field.target, sort.startswith("-"))


def _search(form: SearchedForm, selection: Selection, hidden: Collection[str]) -> tuple[Search, list[Fault]]:
    fields = form.fields.for_reader(hidden)
    conditions, faults = conditions_of(fields, selection.filter)
    for name in ("status", "version"):
        value = getattr(selection, name)
        if value is not None:
            found = condition_of(fields, name, "eq", value, f"/{name}")
            faults.append(found) if isinstance(found, Fault) else conditions.append(found)
    if selection.where is not None:
        condition, more = condition_of_text(fields, selection.where)
        conditions.append(condition)
        faults += more
    condition = Every(tuple(_flat(conditions)))
    search = Search(condition, suspects=_asks_for_suspects(condition))
    if selection.q is None:
        return search, faults
    words = form.words.search(selection.q[:MAX_QUERY])
    if hidden:
        faults.append(Fault("/q", "search.personal", "The texts hold personal answers that you may not see."))
    elif not words:
        faults.append(Fault("/q", "search.no_words", "The search has no words."))
    elif len(words) > MAX_WORDS or len(selection.q) > MAX_QUERY:
        faults.append(Fault("/q", "search.too_long", f"A search has at most {MAX_WORDS} words."))
    return replace(search, words=words, has_words=form.words.matcher(words, form.fields.texts)), faults


def _asks_for_suspects(condition: Condition) -> bool:
    """Whether they are named: without that no list has them."""
    match condition:
        case Every(parts) | Either(parts):
            return any(_asks_for_suspects(part) for part in parts)
        case Unless(part):
            return _asks_for_suspects(part)
        case Test(Column("status"), _, values):
            return QUARANTINED in values
        case Test(Mark("suspicion"), _, _):
            return True
    return False


def _flat(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """Without conjunctions within: the index is asked for single comparisons."""
    for condition in conditions:
        if isinstance(condition, Every):
            yield from _flat(condition.parts)
        else:
            yield condition


def _change(cursor: str, binding: str) -> int:
    (text,) = decode_cursor(cursor, binding, 1)
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise Invalid.at("/after", "cursor.invalid", "the cursor does not belong to the changes of this form")
    return int(text)


async def _version(unit: UnitOfWork, form: SearchedForm) -> str:
    """What has to be the same for a count to be: the responses, and the rules that filters are read by."""
    number = await ResponseRepository(unit.session, unit.tenant).last_change(form.form_id)
    return f"{number}.{form.version}"


def _binding(query: ListResponses) -> str:
    """What a cursor belongs to: form, order and everything that selects."""
    asked = query.model_dump(include={"form_id", "sort", *Selection.model_fields})
    return hashlib.blake2b(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def values_of(position: Position) -> list[str]:
    """A position as the values of a cursor."""
    value = position.value
    text = "" if value is None else f"t{value}" if isinstance(value, str) else f"n{float(value)!r}"
    return [text, position.submitted_at.isoformat(), position.id]


def position_in(cursor: str, binding: str) -> Position:
    """The position of a cursor. Raises Invalid."""
    return position_of(decode_cursor(cursor, binding, 3))


def position_of(values: Sequence[str]) -> Position:
    """The position that `values_of` told. Raises Invalid."""
    text, at, last_id = values
    try:
        value: Any = None if not text else float(text[1:]) if text[0] == "n" else text[1:]
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort") from error
    return Position(value, moment, last_id)
