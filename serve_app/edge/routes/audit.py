"""The audit trail."""

from collections.abc import AsyncIterator

from pydantic import Field

from deployments.audit.contracts import AuditEntry, FindEntries, Verification
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, Reply

_READ = "audit:read"
_PIECE = 500


class AuditPageQuery(FindEntries):
    """Which entries, and which page of them."""

    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=100, description="Most entries in the page.")


def _wanted(query: FindEntries) -> FindEntries:
    return FindEntries(**query.model_dump(include=set(FindEntries.model_fields)))


async def list_entries(x: Exchange) -> Reply:
    query: AuditPageQuery = x.query
    return Reply(await x.apis.audit.list_entries(x.principal, _wanted(query), query.cursor, query.limit))


async def export_entries(x: Exchange) -> Reply:
    return Reply(
        stream=_lines(x),
        media_type="application/jsonl",
        headers=(("content-disposition", 'attachment; filename="audit.jsonl"'),),
    )


async def _lines(x: Exchange) -> AsyncIterator[bytes]:
    cursor: str | None = None
    while True:
        page = await x.apis.audit.list_entries(x.principal, x.query, cursor, _PIECE)
        yield b"".join(entry.model_dump_json().encode() + b"\n" for entry in page.data)
        cursor = page.meta.next_cursor
        if cursor is None:
            return


async def verify(x: Exchange) -> Reply:
    return Reply(await x.apis.audit.verify(x.principal))


OPERATIONS = (
    Operation(
        id="list_audit_entries",
        method="GET",
        path="/api/v1/audit",
        summary="Who did what, newest first",
        tag="Audit",
        scope=_READ,
        handler=list_entries,
        query=AuditPageQuery,
        response=Page[AuditEntry],
    ),
    Operation(
        id="export_audit_entries",
        method="GET",
        path="/api/v1/audit.jsonl",
        summary="The audit trail as JSON lines",
        tag="Audit",
        scope=_READ,
        rate="export",
        handler=export_entries,
        query=FindEntries,
        response=str,
        response_media_type="application/jsonl",
    ),
    Operation(
        id="verify_audit_trail",
        method="GET",
        path="/api/v1/audit/verification",
        summary="Check that the audit trail is whole",
        description="Each entry carries the hash of the one before. Keep `head` elsewhere to notice a replaced chain.",
        tag="Audit",
        scope=_READ,
        handler=verify,
        response=Verification,
    ),
)
