"""Erasing what one person answered."""

from deployments.kit.contract import Page
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure, PersonErasureReceipt
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_SCOPE = "people:erase"


async def erase(x: Exchange) -> Reply:
    ordered = await x.apis.tenancy.erase_person(x.principal, x.body)
    return Reply(ordered, headers=(("location", f"/api/v1/jobs/{ordered.job_id}"),))


async def list_erasures(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.tenancy.list_person_erasures(x.principal, query.cursor, query.limit))


async def get_erasure(x: Exchange) -> Reply:
    return Reply(await x.apis.tenancy.get_person_erasure(x.principal, x.path["erasure_id"]))


async def get_receipt(x: Exchange) -> Reply:
    return Reply(await x.apis.tenancy.get_person_receipt(x.principal, x.path["erasure_id"]))


OPERATIONS = (
    Operation(
        id="erase_person",
        method="POST",
        path="/api/v1/erasures",
        summary="Erase everything that a person answered",
        description="A job finds the person's responses in every form, version and state and erases them with all that "
        "was made of them: versions, comments, files, index, events, deliveries, mails, exports. With `dry_run`, which "
        "is the default, it only counts. What it found is at `/api/v1/erasures/{id}`. Asked for again, an erasure of "
        "the same person that has not ended goes on.",
        tag="Responses",
        scope=_SCOPE,
        handler=erase,
        request=ErasePerson,
        response=PersonErasure,
        status=202,
        example={"subject": {"email": "ada@example.com"}, "form_ids": None, "dry_run": True},
    ),
    Operation(
        id="list_person_erasures",
        method="GET",
        path="/api/v1/erasures",
        summary="Erasures of persons, newest first",
        tag="Responses",
        scope=_SCOPE,
        handler=list_erasures,
        query=PageQuery,
        response=Page[PersonErasure],
    ),
    Operation(
        id="get_person_erasure",
        method="GET",
        path="/api/v1/erasures/{erasure_id}",
        summary="An erasure, and what it found",
        tag="Responses",
        scope=_SCOPE,
        handler=get_erasure,
        response=PersonErasure,
    ),
    Operation(
        id="get_person_erasure_receipt",
        method="GET",
        path="/api/v1/erasures/{erasure_id}/receipt",
        summary="The receipt for an erased person",
        description="`formstream verify-receipt FILE` checks its signature. There is none for a dry run.",
        tag="Responses",
        scope=_SCOPE,
        handler=get_receipt,
        response=PersonErasureReceipt,
    ),
)
