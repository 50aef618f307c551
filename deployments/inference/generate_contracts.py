"""What summaries, suggested replies, snippets and generated forms take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

MAX_TEXT = 20_000
MOST_TOPICS = 50
MAX_TEXTS = 256
MAX_PROMPT = 20_000
MAX_SNIPPET = 10_000

Material = Annotated[str, Field(max_length=MAX_TEXT)]
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", description="BCP 47.")]
Method = Literal["extractive", "model"]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class Generate(Contract):
    """What is to be written about. A summary is of `texts`, or of the answers to a `field` of a form, which a job
    makes. A reply is to `texts`, or to a response, out of the tenant's snippets or those named in `snippets`."""

    task: Literal["summary", "reply"]
    texts: list[Material] | None = Field(default=None, min_length=1, max_length=MAX_TEXTS)
    form_id: Id | None = None
    field: Id | None = None
    filter: dict[str, Any] = Field(default_factory=dict, description="Which responses; see the list of responses.")
    where: str | None = Field(default=None, max_length=10_000)
    q: str | None = Field(default=None, max_length=1_000)
    response_id: Id | None = None
    snippets: list[Id] | None = Field(default=None, min_length=1, max_length=100)
    language: Language | None = Field(default=None, description="Of what is written; else that of the material.")
    topics: int | None = Field(default=None, ge=1, le=MOST_TOPICS, description="How many; found out when null.")
    quotes: int = Field(default=2, ge=1, le=5, description="Most quotes of a topic.")
    method: Method | None = Field(
        default=None, description="`model`: words of a generating model, where there is one; else extracts alone."
    )
    max_tokens: int = Field(default=256, ge=16, le=1_024, description="Most tokens that a model writes.")


class OrderTopics(Contract):
    """The answers to which field of text, of which responses, into how many topics."""

    field: Id
    filter: dict[str, Any] = Field(default_factory=dict, description="Which responses; see the list of responses.")
    where: str | None = Field(default=None, max_length=10_000)
    q: str | None = Field(default=None, max_length=1_000)
    language: Language | None = Field(default=None, description="Of the answers; else that of the form.")
    topics: int | None = Field(default=None, ge=1, le=MOST_TOPICS, description="How many; found out when null.")
    quotes: int = Field(default=2, ge=1, le=5, description="Most quotes of a topic.")


class Citation(Contract):
    """Where something stands: in the text with this place (from 0) in `texts`, in the answer to `field` of a response,
    or in a snippet. `quote` is what stands between the code points `start` and `end`."""

    text: int | None = None
    response_id: str | None = None
    field: str | None = None
    snippet_id: str | None = None
    start: int
    end: int
    quote: str


class Topic(Contract):
    """What `count` of the texts are about, which is `share` of those that say something. `citations` are numbers from 1
    in the list of all citations."""

    name: str
    phrases: list[str]
    count: int
    share: float
    citations: list[int]


class Counts(Contract):
    """How many texts there were: `said` something, or nothing (`empty`), or were `nonsense`; `unassigned` said
    something that nobody else said."""

    texts: int
    said: int
    distinct: int
    empty: int
    nonsense: int
    unassigned: int


class Generation(Contract):
    """What was written. `extractive`: every word is from the material or from a fixed frame of words; `model`: a
    generating model wrote it, and `fallback_reason` is null. A reply without a fitting snippet has no text."""

    task: Literal["summary", "reply"]
    text: str
    method: Method
    model: str | None = Field(description="What compared the texts, or wrote.")
    fallback_reason: str | None = Field(default=None, description="Why no model wrote, where one was asked for.")
    citations: list[Citation]
    topics: list[Topic] = Field(default_factory=list)
    counts: Counts | None = None
    confidence: float | None = Field(default=None, description="Of a reply: likeness of the snippet to the texts.")
    missing: list[str] = Field(default_factory=list, description="Placeholders of a reply that have no value.")
    notes: list[str] = Field(default_factory=list, description="What was left out, and why.")


class OrderedSummary(Contract):
    """A job reads the answers; then the summary is at `/api/v1/summaries/{summary_id}`."""

    summary_id: str
    job_id: str


class Summary(Contract):
    """A summary of the answers to a field, and how far it is. The citations are read from the responses each time:
    what was changed or deleted since is not cited any more."""

    id: str
    form_id: str
    field: str
    state: Literal["queued", "running", "ready", "failed", "cancelled"]
    job_id: str
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime
    generation: Generation | None


class PutSnippet(Contract):
    """A text to reply with. `{{ answers.name }}` stands for the answer to the field `name`,
    `{{ answers.name | default("you") }}` for that or something else, `{{ form_title }}` for the form."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1, max_length=MAX_SNIPPET)]
    language: Language | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] = Field(default_factory=list, max_length=20)


class ChangeSnippet(Contract):
    """What is given is changed."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    text: Annotated[str, Field(min_length=1, max_length=MAX_SNIPPET)] | None = None
    language: Language | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] | None = Field(default=None, max_length=20)


class Snippet(Contract):
    """A text of the tenant to reply with."""

    id: str
    title: str
    text: str
    language: str | None
    tags: list[str]
    created_by: str
    created_at: datetime
    updated_at: datetime


class GenerateForm(Contract):
    """What is asked for, in words: a list of questions, a sentence that names them, or only what the form is about."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    language: Language | None = Field(default=None, description="Of the form; else that of the prompt.")
    pages: int | None = Field(default=None, ge=1, le=20, description="Over how many pages the questions are spread.")
    method: Method | None = Field(default=None, description="`extractive`: no generating model, even if there is one.")


class GeneratedForm(Contract):
    """A definition that is valid and was not stored. `notes` say what was assumed and what could not be done."""

    title: str
    definition: dict[str, Any]
    method: Literal["rules", "template", "model"]
    model: str | None = None
    fallback_reason: str | None = None
    template_id: str | None = Field(default=None, description="The template that fitted, where it was one.")
    notes: list[str]


class SummariesApi(Protocol):
    """The summaries that there are, for those who show them beside other things."""

    async def ready(self, principal: Principal, form_id: str) -> list[Summary]:
        """Of each field of a form the newest summary of all its answers that the principal gets to see; none where
        AI is switched off."""
        ...


class GenerateApi(Protocol):
    """Writing from material."""

    async def generate(self, principal: Principal, command: Generate) -> Generation: ...

    async def order_generation(self, principal: Principal, command: Generate) -> OrderedSummary:
        """The same for a summary of a form's field, which takes a job."""
        ...

    async def order_summary(self, principal: Principal, form_id: str, command: OrderTopics) -> OrderedSummary: ...

    async def get_summary(self, principal: Principal, summary_id: str) -> Summary: ...

    async def delete_summary(self, principal: Principal, summary_id: str) -> None: ...

    async def create_snippet(self, principal: Principal, command: PutSnippet) -> Snippet: ...

    async def list_snippets(self, principal: Principal, cursor: str | None, limit: int) -> Page[Snippet]: ...

    async def get_snippet(self, principal: Principal, snippet_id: str) -> Snippet: ...

    async def change_snippet(self, principal: Principal, snippet_id: str, command: ChangeSnippet) -> Snippet: ...

    async def delete_snippet(self, principal: Principal, snippet_id: str) -> None: ...

    async def generate_form(self, principal: Principal, command: GenerateForm) -> GeneratedForm:
        """A valid definition from a prompt; nothing is stored. Raises Invalid for a prompt that says nothing."""
        ...
