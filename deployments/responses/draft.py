"""What a visitor sends: read from the bytes, before anything is known of the form."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.kit.engine import CompiledForm
from deployments.kit.errors import BadRequest, Fault
from deployments.kit.problems import faults_of
from deployments.responses.errors import InvalidAnswers
from deployments.responses.life_contracts import Language, Timings

_MAX_META_BYTES: Final = 8192
_MAX_FAULTS: Final = 100
_NAMES: Final = frozenset(
    {"answers", "meta", "status", "started_at", "timings", "honeypot", "language", "captcha_token"}
)


class Draft(NamedTuple):
    """Answers and what came with them, not yet checked against a form. `answers` may be anything."""

    answers: Any
    meta: dict[str, Any]
    status: Literal["complete", "partial"] = "complete"
    started_at: datetime | None = None
    timings: dict[str, int] | None = None
    trapped: bool = False
    """Whether the honeypot is filled: a field that people do not see."""
    captcha_token: str | None = None


class _Circumstances(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: Literal["complete", "partial"] = "complete"
    started_at: datetime | None = None
    timings: Timings | None = None
    honeypot: str | None = Field(default=None, max_length=10_000)
    language: Language | None = None
    captcha_token: str | None = Field(default=None, max_length=4_096)


class _SaveCircumstances(_Circumstances):
    status: Literal["complete", "partial"] = "partial"


def read_draft(body: bytes) -> Draft:
    """The draft of a submission. Raises BadRequest for what is no JSON, InvalidAnswers with every fault."""
    document = _document(body)
    faults = _faults(document)
    if "answers" not in document:
        faults.insert(0, Fault("/answers", "required", "the answers are missing"))
    plain = len(document) == 1 + ("meta" in document)
    circumstances = None if plain else _circumstances(_Circumstances, document, faults)
    if faults:
        raise InvalidAnswers(faults=tuple(faults[:_MAX_FAULTS]))
    answers, meta = document["answers"], document.get("meta") or {}
    if circumstances is None:
        return Draft(answers, meta)
    meta = _with_language(meta, circumstances)
    return Draft(
        answers,
        meta,
        circumstances.status,
        circumstances.started_at,
        circumstances.timings,
        bool(circumstances.honeypot),
        circumstances.captcha_token or None,
    )


def read_saving(body: bytes) -> Draft:
    """The draft of what is added to a partial response: nothing has to be there. Raises as `read_draft` does."""
    document = _document(body)
    faults = _faults(document)
    if "started_at" in document:
        faults.append(Fault("/started_at", "unknown_property", "there is no such property"))
    circumstances = _circumstances(_SaveCircumstances, document, faults)
    if not isinstance(document.get("answers", {}), dict):
        faults.append(Fault("/answers", "type", "The answers must be an object."))
    if faults or circumstances is None:
        raise InvalidAnswers(faults=tuple(faults[:_MAX_FAULTS]))
    answers, meta = document.get("answers", {}), _with_language(document.get("meta") or {}, circumstances)
    return Draft(
        answers,
        meta,
        circumstances.status,
        None,
        circumstances.timings,
        bool(circumstances.honeypot),
        circumstances.captcha_token or None,
    )


def _with_language(meta: dict[str, Any], circumstances: _Circumstances) -> dict[str, Any]:
    """The language of a submission is kept where a client may have put it itself."""
    return meta if circumstances.language is None else {**meta, "language": circumstances.language}


def meta_fault(meta: dict[str, Any]) -> Fault | None:
    """What is wrong with what a client wants to keep, if anything."""
    text = orjson.dumps(meta)
    if len(text) > _MAX_META_BYTES:
        return Fault("/meta", "length.max", f"meta may have {_MAX_META_BYTES} bytes")
    # PostgreSQL's jsonb cannot hold the character.
    return Fault("/meta", "text.nul", "meta contains a NUL character") if b"\\u0000" in text else None


def timing_faults(rules: CompiledForm, timings: Mapping[str, int]) -> Iterator[Fault]:
    """A fault for each timing of a page that the form does not have."""
    pages = {page.id for page in rules.definition.pages}
    for name in timings:
        if name not in pages:
            place = "/timings/" + name[:64].replace("~", "~0").replace("/", "~1")
            yield Fault(place, "unknown_page", "The form has no such page.")


def clocked(started_at: datetime | None, timings: dict[str, int] | None, submitted_at: datetime) -> dict[str, Any]:
    """The columns that tell how long it took. A clock that is ahead of ours began when we heard of it."""
    began = None if started_at is None else min(started_at, submitted_at)
    seconds = None if began is None else (submitted_at - began).total_seconds()
    return {"started_at": began, "seconds": seconds, "timings": timings}


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise BadRequest.at("", "body.missing", "the request has no body")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest.at("", "json.syntax", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidAnswers(faults=(Fault("", "type", "the body must be an object"),))
    return document


def _faults(document: dict[str, Any]) -> list[Fault]:
    faults: list[Fault] = []
    meta = document.get("meta") or {}
    if not isinstance(meta, dict):
        faults.append(Fault("/meta", "type", "meta must be an object"))
    elif meta and (fault := meta_fault(meta)):
        faults.append(fault)
    if not _NAMES.issuperset(document):
        faults.extend(
            Fault("/" + name.replace("~", "~0").replace("/", "~1"), "unknown_property", "there is no such property")
            for name in document
            if name not in _NAMES
        )
    return faults


def _circumstances(kind: type[_Circumstances], document: dict[str, Any], faults: list[Fault]) -> _Circumstances | None:
    try:
        found = kind.model_validate(document)
    except ValidationError as error:
        faults.extend(faults_of(error))
        return None
    if found.started_at is not None and found.started_at.tzinfo is None:
        faults.append(Fault("/started_at", "format.datetime", "The time needs a zone."))
        return None
    return found
