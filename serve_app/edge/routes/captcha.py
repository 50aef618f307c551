"""The tenant's account at a captcha provider."""

from deployments.identity.contracts import Captcha, PutCaptcha
from serve_app.edge.operations import Exchange, Operation, Reply

_PATH = "/api/v1/captcha"


async def get(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.get_captcha(x.principal))


async def put(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.put_captcha(x.principal, x.body))


async def remove(x: Exchange) -> Reply:
    await x.apis.identity.remove_captcha(x.principal)
    return Reply()


OPERATIONS = (
    Operation(
        id="get_captcha",
        method="GET",
        path=_PATH,
        summary="The tenant's captcha provider",
        description="Without its secret.",
        tag="Tenants",
        scope="tenant:read",
        handler=get,
        response=Captcha,
    ),
    Operation(
        id="put_captcha",
        method="PUT",
        path=_PATH,
        summary="Set the tenant's captcha provider",
        description="Forms with `spam.captcha` in their settings ask visitors to solve one of its captchas. The secret "
        "is encrypted, and shown to nobody.",
        tag="Tenants",
        scope="tenant:write",
        handler=put,
        request=PutCaptcha,
        response=Captcha,
        example={"provider": "turnstile", "site_key": "0x4AAA", "secret": "0x4AAA-secret"},
    ),
    Operation(
        id="remove_captcha",
        method="DELETE",
        path=_PATH,
        summary="Forget the tenant's captcha provider",
        description="What a form's settings say for the time in which no provider can be asked holds then.",
        tag="Tenants",
        scope="tenant:write",
        handler=remove,
        status=204,
    ),
)
