"""What people say about a response (R3)."""

from db.models.response_life import ResponseComment
from db.models.responses import Response
from db.repositories.response_comments import ResponseCommentRepository
from db.repositories.responses import ResponseRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.principal import Principal
from deployments.kit.review import ReviewState
from deployments.responses.errors import CommentFixed, CommentForeign, CommentNotFound, TooManyComments
from deployments.responses.finding import WRITE
from deployments.responses.life_contracts import MAX_COMMENTS
from eventing.events.responses import ResponseCommented
from eventing.outbox import record


async def remark(
    unit: UnitOfWork, principal: Principal, row: Response, text: str, review: ReviewState | None = None
) -> ResponseComment:
    """A new comment on a locked row, or the remark of a decision. Raises TooManyComments."""
    repository = ResponseCommentRepository(unit.session, unit.tenant)
    if await repository.count(row.id) >= MAX_COMMENTS:
        raise TooManyComments(f"a response has at most {MAX_COMMENTS} comments")
    comment = ResponseComment(
        tenant_id=unit.tenant,
        id=new_id("cmt"),
        response_id=row.id,
        author=principal.subject,
        text=text,
        review=review,
        created_at=utc_now(),
    )
    repository.add(comment)
    await unit.session.flush()
    await _tell(unit, principal, row, comment, "added")
    return comment


async def edit(unit: UnitOfWork, principal: Principal, row: Response, comment_id: str, text: str) -> ResponseComment:
    """A comment with other words. Raises CommentNotFound, CommentForeign, CommentFixed."""
    comment = await _find(unit, row, comment_id)
    if comment.author != principal.subject:
        raise CommentForeign
    if comment.text != text:
        comment.text, comment.edited_at = text, utc_now()
        await _tell(unit, principal, row, comment, "edited")
    return comment


async def delete(unit: UnitOfWork, principal: Principal, row: Response, comment_id: str) -> None:
    """Remove a comment: one's own, or anybody's for those who may change responses. Raises CommentNotFound,
    CommentForeign, CommentFixed."""
    comment = await _find(unit, row, comment_id)
    if comment.author != principal.subject and not principal.may(WRITE, row.form_id):
        raise CommentForeign
    await ResponseCommentRepository(unit.session, unit.tenant).remove(comment)
    await _tell(unit, principal, row, comment, "deleted")


async def _find(unit: UnitOfWork, row: Response, comment_id: str) -> ResponseComment:
    comment = await ResponseCommentRepository(unit.session, unit.tenant).find(row.id, comment_id)
    if comment is None:
        raise CommentNotFound
    if comment.review is not None:
        raise CommentFixed
    return comment


async def _tell(unit: UnitOfWork, principal: Principal, row: Response, comment: ResponseComment, action: str) -> None:
    row.updated_at = utc_now()
    row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id)
    fact = ResponseCommented(response_id=row.id, form_id=row.form_id, comment_id=comment.id, action=action)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
