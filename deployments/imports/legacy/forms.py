"""A form with its versions, as the platform has them: in order, with their times, and how answers of each are read."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from deployments.forms.contracts import CarriedForm, CarriedVersion, FormSettings
from deployments.imports.draft import Draft
from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.questions import FieldNames, Question, Questions
from deployments.imports.legacy.reading import Members, born, list_of, moment_of, text_of, truth_of
from deployments.imports.legacy.values import id_of
from deployments.imports.naming import Names
from deployments.imports.notices import Notices
from deployments.kit.engine import CompiledForm

_LONGEST_TITLE: Final = 300
_LONGEST_SLUG: Final = 80
_QUESTIONS: Final = ("fields", "questions", "elements", "components")
_PAGES: Final = ("pages", "steps", "sections")
_CONTENT: Final = (*_QUESTIONS, *_PAGES, "schema", "definition")
_SETTINGS: Final = {
    "send_notification": ("sendnotification", "notifyonsubmit", "emailnotifications"),
    "notification_recipients": ("notificationrecipients", "notificationemails", "notifyemails", "notificationemail"),
    "max_responses": ("maxresponses", "maxsubmissions", "responselimit", "submissionlimit"),
    "opens_at": ("opensat", "opendate", "startdate", "startsat"),
    "closes_at": ("closesat", "closedate", "enddate", "endsat", "expiresat", "deadline"),
    "login_required": ("loginrequired", "requirelogin", "requiresauth", "requireauth"),
    "show_progress": ("showprogress", "showprogressbar", "progressbar"),
}
_ONCE: Final = ("oneresponseperuser", "limitoneresponse", "singleresponse", "onesubmissionperuser")
_CONFIRMATION: Final = ("confirmationmessage", "successmessage", "thankyoumessage", "submitmessage")
_REDIRECT: Final = ("redirecturl", "successurl", "thankyouurl")
_MOMENTS: Final = frozenset(("opens_at", "closes_at"))
_TRUTHS: Final = frozenset(("send_notification", "login_required", "show_progress"))
_OVER: Final = frozenset(("archived", "closed", "inactive", "disabled", "paused"))
_DRAFTS: Final = frozenset(("draft", "unpublished", "new"))
_GONE: Final = frozenset(("deleted", "trashed", "removed"))


@dataclass(frozen=True, slots=True)
class Edition:
    """A version as a dump has it, and how its answers are read."""

    source_id: str
    number: int | None
    questions: Questions
    rules: CompiledForm

    def find(self, name: str) -> Question | None:
        """The question that an answer's name means."""
        return self.questions.find(name)


@dataclass(slots=True)
class Translated:
    """A form that can be made; `carried` has a version for each of `editions`.

    `refused` are the versions that cannot be, by their place in what was given, with the reason.
    """

    carried: CarriedForm
    editions: list[Edition]
    notices: Notices
    extra: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)
    extras: dict[str, dict[str, Any]] = field(default_factory=dict)

    def numbers(self) -> list[int]:
        """The number that each version gets: that of the one before when nothing changed."""
        found: list[int] = []
        before: tuple[Any, ...] | None = None
        for version in self.carried.versions:
            same = before == (version.title, version.definition)
            found.append(found[-1] if same else len(set(found)) + 1)
            before = version.title, version.definition
        return found

    def edition(self, named: Any) -> tuple[int, bool]:
        """The place of the version that a response names by its number or id, and whether it is there. Else it is the
        latest one before it."""
        key, number = id_of(named), _number(named)
        for place, edition in enumerate(self.editions):
            if (key and edition.source_id == key) or (number is not None and edition.number == number):
                return place, True
        if number is None:
            return len(self.editions) - 1, named is None
        earlier = [
            place for place, each in enumerate(self.editions) if each.number is not None and each.number < number
        ]
        return (earlier[-1] if earlier else 0), False


def renamed(form: CarriedForm, slug: str) -> CarriedForm:
    """The form under another slug."""
    return replace(form, slug=slug)


def is_gone(members: Members) -> bool:
    """Whether the old backend had deleted a document and only hidden it."""
    marked = truth_of(members.take("deleted", "isdeleted"))
    moment = members.take("deletedat", "deletedon")
    return marked is True or (moment is not None and marked is not False) or members.text("status").lower() in _GONE


def translate(form: Document, versions: Sequence[Document], responses: int, people: Mapping[str, str]) -> Translated:
    """The form of a document and those of its versions, of which it has so many `responses`; `people` are the accounts
    by what their documents are called. Raises FileUnreadable when nothing can be made of it."""
    members, notices = form.members, Notices()
    members.take("id", "v", "tenant", "tenantid", "deleted", "isdeleted", "deletedat", "deletedon", "responsecount")
    title = members.text("title", "name", "label") or "Untitled form"
    own = members.take(*_CONTENT)
    number = _number(members.take("version", "currentversion", "latestversion", "publishedversion"))
    status = _status(members)
    created = moment_of(members.take("createdat", "created", "createdon")) or born(form.source_id)
    updated = moment_of(members.take("updatedat", "updated", "modifiedat", "lastmodified"))
    published = moment_of(members.take("publishedat", "publishedon"))
    author = people.get(id_of(members.take("createdby", "owner", "ownerid", "author", "userid", "user")), "")
    settings = _settings(members, notices)
    names, editions, carried = FieldNames(), list[Edition](), list[CarriedVersion]()
    result = Translated(_nothing(), editions, notices, {})
    versions_in_order = sorted(versions, key=_order)
    for document in versions_in_order:
        _add_version(result, carried, document, names, title, people)
    draft = None
    newest = versions_in_order[-1].members.take(*_CONTENT) if versions_in_order else None
    is_newest = own == newest and bool(editions) and versions_in_order[-1].source_id == editions[-1].source_id
    if (own is not None or not editions) and not (is_newest and (number or 0) <= (editions[-1].number or 0)):
        place = members.place(*_CONTENT)
        questions, rules = _compiled(form.body if own is None else {"fields": own}, place, notices, names, title)
        latest = max((each.number or 0 for each in editions), default=0)
        if (not editions and (status != "draft" or responses)) or (editions and number is not None and number > latest):
            moment = published or updated or created
            carried.append(_carried(title, rules, moment, author))
            editions.append(Edition("", number or latest + 1, questions, rules))
        elif not carried or rules.definition.document() != carried[-1].definition:
            draft = rules.definition.document()
            if editions and status != "draft":
                notices.add(place, "form.draft_differs", "The form's own questions are no version; they are its draft.")
    if status == "draft" and editions and responses:
        notices.add("/status", "form.draft_answered", "A draft with responses becomes a form in the archive.")
    slug = _slug(members, title, notices)
    result.extra = {name: value for name, value in members.left() if name != "_id"}
    for name in result.extra:
        notices.add(f"/{name}", "property.unknown", "It is kept beside the form.")
    result.carried = CarriedForm(
        title=title[:_LONGEST_TITLE].replace("\0", "\ufffd"),
        slug=slug,
        settings=settings,
        versions=tuple(carried),
        draft=draft,
        archived=status == "archived" or (status == "draft" and bool(editions)),
        created_by=author,
        created_at=created,
        updated_at=updated or created,
    )
    if len(title) > _LONGEST_TITLE:
        notices.add(members.place("title", "name"), "text.cut", f"The title has more than {_LONGEST_TITLE} characters.")
    return result


def _nothing() -> CarriedForm:
    return CarriedForm("", "", {}, (), None, archived=False, created_by="", created_at=None, updated_at=None)


def _add_version(
    result: Translated,
    carried: list[CarriedVersion],
    document: Document,
    names: FieldNames,
    title: str,
    people: Mapping[str, str],
) -> None:
    members = document.members
    content = members.take(*_CONTENT)
    members.take("id", "v", "formid", "form", "isactive", "active", "status")
    number = _number(members.take("version", "versionnumber", "number"))
    own_title = members.text("title", "name") or title
    moment = moment_of(members.take("publishedat", "createdat", "created")) or born(document.source_id)
    author = people.get(id_of(members.take("createdby", "publishedby", "author", "userid")), "")
    notes = members.text("changelog", "notes", "comment", "description") or None
    place = f"{document.place}{members.place(*_CONTENT)}"
    try:
        if content is None:
            raise FileUnreadable("The version has no questions.")
        questions, rules = _compiled({"fields": content}, place, result.notices, names, own_title)
    except FileUnreadable as error:
        result.refused[document.source_id] = error.detail
        return
    result.extras[document.source_id] = {name: value for name, value in members.left() if name != "_id"}
    carried.append(_carried(own_title, rules, moment, author, notes))
    result.editions.append(Edition(document.source_id, number, questions, rules))


def _carried(
    title: str, rules: CompiledForm, moment: datetime | None, author: str, notes: str | None = None
) -> CarriedVersion:
    return CarriedVersion(
        title=title[:_LONGEST_TITLE],
        definition=rules.definition.document(),
        published_at=moment,
        published_by=author,
        notes=None if notes is None else notes[:5_000],
    )


def _order(document: Document) -> tuple[float, str, str]:
    number = _number(document.members.take("version", "versionnumber", "number"))
    moment = moment_of(document.members.take("publishedat", "createdat", "created"))
    return (number if number is not None else 0, moment.isoformat() if moment else "", document.place)


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    with suppress(ValueError, TypeError):
        return int(str(value).strip().lower().removeprefix("v").partition(".")[0])
    return None


def _status(members: Members) -> str:
    """`draft`, `archived` or `published`."""
    given = members.text("status", "state").lower()
    published, active = (
        truth_of(members.take(*each)) for each in (("ispublished",), ("isactive", "active", "enabled"))
    )
    archived = truth_of(members.take("archived", "isarchived"))
    members.take("published")
    if given in _OVER or archived or active is False:
        return "archived"
    if given in _DRAFTS or published is False:
        return "draft"
    return "published"


def _slug(members: Members, title: str, notices: Notices) -> str:
    given = members.text("slug", "handle", "shortname", "urlslug", "permalink")
    made = Names().make(given or title, "form").replace("_", "-")[:_LONGEST_SLUG].strip("-")
    if not given:
        notices.add("/slug", "slug.made", "The form has no slug; it is made of the title.")
    elif made != given:
        notices.add(members.place("slug"), "slug.changed", f"The slug can be no part of an address; it becomes {made}.")
    return made


def _settings(members: Members, notices: Notices) -> dict[str, Any]:
    given = members.take("settings", "config", "options")
    if given is not None and not isinstance(given, dict):
        notices.add("/settings", "setting.unknown", "The settings are no object; they are left out.")
    inner = Members(given if isinstance(given, dict) else {})
    found: dict[str, Any] = {}
    for name, spellings in _SETTINGS.items():
        value = inner.take(*spellings)
        value = members.take(*spellings) if value is None else value
        if value is not None:
            _set(found, name, _said(name, value), notices)
    confirmation = {
        "message": inner.text(*_CONFIRMATION) or members.text(*_CONFIRMATION),
        "redirect_url": inner.text(*_REDIRECT) or members.text(*_REDIRECT),
    }
    for name, text in confirmation.items():
        if text:
            _set(found, "confirmation", {**found.get("confirmation", {}), name: text}, notices)
    _fit(found, once=any(truth_of(each.take(*_ONCE)) for each in (inner, members)), notices=notices)
    for name, value in inner.left():
        notices.add(f"/settings/{name}", "setting.unknown", f"It is left out. It was: {str(value)[:300]}")
    return found


def _fit(found: dict[str, Any], *, once: bool, notices: Notices) -> None:
    """Leave out what does not go with the other settings."""
    if once:
        if found.get("login_required"):
            found["one_response_per"] = "user"
        else:
            detail = "One response for each person needs login_required, which is not set."
            notices.add("/settings", "setting.refused", detail)
    if found.get("opens_at") and found.get("closes_at") and found["closes_at"] <= found["opens_at"]:
        notices.add("/settings", "setting.refused", "The form closes before it opens; opens_at is left out.")
        del found["opens_at"]


def _said(name: str, value: Any) -> Any:
    if name in _MOMENTS:
        return moment_of(value) or value
    if name in _TRUTHS:
        return truth_of(value)
    if name == "notification_recipients":
        return [part for item in list_of(value) for part in text_of(item).replace(";", ",").split(",") if part]
    return value


def _set(found: dict[str, Any], name: str, value: Any, notices: Notices) -> None:
    try:
        FormSettings.model_validate({name: value})
    except ValidationError as error:
        notices.add(f"/settings/{name}", "setting.refused", f"It is left out: {error.errors()[0]['msg']}")
    else:
        found[name] = value


def _compiled(
    body: Mapping[str, Any], place: str, notices: Notices, names: FieldNames, title: str
) -> tuple[Questions, CompiledForm]:
    draft = Draft()
    draft.notices = notices
    draft.properties["title"] = draft.label(title, place) or "-"
    questions = Questions(draft, names)
    for page_title, raw_questions, where in _pages(body.get("fields"), place):
        page = draft.page("page", page_title, where)
        for index, raw in enumerate(raw_questions):
            questions.add(page, raw, f"{where}/{index}")
    questions.conclude()
    return questions, draft.settled()


def _pages(content: Any, place: str) -> list[tuple[str | None, list[Any], str]]:
    """The questions page by page: of a list of questions, a list of pages, or an object that holds one of them."""
    if isinstance(content, dict):
        members = Members(content)
        inner = members.take(*_CONTENT)
        if inner is not None:
            return _pages(inner, f"{place}{members.place(*_CONTENT)}")
    items = list_of(content)
    if items and all(isinstance(item, dict) and Members(item).take(*_QUESTIONS) is not None for item in items):
        pages = []
        for index, item in enumerate(items):
            page = Members(item)
            raw = list_of(page.take(*_QUESTIONS))
            where = f"{place}/{index}{page.place(*_QUESTIONS)}"
            pages.append((page.text("title", "name", "label") or None, raw, where))
        return pages
    return [(None, items, place)]
