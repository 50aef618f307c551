"""Text messages to one telephone, asked for by other contexts."""

from cryptography.fernet import InvalidToken

from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_TEXT, TextMessage
from deployments.notifications.segments import segments_of
from deployments.notifications.service.receipts import address_of
from deployments.notifications.sms import TextDeferred, TextRejected, TextTransport
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry


class SendText:
    """Sends one text message. What it says is kept nowhere: the result of the job is how many `segments` it took, the
    provider's id of it, and its `status`, which receipts of the provider change later."""

    def __init__(self, vault: Vault, transport: TextTransport, public_url: str = "") -> None:
        self._vault = vault
        self._transport = transport
        self._public_url = public_url.rstrip("/")

    async def run(self, job: JobRun) -> Done:
        """Send; raises Retry while the provider cannot take it, GiveUp when it never will."""
        try:
            message = TextMessage.unsealed(self._vault, job.payload)
        except InvalidToken as error:
            raise GiveUp("the text message was sealed with another secret key") from error
        try:
            provider_id = await self._transport.send(message, job.id, self._receipts(job))
        except TextDeferred as error:
            raise Retry(error.detail, error.retry_after) from error
        except TextRejected as error:
            raise GiveUp(error.detail) from error
        return Done({"segments": segments_of(message.text), "status": "accepted", "provider_id": provider_id or None})

    def _receipts(self, job: JobRun) -> str:
        # A provider reaches us over https or not at all.
        is_reachable = self._public_url.startswith("https://")
        return address_of(self._public_url, job.tenant_id, job.id) if is_reachable else ""

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends text messages. They are wanted at once or not at all: the codes in them expire."""
        return (JobKind(SEND_TEXT, "high", self.run, max_attempts=6, delays=(2.0, 5.0, 15.0, 60.0)),)
