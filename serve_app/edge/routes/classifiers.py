"""Classifiers of a tenant: labelling, training, correcting."""

from pydantic import Field

from deployments.inference.classify_contracts import (
    AddedExamples,
    ClassifiedTexts,
    Classifier,
    ClassifierChange,
    ClassifierVersionDetails,
    ClassifierVersions,
    ClassifyTexts,
    Corrected,
    Correction,
    Example,
    NewClassifier,
    NewExamples,
    OrderedTraining,
    UncertainAnswers,
)
from deployments.kit.contract import Contract, Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


class ExamplesQuery(PageQuery):
    """Which examples."""

    label: str | None = Field(default=None, max_length=100, description="Those with this label only.")


class UncertainQuery(Contract):
    """How many answers to label."""

    limit: int = Field(default=20, ge=1, le=100)


async def classify(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.classify(x.principal, x.body))


async def create(x: Exchange) -> Reply:
    made = await x.apis.inference.create_classifier(x.principal, x.body)
    return Reply(made, headers=(("location", f"/api/v1/classifiers/{made.id}"),))


async def list_all(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.list_classifiers(x.principal, x.query.cursor, x.query.limit))


async def get(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.get_classifier(x.principal, x.path["classifier_id"]))


async def change(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.change_classifier(x.principal, x.path["classifier_id"], x.body))


async def delete(x: Exchange) -> Reply:
    await x.apis.inference.delete_classifier(x.principal, x.path["classifier_id"])
    return Reply()


async def add_examples(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.add_examples(x.principal, x.path["classifier_id"], x.body))


async def list_examples(x: Exchange) -> Reply:
    query: ExamplesQuery = x.query
    classifier_id = x.path["classifier_id"]
    return Reply(
        await x.apis.inference.list_examples(x.principal, classifier_id, query.cursor, query.limit, query.label)
    )


async def delete_example(x: Exchange) -> Reply:
    await x.apis.inference.delete_example(x.principal, x.path["classifier_id"], x.path["example_id"])
    return Reply()


async def correct(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.correct(x.principal, x.path["classifier_id"], x.body))


async def train(x: Exchange) -> Reply:
    ordered = await x.apis.inference.train_classifier(x.principal, x.path["classifier_id"])
    return Reply(ordered, headers=(("location", f"/api/v1/jobs/{ordered.job_id}"),))


async def list_versions(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.list_classifier_versions(x.principal, x.path["classifier_id"]))


async def get_version(x: Exchange) -> Reply:
    number = int(x.path["version"])
    return Reply(await x.apis.inference.get_classifier_version(x.principal, x.path["classifier_id"], number))


async def activate(x: Exchange) -> Reply:
    number = int(x.path["version"])
    return Reply(await x.apis.inference.activate_classifier_version(x.principal, x.path["classifier_id"], number))


async def list_uncertain(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.list_uncertain(x.principal, x.path["classifier_id"], x.query.limit))


_ONE = "/api/v1/classifiers/{classifier_id}"

OPERATIONS = (
    Operation(
        id="classify_texts",
        method="POST",
        path="/api/v1/ai/classify",
        summary="Labels of texts",
        description="By labels that come with the request, each with a description, examples or both, or by a trained "
        "classifier. The label is null where none is sure enough.",
        tag="ai",
        scope="ai:use",
        handler=classify,
        request=ClassifyTexts,
        response=ClassifiedTexts,
        max_body="max_form_body",
        errors=(409, 503, 504),
        example={
            "texts": ["Where is my invoice?"],
            "labels": [
                {"name": "billing", "description": "Invoices and payments", "examples": ["You charged me twice"]},
                {"name": "delivery", "description": "Parcels and delays"},
            ],
        },
    ),
    Operation(
        id="create_classifier",
        method="POST",
        path="/api/v1/classifiers",
        summary="Make a classifier",
        description="It answers when a version of it was trained.",
        tag="ai",
        scope="ai:write",
        handler=create,
        request=NewClassifier,
        response=Classifier,
        status=201,
        max_body="max_form_body",
        errors=(409,),
        example={
            "name": "topics",
            "labels": [{"name": "billing", "examples": ["You charged me twice"]}, {"name": "delivery"}],
        },
    ),
    Operation(
        id="list_classifiers",
        method="GET",
        path="/api/v1/classifiers",
        summary="The tenant's classifiers, newest first",
        tag="ai",
        scope="ai:use",
        handler=list_all,
        query=PageQuery,
        response=Page[Classifier],
    ),
    Operation(
        id="get_classifier",
        method="GET",
        path=_ONE,
        summary="A classifier",
        tag="ai",
        scope="ai:use",
        handler=get,
        response=Classifier,
    ),
    Operation(
        id="change_classifier",
        method="PATCH",
        path=_ONE,
        summary="Change a classifier",
        tag="ai",
        scope="ai:write",
        handler=change,
        request=ClassifierChange,
        response=Classifier,
        max_body="max_form_body",
        errors=(409,),
    ),
    Operation(
        id="delete_classifier",
        method="DELETE",
        path=_ONE,
        summary="Forget a classifier, its examples and its versions",
        tag="ai",
        scope="ai:write",
        handler=delete,
        status=204,
    ),
    Operation(
        id="add_classifier_examples",
        method="POST",
        path=f"{_ONE}/examples",
        summary="Give a classifier more to learn from",
        tag="ai",
        scope="ai:write",
        handler=add_examples,
        request=NewExamples,
        response=AddedExamples,
        max_body="max_form_body",
    ),
    Operation(
        id="list_classifier_examples",
        method="GET",
        path=f"{_ONE}/examples",
        summary="What a classifier learns from, oldest first",
        tag="ai",
        scope="ai:write",
        handler=list_examples,
        query=ExamplesQuery,
        response=Page[Example],
    ),
    Operation(
        id="delete_classifier_example",
        method="DELETE",
        path=f"{_ONE}/examples/{{example_id}}",
        summary="Forget an example",
        tag="ai",
        scope="ai:write",
        handler=delete_example,
        status=204,
    ),
    Operation(
        id="correct_classifier",
        method="POST",
        path=f"{_ONE}/corrections",
        summary="Say which label a text has",
        description="The next version learns it. After `retrain_after` of them that is trained at once.",
        tag="ai",
        scope="ai:write",
        handler=correct,
        request=Correction,
        response=Corrected,
        status=201,
    ),
    Operation(
        id="train_classifier",
        method="POST",
        path=f"{_ONE}/train",
        summary="Train the next version of a classifier",
        description="A job learns the examples, measures by cross-validation what that is worth, and lets the new "
        "version answer. Until then the earlier one does.",
        tag="ai",
        scope="ai:write",
        handler=train,
        response=OrderedTraining,
        status=202,
    ),
    Operation(
        id="list_classifier_versions",
        method="GET",
        path=f"{_ONE}/versions",
        summary="The versions of a classifier, newest first",
        tag="ai",
        scope="ai:use",
        handler=list_versions,
        response=ClassifierVersions,
    ),
    Operation(
        id="get_classifier_version",
        method="GET",
        path=f"{_ONE}/versions/{{version}}",
        summary="A version of a classifier, with its report",
        tag="ai",
        scope="ai:use",
        handler=get_version,
        response=ClassifierVersionDetails,
    ),
    Operation(
        id="activate_classifier_version",
        method="POST",
        path=f"{_ONE}/versions/{{version}}/activate",
        summary="Let an earlier version of a classifier answer",
        tag="ai",
        scope="ai:write",
        handler=activate,
        response=Classifier,
    ),
    Operation(
        id="list_uncertain_answers",
        method="GET",
        path=f"{_ONE}/uncertain",
        summary="The answers that a classifier is least sure of",
        description="Of the most recent answers to its field. To label them teaches it most.",
        tag="ai",
        scope="ai:use",
        handler=list_uncertain,
        query=UncertainQuery,
        response=UncertainAnswers,
        errors=(409, 503),
    ),
)
