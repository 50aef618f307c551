"""Contexts in memory, just enough of each to see what the edge asks and to decide what it gets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from deployments.events.recovery_contracts import Component, ConsumerBacklog, EventMeasures
from deployments.forms.contracts import CreateForm, Form, FormSettings, ListForms, PublishedForm, UpdateForm
from deployments.identity.contracts import Me, Tenant, TenantProfile, TenantSettings
from deployments.imports.contracts import StartedImport, StartImport
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import NotFound, PreconditionFailed, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.responses.contracts import (
    Changes,
    ExportChunk,
    ExportResponses,
    ExportState,
    ListResponses,
    RowFormat,
    SubmitResponse,
    SubmittedResponse,
)
from serve_app.edge.apis import Apis
from serve_app.edge.deployment import Edge
from serve_app.edge.settings import EdgeSettings
from tests.plain_http import TRUSTS_NOBODY

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeIdentity:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.profiles = {"acme": TenantProfile(id="acme", status="active")}
        self.looked_up: list[str] = []
        self.principals = {
            "owner": Principal("acme", "usr_1", "user", "owner", frozenset({"*"})),
            "reader": Principal("acme", "key_1", "api_key", "", frozenset({"forms:read"})),
            "root": Principal(PLATFORM_TENANT, "usr_0", "user", "administrator", frozenset({"*", "platform:admin"})),
        }

    async def authenticate(self, credential: str) -> Principal:
        self.asked.append(credential)
        try:
            return self.principals[credential]
        except KeyError:
            raise Unauthenticated from None

    async def find_tenant(self, tenant_id: str) -> TenantProfile | None:
        self.looked_up.append(tenant_id)
        return self.profiles.get(tenant_id)

    async def find_tenant_by_host(self, host: str) -> TenantProfile | None:
        self.looked_up.append(host)
        return next((profile for profile in self.profiles.values() if host in profile.hosts), None)

    async def me(self, principal: Principal) -> Me:
        return Me(
            tenant_id=principal.tenant_id,
            subject=principal.subject,
            kind="user",
            role=principal.role,
            scopes=sorted(principal.scopes),
        )

    async def get_tenant(self, principal: Principal, tenant_id: str) -> Tenant:
        if tenant_id != "acme":
            raise NotFound
        return Tenant(
            id="acme", name="Acme", status="active", settings=TenantSettings(), created_at=NOW, updated_at=NOW
        )


class FakeForms:
    def __init__(self) -> None:
        self.commands: list[Any] = []
        self.open = True

    async def create(self, principal: Principal, command: CreateForm) -> Form:
        self.commands.append((principal, command))
        return _form(command.slug, 1)

    async def get(self, principal: Principal, form_id: str) -> Form:
        if form_id != "frm_1":
            raise NotFound("There is no such form.")
        return _form("party", 3)

    async def update(self, principal: Principal, form_id: str, command: UpdateForm) -> Form:
        self.commands.append((principal, command))
        if command.if_match not in (None, 3):
            raise PreconditionFailed
        return _form("party", 4)

    async def delete(self, principal: Principal, form_id: str) -> None:
        self.commands.append((principal, form_id))

    async def list_forms(self, principal: Principal, query: ListForms) -> Page[Any]:
        self.commands.append((principal, query))
        return Page(data=[], meta=PageMeta(limit=query.limit, next_cursor=None))

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        return PublishedForm(
            id="frm_1",
            slug=slug,
            title=principal.tenant_id,
            version=2,
            definition={},
            open=self.open,
            opens_at=None,
            closes_at=None,
        )


def _form(slug: str, revision: int) -> Form:
    return Form(
        id="frm_1",
        slug=slug,
        title="Party",
        status="draft",
        version=None,
        revision=revision,
        definition={},
        settings=FormSettings(),
        created_at=NOW,
        updated_at=NOW,
    )


class FakeResponses:
    def __init__(self) -> None:
        self.submitted: list[tuple[Principal, SubmitResponse]] = []
        self.answer: Callable[[], Any] = lambda: SubmittedResponse(
            id="rsp_1", status="complete", version=1, submitted_at=NOW
        )
        self.chunks: list[ExportChunk | Exception] = []
        self.queries: list[ListResponses] = []
        self.tag = "1"

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        self.submitted.append((principal, command))
        answer = self.answer()
        submitted: SubmittedResponse = await answer if hasattr(answer, "__await__") else answer
        return submitted

    async def list_as_json(self, principal: Principal, query: ListResponses) -> bytes:
        self.queries.append(query)
        page: Page[Any] = Page(data=[], meta=PageMeta(limit=query.limit, next_cursor=None, total=0))
        return page.model_dump_json().encode()

    async def changes_as_json(self, principal: Principal, form_id: str, after: str | None, limit: int) -> bytes:
        return Changes(data=[], next_cursor=after or "first", has_more=False).model_dump_json().encode()

    async def export_state(
        self, principal: Principal, form_id: str, wanted: ExportResponses, *, count: bool = False
    ) -> ExportState:
        return ExportState(tag=self.tag)

    async def export_chunk(
        self,
        principal: Principal,
        form_id: str,
        cursor: str | None,
        wanted: ExportResponses | None = None,
        rows: RowFormat = "csv",
    ) -> ExportChunk:
        chunk = self.chunks[int(cursor or 0)]
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


class FakeImports:
    def __init__(self) -> None:
        self.commands: list[StartImport] = []
        self.failure: Exception | None = None
        self.replayed = False

    async def start(self, principal: Principal, command: StartImport) -> StartedImport:
        self.commands.append(command)
        if self.failure is not None:
            raise self.failure
        return StartedImport(job_id="job_1", replayed=self.replayed)


@dataclass
class FakeEvents:
    components: dict[str, bool] = field(default_factory=dict)
    oldest_s: float = 0.0
    failure: Exception | None = None
    asked: int = 0

    async def measure(self) -> EventMeasures:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return EventMeasures(
            oldest_unpublished_s=self.oldest_s,
            components=[Component(name=name, healthy=healthy) for name, healthy in self.components.items()],
            consumers=[ConsumerBacklog(consumer="mail", pending=7, waiting=2, dead_letters=1)],
            last_backup=1_795_334_042.25,
            last_drill=1_795_340_000.0,
            drill_findings=0.0,
        )


@dataclass
class Fakes:
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    forms: FakeForms = field(default_factory=FakeForms)
    responses: FakeResponses = field(default_factory=FakeResponses)
    imports: FakeImports = field(default_factory=FakeImports)
    files: Any = None
    events: Any = field(default_factory=FakeEvents)
    notifications: Any = None
    probes: dict[str, Any] = field(default_factory=dict)

    def apis(self) -> Apis:
        unused: Any = None
        apis: Any = Apis(
            credentials=self.identity,
            identity=self.identity,  # type: ignore[arg-type]
            forms=self.forms,  # type: ignore[arg-type]
            responses=self.responses,  # type: ignore[arg-type]
            imports=self.imports,
            webhooks=unused,
            jobs=unused,
            audit=unused,
            events=self.events,
            tenancy=unused,
            federation=unused,
            files=self.files,
            exports=unused,
            inference=unused,
            analytics=unused,
            reports=unused,
            notifications=self.notifications,
            probes=self.probes,
        )
        checked: Apis = apis
        return checked


@asynccontextmanager
async def running(fakes: Fakes, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an edge that really listens."""
    settings.setdefault("object_store_url", "memory:///")
    settings.setdefault("drain_s", 0.2)
    edge = Edge(EdgeSettings(port=0, **settings), fakes.apis())
    port = await edge.start()
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=TRUSTS_NOBODY, timeout=10
        ) as client:
            yield client
    finally:
        await edge.stop()
