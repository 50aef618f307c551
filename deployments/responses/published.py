"""The published forms that this replica answers, compiled once per version."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from db.models.visits import CaptchaProvider
from db.repositories.files import FileClaim
from db.repositories.published_forms import PublishedFormRepository, PublishedSnapshot, most_answered
from db.session import Database, UnitOfWork
from deployments.kit.cache import Cache, Caches, Key
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.errors import TenantSuspended
from deployments.kit.file_fields import FileField, file_fields
from deployments.kit.spam_policy import SpamPolicy
from deployments.responses.admission import Admission
from deployments.responses.attaching import claims
from deployments.responses.errors import FormClosed, FormNotFound

_KEPT: Final = 2048
_WARMED: Final = 100
_FORM_BYTES: Final = 2_048
_RULES_BYTES: Final = 256 * 1024 * 1024
_COMPILED_BYTES: Final = 25
"""What a byte of a definition takes when it is compiled, measured."""


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
    captcha: CaptchaProvider | None = None

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

    def __init__(self, database: Database, caches: Caches | None = None) -> None:
        self._database = database
        caches = caches or Caches()
        self._caches = caches
        self._forms: Cache[PublishedForm] = Cache(
            "answered_forms",
            caches,
            areas=("form", "tenant"),
            capacity=_KEPT,
            absent=(FormNotFound,),
            size=lambda _: _FORM_BYTES,
        )
        caches.warmers.append(self._warm)
        self._rules: Cache[CompiledForm] = Cache("rules", caches, capacity=_KEPT, max_bytes=_RULES_BYTES)

    async def get(self, tenant_id: str, *, slug: str | None = None, form_id: str | None = None) -> PublishedForm:
        """The form. Raises FormNotFound when the tenant has published none of this name."""
        return await self._forms.get(_key(tenant_id, slug, form_id), lambda: self._load(tenant_id, slug, form_id))

    async def renewed(self, tenant_id: str, form_id: str) -> PublishedForm:
        """The form as it is now, whatever is remembered. Raises FormNotFound."""
        as_of = self._caches.clock()
        form = await self._load(tenant_id, None, form_id)
        self._forms.learn(_key(tenant_id, None, form_id), form, as_of)
        return form

    async def _warm(self) -> None:
        """Compile the forms that are answered most, so that their next submission finds them ready."""
        async with self._database.unscoped_read() as unit:
            busy = await most_answered(unit.session, _WARMED)
        for tenant_id, form_id in busy:
            with suppress(FormNotFound):
                await self.get(tenant_id, form_id=form_id)

    async def rules(self, unit: UnitOfWork, form_id: str, version: int) -> CompiledForm | None:
        """The rules of a version of a form of the unit's tenant; None when it was never published."""
        rules = self._rules.known(Key(unit.tenant, "rules", form_id, version))
        if rules is None:
            row = await PublishedFormRepository(unit.session, unit.tenant).version(form_id, version)
            if row is None:
                return None
            rules = self._compile(unit.tenant, form_id, version, row.definition)
        return rules

    async def _load(self, tenant_id: str, slug: str | None, form_id: str | None) -> PublishedForm:
        async with self._database.read(tenant_id) as unit:
            snapshot = await PublishedFormRepository(unit.session, unit.tenant).current(slug=slug, form_id=form_id)
        if snapshot is None or snapshot.tenant_status == "deleted":
            raise FormNotFound
        return self._compiled(tenant_id, snapshot)

    def _compile(self, tenant_id: str, form_id: str, version: int, definition: dict[str, Any]) -> CompiledForm:
        rules = compile_form(stored_definition(definition))
        size = _COMPILED_BYTES * len(orjson.dumps(definition))
        self._rules.keep(Key(tenant_id, "rules", form_id, version), rules, size)
        return rules

    def _compiled(self, tenant_id: str, snapshot: PublishedSnapshot) -> PublishedForm:
        rules = self._rules.known(Key(tenant_id, "rules", snapshot.form_id, snapshot.version))
        if rules is None:
            rules = self._compile(tenant_id, snapshot.form_id, snapshot.version, snapshot.definition)
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
            captcha=snapshot.captcha,
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _key(tenant_id: str, slug: str | None, form_id: str | None) -> Key:
    return Key(tenant_id, "answered", slug, form_id)
