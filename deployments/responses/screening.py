"""What is asked of visitors before their answers are stored: a captcha, and not to answer all the time (R6)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

import orjson
import structlog

from db.models.visits import CaptchaProvider
from db.repositories.visits import AddressCountRepository, CaptchaRepository
from db.session import Database
from db.types import utc_now
from deployments.kit.addresses import network_of
from deployments.kit.egress import Egress, EgressFailed, EgressRefused
from deployments.kit.principal import Principal
from deployments.kit.secret_keys import Keys, SecretKeys
from deployments.kit.spam_policy import AddressLimit, CaptchaPolicy
from deployments.kit.vault import Vault
from deployments.responses.errors import AddressBusy, CaptchaDown, CaptchaPending, IdempotencyRunning, InvalidAnswers
from deployments.responses.published import PublishedForm

Verdict: TypeAlias = Literal["passed", "failed", "unknown"]

BUSY: Final = "address"
UNCHECKED: Final = "captcha_unchecked"

_PURPOSE: Final = "visitors"
_DEADLINE_S: Final = 3.0
# As long as a provider knows a token; what waits longer than the first belongs to a worker that died.
_ASKING: Final = timedelta(seconds=15)
_KNOWN: Final = timedelta(minutes=10)
_OURS: Final = frozenset({"missing-input-secret", "invalid-input-secret", "internal-error", "sitekey-secret-mismatch"})
_OK: Final = 200

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """The token that came with a call. `call` names the call, so that its repetition is known; "" without a key."""

    token: str | None
    call: str
    may_ask: bool


class Screening:
    """Screens visitors; who has a credential of the tenant is not one."""

    def __init__(self, database: Database, keys: Keys = "", egress: Egress | None = None) -> None:
        """`keys` are the platform's."""
        self._database = database
        self._vault = Vault(keys)
        self._key = SecretKeys.of(keys).derived(_PURPOSE)
        self._egress = egress

    async def signs(self, principal: Principal, form: PublishedForm, shown: Shown) -> tuple[str, ...]:
        """Why checked answers are kept apart, if they are.

        Raises CaptchaPending where the provider must not be asked, InvalidAnswers without a solved captcha, CaptchaDown
        and AddressBusy by the form's policy.
        """
        policy = form.spam
        if policy is None or principal.kind != "anonymous":
            return ()
        found: tuple[str, ...] = ()
        if policy.captcha is not None:
            found = await self._captcha(principal, policy.captcha, form.captcha, shown)
        if policy.max_per_address is not None and await self._is_busy(principal, form.form_id, policy.max_per_address):
            found = (*found, BUSY)
        return found

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._egress is not None:
            await self._egress.aclose()

    async def _is_busy(self, principal: Principal, form_id: str, limit: AddressLimit) -> bool:
        """Count the response; whether it is one too many. Raises AddressBusy."""
        now = utc_now()
        ends = now + timedelta(seconds=limit.per_seconds)
        caller = self._digests(principal.tenant_id, form_id, network_of(principal.origin.address))[0]
        async with self._database.write(principal.tenant_id) as unit:
            count = await AddressCountRepository(unit.session, unit.tenant).add(form_id, caller, now, ends)
        if count.responses <= limit.responses:
            return False
        if limit.action == "refuse":
            # Whoever began the period may have looked at the clock a moment later.
            left = min((count.expires_at - now).total_seconds(), limit.per_seconds)
            raise AddressBusy(retry_after=max(1.0, left))
        return True

    async def _captcha(
        self, principal: Principal, policy: CaptchaPolicy, provider: CaptchaProvider | None, shown: Shown
    ) -> tuple[str, ...]:
        verdict: Verdict = "unknown"
        if provider is not None:
            if shown.token is None:
                raise InvalidAnswers.at("/captcha_token", "captcha.required", "Show that you are a person.")
            if not shown.may_ask:
                raise CaptchaPending
            verdict = await self._verdict(principal, provider, shown.token, shown.call)
        if verdict == "failed":
            raise InvalidAnswers.at("/captcha_token", "captcha.failed", "Show once more that you are a person.")
        if verdict == "passed" or policy.when_down == "accept":
            return ()
        if policy.when_down == "refuse":
            raise CaptchaDown(retry_after=5.0)
        return (UNCHECKED,)

    async def _verdict(self, principal: Principal, provider: CaptchaProvider, token: str, call: str) -> Verdict:
        """What the provider says of the token; asked once, however often the call is repeated."""
        if not call:
            return await self._asked(principal, provider, token)
        digests, now = self._digests(principal.tenant_id, token), utc_now()
        digest = digests[0]
        async with self._database.write(principal.tenant_id) as unit:
            tokens = CaptchaRepository(unit.session, unit.tenant)
            known = await tokens.find(digests[1:]) or await tokens.claim(digest, call, now + _KNOWN)
        if known is not None:
            digest = known.digest
            if known.call != call:
                return "failed"
            if known.verdict in ("passed", "failed"):
                return "passed" if known.verdict == "passed" else "failed"
            if now < known.expires_at - _KNOWN + _ASKING:
                raise IdempotencyRunning(retry_after=1.0)
        verdict = await self._asked(principal, provider, token)
        async with self._database.write(principal.tenant_id) as unit:
            tokens = CaptchaRepository(unit.session, unit.tenant)
            await (tokens.forget(digest) if verdict == "unknown" else tokens.decide(digest, verdict))
        return verdict

    async def _asked(self, principal: Principal, provider: CaptchaProvider, token: str) -> Verdict:
        values = {"secret": self._vault.open(provider.secret), "response": token}
        if principal.origin.address:
            values["remoteip"] = principal.origin.address
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self._egress is None:
            self._egress = Egress()
        try:
            answer = await self._egress.request(
                "POST", provider.verify_url, headers, urlencode(values).encode(), timeout_s=_DEADLINE_S
            )
            said = orjson.loads(answer.body) if answer.status == _OK else None
        except (EgressFailed, EgressRefused, ValueError) as error:
            _log.warning("captcha provider not reached", provider=provider.provider, error=type(error).__name__)
            return "unknown"
        codes = said.get("error-codes") or () if isinstance(said, dict) else ()
        if not isinstance(said, dict) or not isinstance(said.get("success"), bool) or _OURS.intersection(codes):
            _log.warning("captcha provider gives no verdict", provider=provider.provider, status=answer.status)
            return "unknown"
        return "passed" if said["success"] else "failed"

    def _digests(self, *parts: str) -> tuple[str, ...]:
        """What stands for the parts, and what stood for them before the secret key was rotated."""
        return self._key.macs(orjson.dumps(parts))
