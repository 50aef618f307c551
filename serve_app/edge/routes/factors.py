"""One-time codes, telephones and second factors."""

from typing import Final, Literal

from deployments.identity.contracts import Session
from deployments.identity.factor_contracts import (
    AddedFactor,
    AnswerChallenge,
    ChallengeSent,
    CodeSent,
    ConfirmSetup,
    ConfirmTotp,
    CurrentPassword,
    Enrolled,
    EnrolTotp,
    FactorKind,
    FactorProof,
    Factors,
    Phone,
    PutPhone,
    RecoveryCodes,
    RequestCode,
    SecondFactorLogIn,
    SendSecondFactorCode,
    StartedTotp,
)
from serve_app.edge.operations import Access, Exchange, Handler, Operation, Reply
from serve_app.edge.sessions import begin

_TAG: Final = "Second factors"
_CHALLENGE: Final = "3q2-7wEjRWeJq83v_opaque"
_PASSWORD: Final = {"current_password": "correct horse battery"}
_CHANNELS: Final[tuple[tuple[Literal["email", "sms"], str], ...]] = (("email", "e-mail"), ("sms", "text message"))


async def request_code(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.request_code(x.principal.origin, x.body))


async def verify_code(x: Exchange) -> Reply:
    return await begin(x, lambda: x.apis.identity.verify_code(x.principal.origin, x.body))


async def show_second_factor(x: Exchange) -> Reply:
    return await begin(x, lambda: x.apis.identity.show_second_factor(x.principal.origin, x.body))


async def send_second_factor_code(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.send_second_factor_code(x.principal.origin, x.body))


async def start_second_factor_setup(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.start_setup(x.principal.origin, x.body))


async def confirm_second_factor_setup(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.confirm_setup(x.principal.origin, x.body))


async def list_factors(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_factors(x.principal))


async def start_totp(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.start_totp(x.principal, x.body))


async def confirm_totp(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.confirm_totp(x.principal, x.body))


async def renew_recovery_codes(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.renew_recovery_codes(x.principal, x.body))


async def put_phone(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.put_phone(x.principal, x.body))


async def verify_phone(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.verify_phone(x.principal, x.body))


async def remove_phone(x: Exchange) -> Reply:
    await x.apis.identity.remove_phone(x.principal, x.body)
    return Reply()


async def reset_factors(x: Exchange) -> Reply:
    await x.apis.identity.reset_factors(x.principal, x.path["user_id"])
    return Reply()


def _adds(channel: Literal["email", "sms"]) -> Handler:
    async def add(x: Exchange) -> Reply:
        return Reply(await x.apis.identity.add_code_factor(x.principal, channel, x.body))

    return add


def _removes(kind: FactorKind) -> Handler:
    async def remove(x: Exchange) -> Reply:
        await x.apis.identity.remove_factor(x.principal, kind, x.body)
        return Reply()

    return remove


OPERATIONS = (
    Operation(
        id="request_code",
        method="POST",
        path="/api/v1/auth/otp/request",
        summary="Ask for a code to log in with",
        description="The answer is the same whether or not there is such an account. The code is sent where the tenant "
        "has switched `login_codes` on; it lives for five minutes and takes five tries. At most one in 30 seconds and "
        "five in an hour; a newer one voids the older.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=request_code,
        request=RequestCode,
        response=ChallengeSent,
        status=202,
        example={"tenant": "acme", "email": "ada@example.com", "channel": "email"},
    ),
    Operation(
        id="verify_code",
        method="POST",
        path="/api/v1/auth/otp/verify",
        summary="Log in with a code that was sent",
        description="Also takes the challenge of a login whose second factor is a code. Whoever has another second "
        "factor is asked for it as at login.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=verify_code,
        request=AnswerChallenge,
        response=Session,
        errors=(401, 403),
        example={"challenge": _CHALLENGE, "code": "123456"},
    ),
    Operation(
        id="show_second_factor",
        method="POST",
        path="/api/v1/auth/login/second-factor",
        summary="Finish a login with a second factor",
        description="`challenge` comes with the refusal `login.second_factor`, works once and takes five tries. Wrong "
        "codes count like wrong passwords.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=show_second_factor,
        request=SecondFactorLogIn,
        response=Session,
        errors=(401, 403),
        example={"challenge": _CHALLENGE, "method": "totp", "code": "123456"},
    ),
    Operation(
        id="send_second_factor_code",
        method="POST",
        path="/api/v1/auth/login/second-factor/code",
        summary="Send a code as the second factor",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=send_second_factor_code,
        request=SendSecondFactorCode,
        response=CodeSent,
        status=202,
        errors=(401,),
        example={"challenge": _CHALLENGE, "channel": "sms"},
    ),
    Operation(
        id="start_second_factor_setup",
        method="POST",
        path="/api/v1/auth/login/second-factor/setup",
        summary="Set up the second factor that the tenant requires",
        description="`challenge` comes with the refusal `login.second_factor_required_setup`.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=start_second_factor_setup,
        request=EnrolTotp,
        response=StartedTotp,
        errors=(401,),
        example={"challenge": _CHALLENGE},
    ),
    Operation(
        id="confirm_second_factor_setup",
        method="POST",
        path="/api/v1/auth/login/second-factor/setup/confirm",
        summary="Confirm the required second factor and log in",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=confirm_second_factor_setup,
        request=ConfirmSetup,
        response=Enrolled,
        errors=(401, 403, 404),
        example={"challenge": _CHALLENGE, "code": "123456"},
    ),
    Operation(
        id="list_factors",
        method="GET",
        path="/api/v1/auth/factors",
        summary="The caller's second factors",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=list_factors,
        response=Factors,
    ),
    Operation(
        id="start_totp",
        method="POST",
        path="/api/v1/auth/totp",
        summary="Begin with an authenticator app",
        description="The secret counts once it is confirmed with a code.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=start_totp,
        request=CurrentPassword,
        response=StartedTotp,
        errors=(409,),
        example=_PASSWORD,
    ),
    Operation(
        id="confirm_totp",
        method="POST",
        path="/api/v1/auth/totp/confirm",
        summary="Confirm the authenticator app",
        description="The recovery codes are shown this once; earlier ones are worthless.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=confirm_totp,
        request=ConfirmTotp,
        response=RecoveryCodes,
        errors=(404, 409),
        example={"code": "123456"},
    ),
    Operation(
        id="remove_totp",
        method="DELETE",
        path="/api/v1/auth/totp",
        summary="Remove the authenticator app",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=_removes("totp"),
        request=FactorProof,
        status=204,
        errors=(404,),
        example=_PASSWORD,
    ),
    Operation(
        id="renew_recovery_codes",
        method="POST",
        path="/api/v1/auth/totp/recovery-codes",
        summary="Make new recovery codes",
        description="They are shown this once; the earlier ones are worthless.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=renew_recovery_codes,
        request=FactorProof,
        response=RecoveryCodes,
        errors=(404,),
        example=_PASSWORD,
    ),
    *(
        Operation(
            id=f"add_{channel}_factor",
            method="PUT",
            path=f"/api/v1/auth/factors/{channel}",
            summary=f"Make codes by {words} a second factor",
            description="With the first factor come recovery codes, shown this once.",
            tag=_TAG,
            scope=Access.SIGNED_IN,
            handler=_adds(channel),
            request=CurrentPassword,
            response=AddedFactor,
            errors=(409,),
            example=_PASSWORD,
        )
        for channel, words in _CHANNELS
    ),
    *(
        Operation(
            id=f"remove_{channel}_factor",
            method="DELETE",
            path=f"/api/v1/auth/factors/{channel}",
            summary=f"Codes by {words} are no second factor any more",
            tag=_TAG,
            scope=Access.SIGNED_IN,
            handler=_removes(channel),
            request=FactorProof,
            status=204,
            errors=(404,),
            example=_PASSWORD,
        )
        for channel, words in _CHANNELS
    ),
    Operation(
        id="put_phone",
        method="PUT",
        path="/api/v1/auth/phone",
        summary="Give the own telephone number",
        description="A code is sent to it; the number counts once the code has come back.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=put_phone,
        request=PutPhone,
        response=ChallengeSent,
        status=202,
        example={"phone": "+1 415 555 2671", **_PASSWORD},
    ),
    Operation(
        id="verify_phone",
        method="POST",
        path="/api/v1/auth/phone/verify",
        summary="Verify the own telephone number",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=verify_phone,
        request=AnswerChallenge,
        response=Phone,
        example={"challenge": _CHALLENGE, "code": "123456"},
    ),
    Operation(
        id="remove_phone",
        method="DELETE",
        path="/api/v1/auth/phone",
        summary="Forget the own telephone number",
        description="Codes by text message are no second factor any more either.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        handler=remove_phone,
        request=FactorProof,
        status=204,
        example=_PASSWORD,
    ),
    Operation(
        id="reset_factors",
        method="DELETE",
        path="/api/v1/users/{user_id}/factors",
        summary="Remove every second factor of a person who lost them",
        description="The telephone number goes too. Nobody does this to themselves, nor to somebody with more rights.",
        tag=_TAG,
        scope="users:write",
        handler=reset_factors,
        status=204,
        errors=(409,),
    ),
)
