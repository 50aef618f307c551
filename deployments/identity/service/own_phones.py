"""The rules of people's own telephone numbers."""

from db.models.factors import Challenge
from db.models.identity import User
from db.repositories.challenges import ChallengeRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.codes import LIFE_S, OneTimeCodes
from deployments.identity.errors import CodeFailed
from deployments.identity.factor_contracts import ChallengeSent, Phone
from deployments.identity.phones import masked
from deployments.identity.service import challenges, notices
from deployments.identity.tokens import fingerprint
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from eventing.events.factors import PhoneChanged
from eventing.outbox import record


async def put(unit: UnitOfWork, codes: OneTimeCodes, vault: Vault, user: User, phone: str) -> ChallengeSent:
    """Send a code to the number, which is kept once the code came back; until then an earlier one stays."""
    challenge, token = challenges.make(unit.tenant, challenges.PHONE, fingerprint(user.id))
    code = codes.new()
    challenge.user_id, challenge.proof = user.id, fingerprint(user.password_hash)
    challenge.channel, challenge.target = "sms", phone
    challenge.code_hash = codes.hash(challenge.id, code)
    await ChallengeRepository(unit.session, unit.tenant).replace(challenge)
    await notices.text_code(unit, vault, phone, code)
    return ChallengeSent(challenge=token, expires_in=LIFE_S)


async def verify(
    unit: UnitOfWork, codes: OneTimeCodes, vault: Vault, origin: Origin, challenge: Challenge, code: str
) -> Phone:
    """The number, now the person's own. Raises CodeFailed."""
    if challenge.target is None or not codes.match(challenge.id, challenge.code_hash, code):
        raise CodeFailed
    user = await challenges.person_of(unit, challenge)
    await challenges.consume(unit, challenge)
    user.phone, user.phone_verified_at = challenge.target, utc_now()
    # Codes for the earlier number must open nothing any more.
    await challenges.void_of(unit, user.id)
    record(unit, PhoneChanged(user_id=user.id, present=True), actor=user.id, origin=origin)
    await notices.tell(unit, vault, user, "factor_added", factor=f"phone:{masked(user.phone)}")
    return Phone(phone=user.phone, verified_at=user.phone_verified_at)
