"""Forms and responses as the import jobs see them, kept in memory."""

from typing import Any

from db.types import new_id, utc_now
from deployments.forms.contracts import CreateForm, Form, FormSettings, FormVersion
from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.errors import Conflict, NotFound, Unavailable
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportOutcome, ImportRow, RejectedRow


class MemoryForms:
    """Keeps forms by tenant and slug. `rival` is created by somebody else just before the first own creation."""

    def __init__(self) -> None:
        self.forms: dict[tuple[str, str], Form] = {}
        self.versions: dict[tuple[str, int], FormVersion] = {}
        self.rival: CreateForm | None = None
        self.publish_fails = False

    async def create(self, principal: Principal, command: CreateForm) -> Form:
        principal.require("forms:write")
        rival, self.rival = self.rival, None
        if rival is not None:
            await self.create(principal, rival)
        if (principal.tenant_id, command.slug) in self.forms:
            raise Conflict("taken")
        form = Form(
            id=new_id("frm"),
            slug=command.slug,
            title=command.title,
            status="draft",
            version=None,
            revision=1,
            definition=parse_definition(command.definition).document(),
            settings=FormSettings(),
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        return self.put(principal, form)

    def put(self, principal: Principal, form: Form, **changes: Any) -> Form:
        changed = form.model_copy(update=changes)
        self.forms[principal.tenant_id, form.slug] = changed
        return changed

    async def get_by_slug(self, principal: Principal, slug: str) -> Form:
        if (principal.tenant_id, slug) not in self.forms:
            raise NotFound
        return self.forms[principal.tenant_id, slug]

    async def publish(self, principal: Principal, form_id: str) -> FormVersion:
        if self.publish_fails:
            raise Unavailable
        form = next(form for form in self.forms.values() if form.id == form_id)
        number = (form.version or 0) + 1
        version = FormVersion(
            form_id=form.id, version=number, title=form.title, definition=form.definition, published_at=utc_now()
        )
        self.versions[form.id, number] = version
        self.put(principal, form, status="published", version=number)
        return version

    async def get_version(self, principal: Principal, form_id: str, version: int) -> FormVersion:
        return self.versions[form_id, version]


class MemoryResponses:
    """Keeps rows by form and key. Refuses the answers that the form refuses; fails after `batches` calls."""

    def __init__(self, forms: MemoryForms) -> None:
        self._forms = forms
        self.rows: dict[str, dict[str, ImportRow]] = {}
        self.principals: set[Principal] = set()
        self.sizes: list[int] = []
        self.batches: int | None = None

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome:
        principal.require("responses:write")
        if self.batches is not None and len(self.sizes) >= self.batches:
            raise Unavailable("the context is being redeployed")
        self.principals.add(principal)
        self.sizes.append(len(rows))
        published = max(
            (v for (form, _), v in self._forms.versions.items() if form == form_id), key=lambda v: v.version
        )
        rules = compile_form(parse_definition(published.definition))
        known = self.rows.setdefault(form_id, {})
        imported = skipped = 0
        rejected = []
        for row in rows:
            _, faults = rules.check(row.answers, partial=True)
            if row.key in known:
                skipped += 1
            elif faults:
                rejected.append(RejectedRow(line=row.line, detail=faults[0].detail))
            else:
                known[row.key] = row
                imported += 1
        return ImportOutcome(imported=imported, skipped=skipped, rejected=rejected)
