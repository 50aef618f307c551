"""A response as the platform has it: which form, which version, and the answers under the ids of its fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.forms import Edition
from deployments.imports.legacy.questions import Question
from deployments.imports.legacy.reading import Members, born, is_secret, list_of, moment_of
from deployments.imports.legacy.values import digest, id_of

SOURCE: Final = "legacy"
FORM: Final = ("formid", "form", "formref")
_VERSION: Final = ("version", "formversion", "versionnumber", "formversionid", "versionid")
_ANSWERS: Final = ("answers", "data", "responses", "values", "responsedata", "payload", "fields")
_SPAM: Final = frozenset(("spam", "quarantined", "rejectedasspam"))
_UNFINISHED: Final = frozenset(("draft", "partial", "inprogress", "in_progress", "incomplete", "started", "unfinished"))
_MOST_BYTES: Final = 256 * 1024
_MOST_NOTES: Final = 20


@dataclass(slots=True)
class Given:
    """A response in the making. `named_files` are the answers that name files, by question."""

    answers: dict[str, Any]
    meta: dict[str, Any]
    submitted_by: str
    submitted_at: datetime | None
    started_at: datetime | None
    notes: dict[str, str]
    named_files: dict[str, tuple[Question, Any]] = field(default_factory=dict)


def form_of(members: Members) -> str:
    """What the form of a response is called; empty when it names none."""
    return id_of(members.take(*FORM))


def version_of(members: Members) -> Any:
    """What a response says about its version."""
    return members.take(*_VERSION)


def unfinished(members: Members) -> str:
    """The code of why a response is none to be carried over, empty for one that is."""
    status = str(members.take("status", "state") or "").strip().lower()
    if status in _SPAM:
        return "response.spam"
    return "response.unfinished" if status in _UNFINISHED else ""


def translate(document: Document, edition: Edition, people: Mapping[str, str]) -> Given:
    """The response of a document, by the version that it answers."""
    members, notes = document.members, dict(document.notes)
    members.take("id", "v", *FORM, "formslug", "formtitle", *_VERSION, "status", "state", "tenantid")
    members.take("deleted", "isdeleted", "deletedat", "deletedon", "updatedat", "updated")
    given = Given({}, {"source": SOURCE}, "anonymous", None, None, notes)
    aside = _read(given, members, edition)
    _circumstances(given, members, document, people)
    if aside:
        given.meta["set_aside"] = as_json(aside)
    _keep_extra(given, members)
    return given


def _read(given: Given, members: Members, edition: Edition) -> dict[str, Any]:
    """Read the answers by their questions; those that answer none."""
    place = members.place(*_ANSWERS)
    notes, aside = given.notes, dict[str, Any]()
    for name, value in _named(members.take(*_ANSWERS)).items():
        question = edition.find(name)
        if value in (None, "", [], {}):
            continue
        if question is None:
            aside[name] = value
            notes[f"{place}/{name}"] = "answer.unknown_field"
        elif question.takes_files:
            given.named_files[question.id] = (question, value)
        elif question.id in given.answers:
            aside[name] = value
            notes[f"{place}/{name}"] = "answer.repeated"
        else:
            given.answers[question.id] = as_json(question.take(value))
    return aside


def _keep_extra(given: Given, members: Members) -> None:
    """Keep what nothing is known about beside the answers, but nothing that opens something."""
    notes, extra = given.notes, dict[str, Any]()
    for name, value in members.left():
        if name == "_id":
            continue
        if is_secret(name):
            notes[f"/{name}"] = "secret.left_out"
        else:
            extra[name] = value
            notes[f"/{name}"] = "property.unknown"
    legacy = given.meta["legacy"]
    if extra:
        legacy["extra"] = as_json(extra)
        if _size(extra) > _MOST_BYTES:
            legacy["extra"] = {"sha256": digest(legacy["extra"])}
            notes["/"] = "property.too_large"


def noted(notes: Mapping[str, str]) -> list[list[str]] | None:
    """Notes as they are kept with the document: pointers and codes, of many the first."""
    kept = [[pointer[:200], code] for pointer, code in notes.items()][:_MOST_NOTES]
    return kept or None


def _circumstances(given: Given, members: Members, document: Document, people: Mapping[str, str]) -> None:
    who = id_of(members.take("submittedby", "userid", "user", "respondentid", "respondent", "createdby"))
    if who:
        given.submitted_by = people.get(who, "anonymous")
        if who not in people:
            given.notes[members.place("submittedby", "userid", "user")] = "reference.missing"
    said = members.take("submittedat", "submittedon", "completedat", "createdat", "created", "timestamp", "date")
    given.submitted_at = moment_of(said) or born(document.source_id)
    if said is None or moment_of(said) is None:
        given.notes[members.place("submittedat", "createdat")] = (
            "time.unreadable" if said is not None else "time.missing"
        )
    started = moment_of(members.take("startedat", "starttime"))
    if started is not None and given.submitted_at is not None and started <= given.submitted_at:
        given.started_at = started
    kept: dict[str, Any] = {"id": document.source_id}
    for name, spellings in (
        ("ip", ("ip", "ipaddress", "remoteaddr")),
        ("user_agent", ("useragent",)),
        ("meta", ("metadata", "meta")),
    ):
        value = members.take(*spellings)
        if value is not None:
            kept[name] = as_json(value)
    if who and who not in people:
        kept["submitted_by"] = who
    given.meta["legacy"] = kept


def _named(value: Any) -> dict[str, Any]:
    """Answers by the names of their questions: of an object, or of a list of objects."""
    if isinstance(value, dict):
        return dict(value)
    found: dict[str, Any] = {}
    for index, item in enumerate(list_of(value)):
        if isinstance(item, dict):
            members = Members(item)
            name = members.text("fieldid", "questionid", "field", "question", "id", "key", "name", "label")
            answer = members.take("value", "answer", "answers", "values", "response")
            if name:
                found[name if name not in found else f"{name}#{index}"] = answer
                continue
        found[f"#{index}"] = item
    return found


def as_json(value: Any) -> Any:
    """A plain value as JSON: moments are texts."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    return value


def _size(value: Any) -> int:
    return len(str(value))
