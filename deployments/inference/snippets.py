"""The rules of snippets: texts that a tenant replies with."""

from typing import Any, Final

from db.models import generation as tables
from db.repositories.snippets import SnippetRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.inference.errors import InvalidSnippet, SnippetNotFound, TooManySnippets
from deployments.inference.filling import faults_of
from deployments.inference.generate_contracts import ChangeSnippet, PutSnippet, Snippet
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Fault
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

MAX_SNIPPETS: Final = 500
"""Most snippets of a tenant."""

_SORT: Final = "snippets"


def _of(unit: UnitOfWork) -> SnippetRepository:
    return SnippetRepository(unit.session, unit.tenant)


async def create(unit: UnitOfWork, principal: Principal, command: PutSnippet) -> Snippet:
    """A new one. Raises InvalidSnippet, TooManySnippets."""
    _require_valid(command.model_dump())
    # The tenant's row is locked, so that nobody else adds one beside the last.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await _of(unit).count() >= MAX_SNIPPETS:
        raise TooManySnippets(f"a tenant can keep {MAX_SNIPPETS} snippets")
    now = utc_now()
    row = tables.Snippet(
        tenant_id=unit.tenant,
        id=new_id("snp"),
        title=command.title,
        text=command.text,
        language=command.language,
        tags=command.tags,
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    _of(unit).add(row)
    audit(unit, principal, "snippet.created", row.id)
    return to_snippet(row)


async def page(unit: UnitOfWork, cursor: str | None, limit: int) -> Page[Snippet]:
    """Snippets, oldest first."""
    after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
    rows = await _of(unit).page(after, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [to_snippet(row) for row in rows[:limit]]
    return Page[Snippet](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, snippet_id: str) -> Snippet:
    """A snippet. Raises SnippetNotFound."""
    return to_snippet(await _found(unit, snippet_id))


async def change(unit: UnitOfWork, principal: Principal, snippet_id: str, command: ChangeSnippet) -> Snippet:
    """The snippet with what is given. Raises SnippetNotFound, InvalidSnippet."""
    row = await _found(unit, snippet_id, for_update=True)
    given: dict[str, Any] = {name: getattr(command, name) for name in command.model_fields_set}
    faults = [
        Fault(f"/{name}", "snippet.missing", f"a snippet has {name}")
        for name in ("title", "text", "tags")
        if name in given and given[name] is None
    ]
    if faults:
        raise InvalidSnippet(faults=tuple(faults))
    _require_valid(given)
    for name, value in given.items():
        setattr(row, name, value)
    row.updated_at = utc_now()
    audit(unit, principal, "snippet.changed", row.id)
    return to_snippet(row)


async def delete(unit: UnitOfWork, principal: Principal, snippet_id: str) -> None:
    """Forget a snippet. Raises SnippetNotFound."""
    if not await _of(unit).remove(snippet_id):
        raise SnippetNotFound
    audit(unit, principal, "snippet.deleted", snippet_id)


async def chosen(unit: UnitOfWork, ids: list[str] | None) -> list[Snippet]:
    """Those with these ids, or all. Raises SnippetNotFound when one of them is not there."""
    rows = await _of(unit).named(ids)
    if ids is not None and len(rows) < len(set(ids)):
        raise SnippetNotFound
    return [to_snippet(row) for row in rows]


def to_snippet(row: tables.Snippet) -> Snippet:
    return Snippet.model_validate(row.model_dump(exclude={"tenant_id"}))


async def _found(unit: UnitOfWork, snippet_id: str, *, for_update: bool = False) -> tables.Snippet:
    row = await _of(unit).find(snippet_id, for_update=for_update)
    if row is None:
        raise SnippetNotFound
    return row


def _require_valid(given: dict[str, Any]) -> None:
    faults: list[Fault] = []
    for name in ("title", "text"):
        value = given.get(name)
        if value is not None and ("\0" in value or not value.strip()):
            faults.append(Fault(f"/{name}", "snippet.blank", "this is a text with letters and without U+0000"))
    faults += [
        Fault(f"/tags/{place}", "snippet.blank", "a tag is a text with letters and without U+0000")
        for place, tag in enumerate(given.get("tags") or [])
        if "\0" in tag or not tag.strip()
    ]
    if not faults and given.get("text"):
        faults += faults_of(given["text"])
    if faults:
        raise InvalidSnippet(faults=tuple(faults))
