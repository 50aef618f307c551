"""Forms to begin with."""

from deployments.forms.contracts import CreateTemplate, Form, Template, TemplateSummary, UseTemplate
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply
from serve_app.edge.routes.forms import made


async def list_templates(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.forms.list_templates(x.principal, query.cursor, query.limit))


async def get_template(x: Exchange) -> Reply:
    return Reply(await x.apis.forms.get_template(x.principal, x.path["template_id"]))


async def create_template(x: Exchange) -> Reply:
    template = await x.apis.forms.create_template(x.principal, x.body)
    return Reply(template, headers=(("location", f"/api/v1/templates/{template.id}"),))


async def delete_template(x: Exchange) -> Reply:
    await x.apis.forms.delete_template(x.principal, x.path["template_id"])
    return Reply()


async def use_template(x: Exchange) -> Reply:
    return made(await x.apis.forms.use_template(x.principal, x.path["template_id"], x.body))


OPERATIONS = (
    Operation(
        id="list_templates",
        method="GET",
        path="/api/v1/templates",
        summary="Forms to begin with",
        description="The tenant's own templates first, then those that come with the platform.",
        tag="Forms",
        scope="forms:read",
        handler=list_templates,
        query=PageQuery,
        response=Page[TemplateSummary],
    ),
    Operation(
        id="create_template",
        method="POST",
        path="/api/v1/templates",
        summary="Keep a form as a template",
        description="The draft and the settings are copied, without recipients, dates and limits.",
        tag="Forms",
        scope="forms:write",
        handler=create_template,
        request=CreateTemplate,
        response=Template,
        status=201,
        errors=(409,),
    ),
    Operation(
        id="get_template",
        method="GET",
        path="/api/v1/templates/{template_id}",
        summary="A template with its definition",
        tag="Forms",
        scope="forms:read",
        handler=get_template,
        response=Template,
    ),
    Operation(
        id="delete_template",
        method="DELETE",
        path="/api/v1/templates/{template_id}",
        summary="Forget one of the tenant's templates",
        tag="Forms",
        scope="forms:write",
        handler=delete_template,
        status=204,
        errors=(409,),
    ),
    Operation(
        id="create_form_from_template",
        method="POST",
        path="/api/v1/templates/{template_id}/forms",
        summary="Create a form from a template",
        description="The form is a draft until it is published.",
        tag="Forms",
        scope="forms:write",
        handler=use_template,
        request=UseTemplate,
        response=Form,
        status=201,
        errors=(409,),
    ),
)
