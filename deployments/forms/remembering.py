"""What is remembered of forms: what dashboards and visitors read over and over."""

from collections.abc import Awaitable, Callable
from typing import Final

from deployments.forms.contracts import Form, FormSummary, ListForms, PublishedForm
from deployments.forms.errors import FormNotFound
from deployments.kit.cache import FRESH_OF_PRIMARY_S, Cache, Caches, Key
from deployments.kit.contract import Page
from deployments.kit.principal import Principal

_PAGES: Final = 2_000


class RememberedForms:
    """Forms, lists of them and published ones. A changed form shows at once in this process, as soon as it is heard of
    in others, and within a second in any case; so do numbers of responses, which nobody is told of."""

    def __init__(self, caches: Caches) -> None:
        self._forms: Cache[Form] = Cache(
            "forms", caches, fresh_s=FRESH_OF_PRIMARY_S, areas=("form",), absent=(FormNotFound,)
        )
        self._pages: Cache[Page[FormSummary]] = Cache("form_lists", caches, areas=("form",), capacity=_PAGES)
        self._published: Cache[PublishedForm] = Cache(
            "public_forms", caches, fresh_s=FRESH_OF_PRIMARY_S, areas=("form", "tenant"), absent=(FormNotFound,)
        )

    async def form(self, principal: Principal, form_id: str, read: Callable[[], Awaitable[Form]]) -> Form:
        """A form, with its draft. It looks the same to all who may see it."""
        return await self._forms.get(Key(principal.tenant_id, "form", form_id), read)

    async def page(
        self, principal: Principal, query: ListForms, read: Callable[[], Awaitable[Page[FormSummary]]]
    ) -> Page[FormSummary]:
        """A page of a list, of the forms that the principal may see."""
        seen = None if principal.may("forms:read") else sorted(principal.forms_granted("forms:read"))
        return await self._pages.get(Key(principal.tenant_id, "forms", query.model_dump_json(), seen), read)

    async def published(
        self, principal: Principal, slug: str, read: Callable[[], Awaitable[PublishedForm]]
    ) -> PublishedForm:
        """A published form, as any visitor sees it."""
        return await self._published.get(Key(principal.tenant_id, "public", slug), read)
