"""Storing what a visitor sends: at once, or where it may take as long as the form's captcha does."""

from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.errors import CaptchaPending
from deployments.responses.life_contracts import PartialResponse
from serve_app.edge.operations import Exchange


async def submitted(x: Exchange, command: SubmitResponse) -> SubmittedResponse:
    """The stored response."""
    try:
        return await x.apis.responses.submit(x.principal, command)
    except CaptchaPending:
        return await x.apis.responses.submit_screened(x.principal, command)


async def saved(x: Exchange, token: str, body: bytes, key: str | None) -> PartialResponse:
    """What is added to a partial response, or completes it."""
    try:
        return await x.apis.responses.save_partial(x.principal, token, body, key)
    except CaptchaPending:
        return await x.apis.responses.save_screened(x.principal, token, body, key)
