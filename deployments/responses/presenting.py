"""Rows as their readers see them."""

from collections.abc import Collection, Sequence

from db.models import response_life, responses
from db.repositories.response_comments import ResponseCommentRepository
from db.repositories.response_tags import ResponseTagRepository
from db.session import UnitOfWork
from deployments.responses.contracts import Response, ResponseDetails, TrashedResponse
from deployments.responses.life_contracts import Comment, ResponseVersion
from deployments.responses.masking import masked, seen_verdicts
from deployments.responses.settings import TRASH_LIFE
from deployments.responses.suspicion import Suspicion


async def to_responses(unit: UnitOfWork, rows: Sequence[responses.Response], hidden: Collection[str]) -> list[Response]:
    """The responses of one form, without the answers of the `hidden` fields."""
    tags = await ResponseTagRepository(unit.session, unit.tenant).of([row.id for row in rows])
    return [to_response(row, tags.get(row.id, []), hidden) for row in rows]


async def to_details(unit: UnitOfWork, row: responses.Response, hidden: Collection[str]) -> ResponseDetails:
    """A response with everything that was said about it."""
    (response,) = await to_responses(unit, [row], hidden)
    comments = await ResponseCommentRepository(unit.session, unit.tenant).of(row.id)
    return ResponseDetails(**dict(response), comments=[to_comment(comment) for comment in comments])


async def to_trashed(
    unit: UnitOfWork, rows: Sequence[responses.Response], hidden: Collection[str]
) -> list[TrashedResponse]:
    """Responses that are in the trash."""
    found = await to_responses(unit, rows, hidden)
    return [
        TrashedResponse(
            **dict(response),
            deleted_at=row.deleted_at,
            deleted_by=row.deleted_by or "",
            purge_at=row.deleted_at + TRASH_LIFE,
        )
        for response, row in zip(found, rows, strict=True)
        if row.deleted_at is not None
    ]


def to_response(row: responses.Response, tags: list[str], hidden: Collection[str]) -> Response:
    """One response with its tags."""
    answers, names = masked(row.answers, hidden)
    suspicion = Suspicion.read(row.suspicion)
    return Response(
        id=row.id,
        form_id=row.form_id,
        version=row.version,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        answers=answers,
        meta=row.meta,
        submitted_by=row.submitted_by,
        submitted_at=row.submitted_at,
        revision=row.revision,
        updated_at=row.updated_at,
        started_at=row.started_at,
        seconds=row.seconds,
        timings=row.timings,
        review=row.review or "none",  # type: ignore[arg-type]  # checked by the contract
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        assignee=row.assignee,
        tags=tags,
        suspicion=list(suspicion.signs),
        spam_score=suspicion.score,
        masked=names,
        inference=seen_verdicts(row.inference, hidden),
    )


def to_version(row: response_life.ResponseVersion, hidden: Collection[str]) -> ResponseVersion:
    """One version of a response's answers."""
    answers, names = masked(row.answers, hidden)
    return ResponseVersion(
        revision=row.revision,
        version=row.form_version,
        answers=answers,
        made_by=row.made_by,
        made_at=row.made_at,
        reason=row.reason,
        masked=names,
    )


def to_comment(row: response_life.ResponseComment) -> Comment:
    """A comment."""
    return Comment(
        id=row.id,
        author=row.author,
        text=row.text,
        review=row.review,  # type: ignore[arg-type]  # checked by the contract
        created_at=row.created_at,
        edited_at=row.edited_at,
    )
