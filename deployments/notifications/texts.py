"""Text messages to one telephone, asked for by other contexts."""

from cryptography.fernet import InvalidToken

from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_TEXT, TextMessage
from deployments.notifications.sms import TextDeferred, TextRejected, TextTransport
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry


class SendText:
    """Sends one text message. What it says is kept nowhere."""

    def __init__(self, vault: Vault, transport: TextTransport) -> None:
        self._vault = vault
        self._transport = transport

    async def run(self, job: JobRun) -> Done:
        """Send; raises Retry while the provider cannot take it, GiveUp when it never will."""
        try:
            message = TextMessage.unsealed(self._vault, job.payload)
        except InvalidToken as error:
            raise GiveUp("the text message was sealed with another secret key") from error
        try:
            await self._transport.send(message, job.id)
        except TextDeferred as error:
            raise Retry(error.detail, error.retry_after) from error
        except TextRejected as error:
            raise GiveUp(error.detail) from error
        return Done()

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends text messages. They are wanted at once or not at all: the codes in them expire."""
        return (JobKind(SEND_TEXT, "high", self.run, max_attempts=6, delays=(2.0, 5.0, 15.0, 60.0)),)
