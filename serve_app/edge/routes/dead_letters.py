"""Events that a consumer gave up, and those that wait for one."""

from pydantic import Field

from deployments.events.recovery_contracts import (
    ChooseDeadLetters,
    DeadLetter,
    DeadLetterDetails,
    FindDeadLetters,
    FindWaiting,
    StartedJob,
    WaitingEvent,
)
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, Reply

_READ = "events:read"
_WRITE = "events:write"
_LETTERS = "/api/v1/dead-letters"
_LETTER = f"{_LETTERS}/{{letter_id}}"
_TAG = "Events"
_BY_JOB = "By a job, whose address is in `Location`. Give at least one property; those that came later are not meant."


class DeadLettersQuery(FindDeadLetters):
    """Which dead letters, and which page of them."""

    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=100, description="Most entries in the page.")


class WaitingQuery(FindWaiting):
    """Which waiting events, and which page of them."""

    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=100, description="Most entries in the page.")


async def list_dead_letters(x: Exchange) -> Reply:
    query: DeadLettersQuery = x.query
    wanted = FindDeadLetters(**query.model_dump(include=set(FindDeadLetters.model_fields)))
    return Reply(await x.apis.events.list_dead_letters(x.principal, wanted, query.cursor, query.limit))


async def get_dead_letter(x: Exchange) -> Reply:
    return Reply(await x.apis.events.get_dead_letter(x.principal, x.path["letter_id"]))


async def list_waiting(x: Exchange) -> Reply:
    query: WaitingQuery = x.query
    wanted = FindWaiting(**query.model_dump(include=set(FindWaiting.model_fields)))
    return Reply(await x.apis.events.list_waiting(x.principal, wanted, query.cursor, query.limit))


async def redrive(x: Exchange) -> Reply:
    await x.apis.events.redrive(x.principal, x.path["letter_id"])
    return Reply()


async def discard(x: Exchange) -> Reply:
    await x.apis.events.discard(x.principal, x.path["letter_id"])
    return Reply()


async def redrive_many(x: Exchange) -> Reply:
    return _started(await x.apis.events.redrive_many(x.principal, x.body))


async def discard_many(x: Exchange) -> Reply:
    return _started(await x.apis.events.discard_many(x.principal, x.body))


def _started(started: StartedJob) -> Reply:
    return Reply(started, headers=(("location", f"/api/v1/jobs/{started.job_id}"),))


OPERATIONS = (
    Operation(
        id="list_dead_letters",
        method="GET",
        path=_LETTERS,
        summary="Events that a consumer gave up, newest first",
        tag=_TAG,
        scope=_READ,
        handler=list_dead_letters,
        query=DeadLettersQuery,
        response=Page[DeadLetter],
    ),
    Operation(
        id="get_dead_letter",
        method="GET",
        path=_LETTER,
        summary="A dead letter with its event",
        description="The event comes only to those who may see personal data (`responses:read_personal`).",
        tag=_TAG,
        scope=_READ,
        handler=get_dead_letter,
        response=DeadLetterDetails,
    ),
    Operation(
        id="list_waiting_events",
        method="GET",
        path="/api/v1/waiting-events",
        summary="Events that wait for their consumer, newest first",
        description="After a failed attempt, behind another event of the same entity, or for another turn.",
        tag=_TAG,
        scope=_READ,
        handler=list_waiting,
        query=WaitingQuery,
        response=Page[WaitingEvent],
    ),
    Operation(
        id="redrive_dead_letter",
        method="POST",
        path=f"{_LETTER}/redrive",
        summary="Put the event before its consumer again",
        description="It has its effect once, before those of its entity that wait for the consumer and came later. "
        "409 when the event is no longer in the log: such a letter can only be discarded.",
        tag=_TAG,
        scope=_WRITE,
        handler=redrive,
        status=204,
        errors=(409,),
    ),
    Operation(
        id="discard_dead_letter",
        method="POST",
        path=f"{_LETTER}/discard",
        summary="Forget a dead letter",
        tag=_TAG,
        scope=_WRITE,
        handler=discard,
        status=204,
    ),
    Operation(
        id="redrive_dead_letters",
        method="POST",
        path=f"{_LETTERS}/redrive",
        summary="Redrive many dead letters",
        description=_BY_JOB,
        tag=_TAG,
        scope=_WRITE,
        handler=redrive_many,
        request=ChooseDeadLetters,
        response=StartedJob,
        status=202,
        example={"consumer": "webhooks", "since": "2026-03-01T00:00:00Z"},
    ),
    Operation(
        id="discard_dead_letters",
        method="POST",
        path=f"{_LETTERS}/discard",
        summary="Forget many dead letters",
        description=_BY_JOB,
        tag=_TAG,
        scope=_WRITE,
        handler=discard_many,
        request=ChooseDeadLetters,
        response=StartedJob,
        status=202,
        example={"type": "form.published", "until": "2026-01-01T00:00:00Z"},
    ),
)
