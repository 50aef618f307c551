"""C2: what is remembered of a list of forms is for those who may see the same of it."""

from deployments.forms.contracts import FormSummary, ListForms
from deployments.forms.remembering import RememberedForms
from deployments.kit.cache import Caches
from deployments.kit.contract import Page, PageMeta
from deployments.kit.principal import Principal

READS = frozenset({"forms:read"})


async def test_lists_are_remembered_by_tenant_question_and_rights() -> None:
    remembered = RememberedForms(Caches())
    asked: list[tuple[str, str]] = []

    async def page(principal: Principal, query: ListForms) -> None:
        async def read() -> Page[FormSummary]:
            asked.append((principal.tenant_id, principal.subject))
            return Page[FormSummary](data=[], meta=PageMeta(limit=1, next_cursor=None))

        await remembered.page(principal, query, read)

    every = ListForms()
    for tenant_id in ("acme", "globex"):
        everybody = Principal(tenant_id, "usr_all", "user", scopes=READS)
        invited = Principal(tenant_id, "usr_one", "user", grants={"frm_1": READS})
        also_invited = Principal(tenant_id, "usr_two", "user", grants={"frm_1": READS, "frm_2": READS})
        for principal in (everybody, invited, also_invited, everybody, invited, also_invited):
            await page(principal, every)
    assert asked == [(tenant, user) for tenant in ("acme", "globex") for user in ("usr_all", "usr_one", "usr_two")]
    # Two who may see the same share it; another question is another list.
    await page(Principal("acme", "usr_three", "user", grants={"frm_1": READS}), every)
    assert len(asked) == 6
    await page(Principal("acme", "usr_all", "user", scopes=READS), ListForms(sort="title"))
    assert len(asked) == 7
