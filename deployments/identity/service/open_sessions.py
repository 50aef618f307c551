"""The rules of sessions that are open: seeing them and ending them."""

from typing import Final

from db.repositories.credentials import RefreshTokenRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import OpenSession
from deployments.identity.errors import SessionNotFound, UserNotFound
from deployments.kit.contract import Page, PageMeta
from deployments.kit.principal import Principal
from eventing.events.identity import SessionRevoked
from eventing.outbox import record

_SHOWN: Final = 100


async def list_all(unit: UnitOfWork, principal: Principal, user_id: str) -> Page[OpenSession]:
    """A person's open sessions, the one used last first. Raises UserNotFound, Forbidden for another person's."""
    await _require_person(unit, principal, "users:read", user_id)
    links = await RefreshTokenRepository(unit.session, unit.tenant).newest_links(user_id, utc_now(), _SHOWN)
    sessions = [
        OpenSession(
            id=link.family_id,
            created_at=began,
            last_used_at=link.created_at,
            expires_at=link.expires_at,
            address=link.address,
            user_agent=link.user_agent,
            current=link.family_id == principal.session_id,
            amr=link.amr.split(),
        )
        for link, began in links
    ]
    return Page[OpenSession](data=sessions, meta=PageMeta(limit=_SHOWN, next_cursor=None))


async def revoke(unit: UnitOfWork, principal: Principal, user_id: str, session_id: str) -> None:
    """End a session. Raises SessionNotFound, UserNotFound, Forbidden for another person's."""
    await _require_person(unit, principal, "users:write", user_id)
    # The lock makes this wait for a rotation that is adding a link.
    await UserRepository(unit.session, unit.tenant).get_locked(user_id)
    repository = RefreshTokenRepository(unit.session, unit.tenant)
    if not await repository.has_family(user_id, session_id):
        raise SessionNotFound
    await repository.revoke_family(session_id, utc_now())
    _record(unit, principal, user_id)


async def revoke_all(unit: UnitOfWork, principal: Principal, user_id: str) -> None:
    """End every session of the person but the one that asks. Raises UserNotFound, Forbidden for another person's."""
    await _require_person(unit, principal, "users:write", user_id)
    await end(unit, user_id, but=principal.session_id)
    _record(unit, principal, user_id)


async def end(unit: UnitOfWork, user_id: str, *, but: str = "") -> None:
    """End every session of a person, except `but`."""
    await UserRepository(unit.session, unit.tenant).get_locked(user_id)
    await RefreshTokenRepository(unit.session, unit.tenant).revoke_all(user_id, utc_now(), but=but)


async def _require_person(unit: UnitOfWork, principal: Principal, scope: str, user_id: str) -> None:
    if user_id != principal.subject:
        principal.require(scope)
    if await UserRepository(unit.session, unit.tenant).get(user_id) is None:
        raise UserNotFound


def _record(unit: UnitOfWork, principal: Principal, user_id: str) -> None:
    record(unit, SessionRevoked(user_id=user_id), actor=principal.subject, origin=principal.origin)
