"""What people do with letters about their accounts: verify and change addresses, choose forgotten passwords anew."""

from deployments.identity.contracts import ChangeEmail, ForgotPassword, ResetPassword, VerifyEmail
from serve_app.edge.operations import Access, Exchange, Operation, Reply

_TAG = "Accounts"


async def verify_email(x: Exchange) -> Reply:
    await x.apis.identity.verify_email(x.principal.origin, x.body)
    return Reply()


async def resend_verification(x: Exchange) -> Reply:
    await x.apis.identity.resend_verification(x.principal)
    return Reply()


async def change_email(x: Exchange) -> Reply:
    await x.apis.identity.change_email(x.principal, x.body)
    return Reply()


async def forgot_password(x: Exchange) -> Reply:
    await x.apis.identity.forgot_password(x.principal.origin, x.body)
    return Reply()


async def reset_password(x: Exchange) -> Reply:
    await x.apis.identity.reset_password(x.principal.origin, x.body)
    return Reply()


OPERATIONS = (
    Operation(
        id="verify_email",
        method="POST",
        path="/api/v1/auth/email/verify",
        summary="Verify an e-mail address with the link of a letter",
        description="The link of a letter about another address makes that address the account's.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=verify_email,
        request=VerifyEmail,
        status=204,
        errors=(403, 409),
    ),
    Operation(
        id="resend_verification",
        method="POST",
        path="/api/v1/auth/email/verify/resend",
        summary="Have the verification letter sent again",
        description="Nothing is sent when the address is verified. At most five letters an hour.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        rate="auth",
        handler=resend_verification,
        status=202,
    ),
    Operation(
        id="change_email",
        method="POST",
        path="/api/v1/auth/email/change",
        summary="Change the own e-mail address",
        description="The address changes when the link in the letter to it is used; the old one gets a notice.",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        rate="auth",
        handler=change_email,
        request=ChangeEmail,
        status=202,
        example={"email": "ada@example.org", "current_password": "correct horse battery"},
    ),
    Operation(
        id="forgot_password",
        method="POST",
        path="/api/v1/auth/password/forgot",
        summary="Ask for a letter with which to choose a new password",
        description="The answer is the same whether or not there is such an account. The link works for an hour.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=forgot_password,
        request=ForgotPassword,
        status=202,
        example={"tenant": "acme", "email": "ada@example.com"},
    ),
    Operation(
        id="reset_password",
        method="POST",
        path="/api/v1/auth/password/reset",
        summary="Choose a new password with the link of a letter",
        description="Every session of the person ends.",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=reset_password,
        request=ResetPassword,
        status=204,
        errors=(403,),
        example={"token": "fsl_…", "new_password": "a better horse battery"},
    ),
)
