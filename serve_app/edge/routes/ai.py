"""What models say about texts."""

from deployments.inference.contracts import EmbeddedTexts, EmbedTexts, ModelList, SpamTexts, SpamVerdicts
from deployments.inference.extract_contracts import ExtractEntities, Extraction
from deployments.inference.generate_contracts import Generate, Generation
from serve_app.edge.operations import Exchange, Operation, Reply
from serve_app.edge.routes.snippets import ordered


async def embed(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.embed(x.principal, x.body))


async def extract(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.extract(x.principal, x.body))


async def list_models(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.list_models(x.principal))


async def spam(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.spam(x.principal, x.body))


async def generate(x: Exchange) -> Reply:
    body: Generate = x.body
    if body.task == "summary" and body.form_id is not None:
        return ordered(await x.apis.inference.order_generation(x.principal, body))
    return Reply(await x.apis.inference.generate(x.principal, body))


OPERATIONS = (
    Operation(
        id="embed_texts",
        method="POST",
        path="/api/v1/ai/embed",
        summary="Texts as vectors, for search and comparison of your own.",
        tag="ai",
        scope="ai:use",
        handler=embed,
        request=EmbedTexts,
        response=EmbeddedTexts,
        max_body="max_form_body",
        errors=(503,),
        example={"texts": ["Where is my order?"]},
    ),
    Operation(
        id="extract_entities",
        method="POST",
        path="/api/v1/ai/extract",
        summary="What texts name: addresses, numbers, money, dates, quantities, people, organisations, places.",
        tag="ai",
        scope="ai:use",
        handler=extract,
        request=ExtractEntities,
        response=Extraction,
        max_body="max_form_body",
        errors=(503,),
        example={
            "texts": ["Please call Ada Lovelace at +44 20 7946 0958 tomorrow at 5 pm about order no. 20318."],
            "moment": "2026-03-27T09:00:00+00:00",
            "languages": ["en"],
            "country": "GB",
        },
    ),
    Operation(
        id="judge_spam",
        method="POST",
        path="/api/v1/ai/spam",
        summary="Whether messages are spam.",
        tag="ai",
        scope="ai:use",
        handler=spam,
        request=SpamTexts,
        response=SpamVerdicts,
        max_body="max_form_body",
        errors=(503,),
        example={"texts": ["You have won a prize of 1000 pounds! Call 09061701461 now."]},
    ),
    Operation(
        id="list_models",
        method="GET",
        path="/api/v1/ai/models",
        summary="The models of this installation, with version, licence and checksums.",
        tag="ai",
        scope="ai:use",
        handler=list_models,
        response=ModelList,
    ),
    Operation(
        id="generate",
        method="POST",
        path="/api/v1/ai/generate",
        summary="A summary of texts, or a reply out of snippets.",
        description="Extracts by default: groups of like meaning with counts and quotes, or the snippet that fits. "
        "With `method: model` a generating model words it, where one is configured; else `fallback_reason` says "
        "why not. A "
        "summary of the answers to a form's field (`form_id`, `field`) is made by a job: 202, and then at "
        "`/api/v1/summaries/{summary_id}`.",
        tag="ai",
        scope="ai:use",
        handler=generate,
        request=Generate,
        response=Generation,
        max_body="max_form_body",
        errors=(503,),
        example={"task": "summary", "texts": ["The parcel came late.", "Delivery took two weeks.", "Great soup!"]},
    ),
)
