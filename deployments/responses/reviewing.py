"""What a team makes of a response: decisions, tags, who deals with it (R3)."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TypeAlias

from db.models.responses import Response
from db.repositories.grants import FormGrantRepository
from db.repositories.response_tags import ResponseTagRepository
from db.repositories.responses import ResponseRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import scopes_of
from deployments.kit.principal import Principal
from deployments.kit.review import ReviewState
from deployments.responses import commenting
from deployments.responses.errors import InvalidChange
from deployments.responses.finding import READ
from deployments.responses.life_contracts import MAX_TAGS, ChangeTags, PutReview
from eventing.events.envelope import EventData
from eventing.events.responses import ResponseAssigned, ResponseReviewed, ResponseTagged
from eventing.outbox import record

Change: TypeAlias = Callable[[Response], EventData | None]
"""Changes a row and tells what happened; None when nothing did."""


async def review(unit: UnitOfWork, principal: Principal, row: Response, command: PutReview) -> None:
    """Decide about a response; the remark becomes a comment. Raises TooManyComments."""
    fact = reviewed(row, command.state, principal.subject, utc_now())
    if command.comment is not None:
        await commenting.remark(unit, principal, row, command.comment, command.state)
    elif fact is None:
        return
    await touch(unit, principal, row, fact)


async def assign(unit: UnitOfWork, principal: Principal, row: Response, user_id: str | None) -> None:
    """Give a response to a person who may read it. Raises InvalidChange for anybody else."""
    await require_reader(unit, row.form_id, user_id)
    fact = assigned(row, user_id)
    if fact is not None:
        await touch(unit, principal, row, fact)


async def change_tags(unit: UnitOfWork, principal: Principal, row: Response, command: ChangeTags) -> None:
    """Add and remove tags. Raises InvalidChange when there would be too many."""
    repository = ResponseTagRepository(unit.session, unit.tenant)
    present = set((await repository.of([row.id])).get(row.id, ()))
    wanted = (present - set(command.remove)) | set(command.add)
    if len(wanted) > MAX_TAGS:
        raise InvalidChange.at("/add", "length.max", f"a response has at most {MAX_TAGS} tags")
    fact = tagged(row, wanted - present, present - wanted)
    if fact is not None:
        await repository.add(row.form_id, [(row.id, tag) for tag in fact.added])
        await repository.remove([row.id], fact.removed)
        await touch(unit, principal, row, fact)


async def require_reader(unit: UnitOfWork, form_id: str, user_id: str | None) -> None:
    """Raise InvalidChange unless the person, if any, is there and may read the form's responses."""
    if user_id is None:
        return
    user = await UserRepository(unit.session, unit.tenant).get(user_id)
    if (
        user is None
        or user.status != "active"
        or not (
            # Whatever is granted of a form, its responses may be read.
            READ in scopes_of(user.role) or await FormGrantRepository(unit.session, unit.tenant).find(form_id, user_id)
        )
    ):
        raise InvalidChange.at("/user_id", "user.unknown", "There is nobody with this id who may read the responses.")


def reviewed(row: Response, state: ReviewState, by: str, at: datetime) -> ResponseReviewed | None:
    """Decide about the row."""
    previous = row.review or "none"
    if previous == state:
        return None
    row.review = None if state == "none" else state
    row.reviewed_by, row.reviewed_at = by, at
    return ResponseReviewed(response_id=row.id, form_id=row.form_id, review=state, previous=previous)


def assigned(row: Response, user_id: str | None) -> ResponseAssigned | None:
    """Give the row to a person."""
    if row.assignee == user_id:
        return None
    row.assignee = user_id
    return ResponseAssigned(response_id=row.id, form_id=row.form_id, assignee=user_id)


def tagged(row: Response, added: Collection[str], removed: Iterable[str]) -> ResponseTagged | None:
    """What happened to the row's tags."""
    fact = ResponseTagged(response_id=row.id, form_id=row.form_id, added=sorted(added), removed=sorted(removed))
    return fact if fact.added or fact.removed else None


async def touch(unit: UnitOfWork, principal: Principal, row: Response, fact: EventData | None) -> None:
    """Number the change of the row, and record what happened."""
    row.updated_at = utc_now()
    row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id)
    if fact is not None:
        record(unit, fact, actor=principal.subject, origin=principal.origin)
