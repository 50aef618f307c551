"""Texts to reply with, and summaries of answers."""

from deployments.inference.generate_contracts import (
    ChangeSnippet,
    OrderedSummary,
    OrderTopics,
    PutSnippet,
    Snippet,
    Summary,
)
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


async def create_snippet(x: Exchange) -> Reply:
    snippet = await x.apis.inference.create_snippet(x.principal, x.body)
    return Reply(snippet, headers=(("location", f"/api/v1/snippets/{snippet.id}"),))


async def list_snippets(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.inference.list_snippets(x.principal, query.cursor, query.limit))


async def get_snippet(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.get_snippet(x.principal, x.path["snippet_id"]))


async def change_snippet(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.change_snippet(x.principal, x.path["snippet_id"], x.body))


async def delete_snippet(x: Exchange) -> Reply:
    await x.apis.inference.delete_snippet(x.principal, x.path["snippet_id"])
    return Reply()


async def order_topics(x: Exchange) -> Reply:
    return ordered(await x.apis.inference.order_summary(x.principal, x.path["form_id"], x.body))


async def get_summary(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.get_summary(x.principal, x.path["summary_id"]))


async def delete_summary(x: Exchange) -> Reply:
    await x.apis.inference.delete_summary(x.principal, x.path["summary_id"])
    return Reply()


def ordered(order: OrderedSummary) -> Reply:
    """A summary that a job makes."""
    return Reply(order, status=202, headers=(("location", f"/api/v1/jobs/{order.job_id}"),))


OPERATIONS = (
    Operation(
        id="order_topics",
        method="POST",
        path="/api/v1/forms/{form_id}/topics",
        summary="Find out what the answers to a field are about",
        description="A job groups the answers by meaning, names the groups, counts them and quotes from each. Needs "
        "`responses:read`, of a field with personal data `responses:read_personal` too. The result is kept for a week.",
        tag="ai",
        scope="ai:use",
        handler=order_topics,
        request=OrderTopics,
        response=OrderedSummary,
        status=202,
        errors=(409, 503),
        example={"field": "comment"},
    ),
    Operation(
        id="get_summary",
        method="GET",
        path="/api/v1/summaries/{summary_id}",
        summary="What the answers to a field are about",
        description="The quotes are read from the responses each time, with the rights of who reads: what was changed "
        "or deleted since is left out.",
        tag="ai",
        scope="ai:use",
        handler=get_summary,
        response=Summary,
    ),
    Operation(
        id="delete_summary",
        method="DELETE",
        path="/api/v1/summaries/{summary_id}",
        summary="Forget a summary",
        tag="ai",
        scope="ai:use",
        handler=delete_summary,
        status=204,
    ),
    Operation(
        id="create_snippet",
        method="POST",
        path="/api/v1/snippets",
        summary="Keep a text to reply with",
        description='`{{ answers.name }}` stands for an answer, `{{ answers.name | default("you") }}` for that or '
        "something else. Everything wrong is named with its line.",
        tag="ai",
        scope="ai:write",
        handler=create_snippet,
        request=PutSnippet,
        response=Snippet,
        status=201,
        errors=(409,),
        example={
            "title": "Late delivery",
            "text": 'Dear {{ answers.name | default("customer") }}, we are sorry that your parcel is late.',
            "language": "en",
            "tags": ["delivery"],
        },
    ),
    Operation(
        id="list_snippets",
        method="GET",
        path="/api/v1/snippets",
        summary="The texts to reply with",
        tag="ai",
        scope="ai:use",
        handler=list_snippets,
        query=PageQuery,
        response=Page[Snippet],
    ),
    Operation(
        id="get_snippet",
        method="GET",
        path="/api/v1/snippets/{snippet_id}",
        summary="A text to reply with",
        tag="ai",
        scope="ai:use",
        handler=get_snippet,
        response=Snippet,
    ),
    Operation(
        id="change_snippet",
        method="PATCH",
        path="/api/v1/snippets/{snippet_id}",
        summary="Change a text to reply with",
        tag="ai",
        scope="ai:write",
        handler=change_snippet,
        request=ChangeSnippet,
        response=Snippet,
    ),
    Operation(
        id="delete_snippet",
        method="DELETE",
        path="/api/v1/snippets/{snippet_id}",
        summary="Forget a text to reply with",
        tag="ai",
        scope="ai:write",
        handler=delete_snippet,
        status=204,
    ),
)
