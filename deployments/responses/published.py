"""The published forms that this replica answers, compiled once per version."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.repositories.files import FileClaim
from db.repositories.published_forms import PublishedFormRepository, PublishedSnapshot
from db.session import Database, UnitOfWork
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.file_fields import FileField, file_fields
from deployments.kit.spam_policy import SpamPolicy
from deployments.responses.admission import Admission
from deployments.responses.attaching import claims
from deployments.responses.errors import FormClosed, FormNotFound, TenantSuspended

_FRESH_S = 0.5
_KEPT = 2048

Name = tuple[str, str | None, str | None]  # tenant, slug, form id


@dataclass(frozen=True, slots=True)
class PublishedForm:
    """What submitting needs to know of a form: compiled rules, window and limit."""

    form_id: str
    version: int
    rules: CompiledForm
    limit: int | None
    opens_at: datetime | None
    closes_at: datetime | None
    archived: bool
    suspended: bool
    admission: Admission
    spam: SpamPolicy | None
    tenant_settings: Mapping[str, Any]
    files: tuple[FileField, ...] = ()

    def claims(self, answers: Mapping[str, Any]) -> tuple[FileClaim, ...]:
        """The files that checked answers name."""
        return claims(self.files, answers)

    def require_open(self, now: datetime) -> None:
        """Raise TenantSuspended or FormClosed unless answers are taken at this moment."""
        if self.suspended:
            raise TenantSuspended
        if self.archived:
            raise FormClosed
        if self.opens_at is not None and now < self.opens_at:
            raise FormClosed("the form is not open yet")
        if self.closes_at is not None and now >= self.closes_at:
            raise FormClosed("the form is closed")


class PublishedForms:
    """Bounded cache of published forms. What it answers is at most half a second old; misses share one read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: OrderedDict[Name, tuple[float, PublishedForm | None]] = OrderedDict()
        self._rules: OrderedDict[tuple[str, str, int], CompiledForm] = OrderedDict()
        self._loading: dict[Name, asyncio.Task[PublishedForm | None]] = {}

    async def get(self, tenant_id: str, *, slug: str | None = None, form_id: str | None = None) -> PublishedForm:
        """The form. Raises FormNotFound when the tenant has published none of this name."""
        name = (tenant_id, slug, form_id)
        entry = self._entries.get(name)
        if entry is not None and time.monotonic() < entry[0]:
            form = entry[1]
        else:
            form = await self._load_once(name)
        if form is None:
            raise FormNotFound
        return form

    async def renewed(self, tenant_id: str, form_id: str) -> PublishedForm:
        """The form as it is now, whatever is remembered. Raises FormNotFound."""
        form = await self._load((tenant_id, None, form_id))
        if form is None:
            raise FormNotFound
        return form

    async def rules(self, unit: UnitOfWork, form_id: str, version: int) -> CompiledForm | None:
        """The rules of a version of a form of the unit's tenant; None when it was never published."""
        key = (unit.tenant, form_id, version)
        rules = self._rules.get(key)
        if rules is None:
            row = await PublishedFormRepository(unit.session, unit.tenant).version(form_id, version)
            if row is None:
                return None
            rules = compile_form(stored_definition(row.definition))
            _remember(self._rules, key, rules)
        return rules

    async def _load_once(self, name: Name) -> PublishedForm | None:
        task = self._loading.get(name)
        if task is None:
            task = asyncio.create_task(self._load(name))
            self._loading[name] = task
            task.add_done_callback(lambda _: self._loading.pop(name, None))
        return await asyncio.shield(task)

    async def _load(self, name: Name) -> PublishedForm | None:
        tenant_id, slug, form_id = name
        # The age counts from before the read: a change committed during it must not be hidden for longer.
        fresh_until = time.monotonic() + _FRESH_S
        async with self._database.read(tenant_id) as unit:
            snapshot = await PublishedFormRepository(unit.session, unit.tenant).current(slug=slug, form_id=form_id)
        form = None
        if snapshot is not None and snapshot.tenant_status != "deleted":
            form = self._compiled(tenant_id, snapshot)
        _remember(self._entries, name, (fresh_until, form))
        return form

    def _compiled(self, tenant_id: str, snapshot: PublishedSnapshot) -> PublishedForm:
        key = (tenant_id, snapshot.form_id, snapshot.version)
        rules = self._rules.get(key)
        if rules is None:
            rules = compile_form(stored_definition(snapshot.definition))
            _remember(self._rules, key, rules)
        limits = (snapshot.settings.get("max_responses"), snapshot.tenant_settings.get("max_responses_per_form"))
        return PublishedForm(
            form_id=snapshot.form_id,
            version=snapshot.version,
            rules=rules,
            limit=min((limit for limit in limits if limit is not None), default=None),
            opens_at=_moment(snapshot.settings.get("opens_at")),
            closes_at=_moment(snapshot.settings.get("closes_at")),
            archived=snapshot.status != "published",
            suspended=snapshot.tenant_status != "active",
            spam=None if (spam := snapshot.settings.get("spam")) is None else SpamPolicy.model_validate(spam),
            admission=Admission.of(rules, snapshot.settings, snapshot.revision),
            tenant_settings=snapshot.tenant_settings,
            files=file_fields(snapshot.definition),
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > _KEPT:
        cache.popitem(last=False)
