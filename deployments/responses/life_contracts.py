"""What crosses the door of responses about their life: resuming, versions, review, comments, tags, work on many."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from deployments.kit.contract import Contract
from deployments.kit.review import ReviewState

MAX_TAGS = 50
MAX_COMMENTS = 200
MAX_CHOSEN = 1_000
MAX_PAGE_MS = 30 * 86_400_000

RESUME_PREFIX = "fsr_"

Timings: TypeAlias = Annotated[
    dict[str, Annotated[int, Field(ge=0, le=MAX_PAGE_MS)]],
    Field(description="Milliseconds that the person spent on each page, by page id."),
]
Language: TypeAlias = Annotated[
    str,
    Field(
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$",
        description="In which the person saw the form (BCP 47); kept as `meta.language`.",
    ),
]
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"


def _sorted(tags: list[str]) -> list[str]:
    return sorted(set(tags))


Tag: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=_NO_CONTROLS)
]
Tags: TypeAlias = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_sorted)]
Reason: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\x00]*$")]
Remark: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")
]


def tenant_in(resume_token: str) -> str:
    """The tenant that a resume token names, whatever else is in it; '' when it names none."""
    return resume_token.removeprefix(RESUME_PREFIX).rpartition(".")[0] if resume_token.startswith(RESUME_PREFIX) else ""


class SavePartial(Contract):
    """What is added to a partial response. Answers are merged field by field; null removes one."""

    answers: dict[str, Any] = Field(default_factory=dict, description="Answers by field id.")
    meta: dict[str, Any] = Field(default_factory=dict, description="Merged as the answers are.")
    status: Literal["complete", "partial"] = Field(default="partial", description="`complete` submits the response.")
    timings: Timings | None = None
    honeypot: str | None = Field(
        default=None, max_length=10_000, description="A field that people do not see: with text in it, it is spam."
    )
    language: Language | None = None
    captcha_token: str | None = Field(
        default=None, max_length=4_096, description="What the form's captcha gave; asked for with `complete`."
    )


class PartialResponse(Contract):
    """A response that was begun, for the holder of its token. `form` is there when it was asked for.

    After the completion `status` is complete, `submitted_at` says when, and the token is worth nothing any more.
    """

    id: str
    form_id: str
    status: Literal["complete", "partial"]
    version: int = Field(description="The version of the form that was begun; it stays, whatever is published later.")
    answers: dict[str, Any]
    meta: dict[str, Any]
    timings: dict[str, int] | None
    started_at: datetime | None
    submitted_at: datetime | None
    expires_at: datetime = Field(description="How long the token works; each save renews it.")
    definition: dict[str, Any] | None = Field(default=None, description="The definition of that version, when read.")
    replayed: bool = Field(default=False, exclude=True)


_OVERRIDE = Field(default=False, description="Set quotas by answers aside; needs `forms:write`.")


class Overriding(Contract):
    """What is taken beyond what the form's quotas allow."""

    override_quotas: bool = _OVERRIDE


class EditResponse(Contract):
    """Answers to change, merged field by field; null removes one."""

    answers: dict[str, Any] = Field(default_factory=dict, description="Answers by field id.")
    override_quotas: bool = _OVERRIDE
    version: int | None = Field(
        default=None, ge=1, description="A later published version of the form to move the response to."
    )
    reason: Reason | None = Field(default=None, description="Kept with the version.")
    if_match: int | None = Field(default=None, description="Revision the change is based on; 412 when it is older.")


class RevertResponse(Contract):
    """Which revision's answers hold again."""

    revision: int = Field(ge=1)
    override_quotas: bool = _OVERRIDE
    reason: Reason | None = Field(default=None, description="Kept with the version.")
    if_match: int | None = Field(default=None, description="Revision the change is based on; 412 when it is older.")


class ResponseVersion(Contract):
    """The answers as somebody left them."""

    revision: int
    version: int = Field(description="Of the form.")
    answers: dict[str, Any]
    made_by: str
    made_at: datetime
    reason: str | None
    masked: list[str] = Field(default_factory=list, description="Fields with personal data that are null for you.")


class AnswerChange(Contract):
    """One field whose answer differs; null where there is none."""

    field: str
    before: Any
    after: Any


class ResponseDiff(Contract):
    """What changed from one revision to another."""

    before: int
    after: int
    changes: list[AnswerChange]
    masked: list[str] = Field(default_factory=list, description="Changed fields whose answers are null for you.")


class PutReview(Contract):
    """A decision, with a remark that becomes a comment."""

    state: ReviewState
    comment: Remark | None = None


class AssignResponse(Contract):
    """Who is to deal with a response; null for nobody."""

    user_id: str | None = Field(max_length=100)


class ChangeTags(Contract):
    """Tags to add and to remove; a response has at most 50."""

    add: Tags = Field(default_factory=list)
    remove: Tags = Field(default_factory=list)


class TagCount(Contract):
    """A tag, and how many responses of the form have it."""

    tag: str
    count: int


class PutComment(Contract):
    text: Remark


class Comment(Contract):
    """What somebody said about a response; with `review` it is the remark of that decision."""

    id: str
    author: str
    text: str
    review: ReviewState | None
    created_at: datetime
    edited_at: datetime | None


class BulkChange(Contract):
    """One change to many responses: those with the ids, or those that `filter`, `where` and `q` find together.

    What is found is fixed by the order: responses that are submitted or changed afterwards are left alone.
    """

    action: Literal["trash", "restore", "tag", "untag", "review", "assign"]
    ids: list[Annotated[str, Field(max_length=100)]] | None = Field(default=None, min_length=1, max_length=MAX_CHOSEN)
    filter: dict[str, Any] | None = Field(
        default=None,
        description="As in a list, `{field: {operator: value}}`; `{}` for all. `tag`, `submitted_from` and "
        "`submitted_before` are short forms.",
    )
    where: str | None = Field(default=None, description="The text form of a filter.")
    q: str | None = Field(default=None, description="Words of the answers' texts; not for restore.")
    tags: Tags = Field(default_factory=list, description="For tag and untag.")
    review: ReviewState | None = Field(default=None, description="For review.")
    user_id: str | None = Field(default=None, max_length=100, description="For assign; null for nobody.")
    override_quotas: bool = Field(default=False, description="For restore: set quotas aside; needs `forms:write`.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        found = (self.filter, self.where, self.q) != (None, None, None)
        if (self.ids is not None) == found:
            raise ValueError("either ids or a filter says which responses")
        if self.action in ("tag", "untag") and not self.tags:
            raise ValueError("the tags are missing")
        if self.action == "review" and self.review is None:
            raise ValueError("the review is missing")
        return self


class StartedBulk(Contract):
    """The job that does the work. `replayed`: an earlier call with the same key had ordered it."""

    job_id: str
    replayed: bool = Field(default=False, exclude=True)
