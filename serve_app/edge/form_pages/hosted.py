"""GET and POST of the hosted form page: show it, turn its pages, send its answers."""

import asyncio
import gzip
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sanic import Request

from deployments.forms.contracts import PublishedForm
from deployments.kit.errors import Conflict, DomainError, Fault, NotFound
from deployments.responses.contracts import SubmitResponse
from serve_app.edge.answer import Answer
from serve_app.edge.errors import RequestTimeout, problem
from serve_app.edge.form_pages import assets, attaching, notices, saving
from serve_app.edge.form_pages.addresses import Visit
from serve_app.edge.form_pages.appearance import Appearance
from serve_app.edge.form_pages.entries import Entries, read_entries
from serve_app.edge.form_pages.form_page import FormPage, FormPages
from serve_app.edge.form_pages.questions import Faults, questions_of, renumbered
from serve_app.edge.form_pages.rendering import render
from serve_app.edge.form_pages.spent import SHOWN, TIMINGS, spent
from serve_app.edge.form_pages.texts import Texts, language_name, negotiated, texts_in
from serve_app.edge.operations import Access, Body, Exchange, Headers, Operation, Reply
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.screening import submitted

HTML: Final = "text/html; charset=utf-8"

_KEPT: Final = 256
_PACKED_LEVEL: Final = 3
_WAITS_S: Final = (0.05, 0.2, 0.5)
_AT_WORK: Final = ("response.conflict", "idempotency.running")
_UPLOADS: Final = "/api/v1/public/{tenant}/{slug}/files"
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
# Stands where the key of a page goes, in what is kept of it: nobody can guess it into a title.
_KEY_PLACE: Final = secrets.token_hex(16)
_STARTED_PLACE: Final = secrets.token_hex(16)
_SCRIPT_TEXTS: Final = (
    *("page_of", "characters_left", "characters_over", "problem", "problem_title", "sending", "not_sent"),
    *("move_up", "move_down", "ranked", "clear_ranks", "restored", "start_again", "locate_failed"),
    *("saved_link", "copy", "copied", "not_saved"),
    *("uploading", "uploaded", "upload_failed", "remove_file"),
)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One state of a page: where the visitor is, what was entered, what is wrong."""

    current: str
    entries: Entries
    faults: tuple[Fault, ...] = ()
    posted: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A form that somebody looks at."""

    visit: Visit
    published: PublishedForm
    look: Appearance
    page: FormPage
    texts: Texts
    offered: tuple[str, ...]


class HostedForms:
    """The pages of all published forms, as far as this edge has shown them."""

    def __init__(self) -> None:
        self._pages = FormPages()
        self._rendered: OrderedDict[Any, bytes] = OrderedDict()

    def operations(self) -> tuple[Operation, ...]:
        """The page, what it posts to, and what is shown when everything is sent."""
        address = "/f/{tenant}/{slug}"
        return (
            _page("show_form_page", "GET", address, self.show),
            _page("post_form_page", "POST", address, self.post),
            replace(
                _page("attach_to_form_page", "POST", address + "/files", self.attach),
                body=Body.STREAM,
                max_body="max_upload",
            ),
            _page("show_form_confirmation", "GET", address + "/sent", self.confirm),
        )

    async def show(self, x: Exchange) -> Reply:
        """The form, or why it is not there."""
        asked = await self._asked(x)
        if not asked.published.open:
            return notices.closed(asked.published, asked.texts, asked.look, embedded=asked.visit.embedded)
        x.apis.views.count(x.request, x.principal.tenant_id, asked.published.id)
        key = secrets.token_urlsafe(18)
        begun = {name: asked.visit.prefilled[name] for name in asked.visit.prefilled if _is_answer(asked.page, name)}
        shown = _Shown(asked.page.pages[0]["id"], begun)
        if begun:
            return _packed(x, _html(asked.look, self._render(x, asked, shown, key)))
        place = (x.principal.tenant_id, asked.published.id, asked.published.version, asked.published.title)
        seen = (asked.look, asked.offered, asked.texts.language, asked.visit.language, asked.visit.embedded)
        name = (*place, *seen, x.path["slug"])
        kept = self._rendered.get(name)
        if kept is None:
            kept = self._rendered[name] = self._render(x, asked, shown, _KEY_PLACE)
            if len(self._rendered) > _KEPT:
                self._rendered.popitem(last=False)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        body = kept.replace(_KEY_PLACE.encode(), key.encode()).replace(_STARTED_PLACE.encode(), started.encode())
        return _packed(x, _html(asked.look, body))

    async def post(self, x: Exchange) -> Reply:
        """The next state of the page; with `submit`, the answers are stored."""
        entries = read_entries(x.header("content-type") or "", x.body)
        step, _, what = _first(entries, "_go").partition(":")
        asked = await self._asked(x, what if step == "language" else None)
        page = asked.page
        current = _first(entries, "_page")
        if current not in page.page_ids:
            current = page.page_ids[0]
        entries = renumbered(
            entries, page.groups, add=what if step == "add" else "", remove=what if step == "remove" else ""
        )
        entries = _timed(page, current, attaching.without(entries, what) if step == "drop" else entries)
        token = _first(entries, "_resume")
        if step == "save":
            kept, until = await saving.save(x, page, entries, token)
            return Reply(orjson.dumps({"resume": kept, "until": until}))
        if step == "resume":
            return await self._resume(x, asked, token)
        following = page.neighbour(current, 1, page.standing(entries).pages)
        left = attaching.left_behind(page, entries) if step in ("", "submit", "next") else ()
        if left and "_page" in entries:
            shown = _Shown(page.first_page(left) or current, entries, left, step or "submit")
            return _html(asked.look, self._render(x, asked, shown, _key_of(entries)), 422)
        if step in ("", "submit", "next") and (following is None or (step != "next" and "_page" not in entries)):
            return await self._submit(x, asked, current, entries)
        forward = step in ("", "submit", "next")
        faults = page.faults_on(current, entries) if forward else ()
        if _wants_json(x.request):
            return _told(asked, faults)
        if forward and not faults:
            current = following or current
        elif step == "back":
            current = page.neighbour(current, -1, page.standing(entries).pages) or current
        body = self._render(x, asked, _Shown(current, entries, faults, step or "submit"), _key_of(entries))
        return _html(asked.look, body, 422 if faults else 200)

    async def attach(self, x: Exchange) -> Reply:
        """The page again, with the files that came with it. It is for browsers without scripts."""
        asked = await self._asked(x)
        page = asked.page
        try:
            async with asyncio.timeout(x.settings.upload_deadline_s), attaching.posted(x, page) as (entries, files):
                entries, faults = await attaching.attached(x, page, asked.texts, entries, files)
        except TimeoutError:
            raise RequestTimeout(f"The files did not arrive within {x.settings.upload_deadline_s:g} s.") from None
        current = _first(entries, "_page")
        current = current if current in page.page_ids else page.page_ids[0]
        shown = _Shown(current, _timed(page, current, entries), faults, "attach")
        return _html(asked.look, self._render(x, asked, shown, _key_of(entries)), 422 if faults else 200)

    async def confirm(self, x: Exchange) -> Reply:
        """What is shown when everything is sent."""
        asked = await self._asked(x)
        again = asked.visit.address(x.path) if asked.published.open else ""
        return notices.sent(
            asked.published, asked.texts, asked.look, again, _form_name(x), embedded=asked.visit.embedded
        )

    async def _resume(self, x: Exchange, asked: _Asked, token: str) -> Reply:
        published, page = asked.published, asked.page
        found = await saving.saved(x, page, published.id, published.version, token)
        if found is None:
            shown = _Shown(page.page_ids[0], {}, posted="resume", notice="resume_gone")
        else:
            place = found.page if found.page in page.page_ids else page.page_ids[0]
            shown = _Shown(place, {**found.entries, "_resume": [found.token]}, posted="show")
        body = self._render(x, asked, shown, secrets.token_urlsafe(18))
        return _html(asked.look, body, 404 if found is None else 200)

    async def _submit(self, x: Exchange, asked: _Asked, current: str, entries: Entries) -> Reply:
        key = _first(entries, "_key")
        notice = ""
        faults: tuple[Fault, ...] = ()
        try:
            await _stored(x, asked, entries, f"page-{key}" if _KEY.fullmatch(key) else None)
        except DomainError as error:
            if error.code in ("idempotency.mismatch", "response.completed"):
                notice, key = "already_sent", secrets.token_urlsafe(18)
                entries = {**entries, "_resume": [""]}
            elif error.code == "response.invalid":
                faults = error.faults
            else:
                raise
        else:
            return _led(x, asked)
        if _wants_json(x.request):
            return _told(asked, faults, notice, key)
        place = asked.page.first_page(faults) or current
        return _html(asked.look, self._render(x, asked, _Shown(place, entries, faults, "submit", notice), key), 422)

    async def _asked(self, x: Exchange, language: str | None = None) -> _Asked:
        visit = Visit.of(x.request.query_string)
        published = await x.apis.forms.get_published(x.principal, x.path["slug"])
        offered = published.languages
        tongue = negotiated(offered, language or visit.language, x.header("accept-language"))
        if language:
            visit = Visit(tongue, visit.embedded, visit.prefilled)
        look = Appearance.of(published, x.allowed_origins, tongue)
        page = self._pages.of(x.principal.tenant_id, published, tongue)
        return _Asked(visit, published, look, page, texts_in(tongue), tuple(offered))

    def _render(self, x: Exchange, asked: _Asked, shown: _Shown, key: str) -> bytes:
        page, t = asked.page, asked.texts
        faults = Faults(shown.faults, page.elements, t, page.message)
        standing = page.standing(shown.entries)
        # A page that is shown is on the path, whatever the answers on it say by now.
        path = [name for name in page.page_ids if name in standing.pages or name == shown.current]
        number = path.index(shown.current) + 1
        document = page.document
        texts = (t(shown.notice),) if shown.notice else ()
        return render(
            "page.html.j2",
            t,
            style=asked.look.style,
            logo=asked.look.logo,
            logo_alt=asked.look.logo_alt,
            embedded=asked.visit.embedded,
            title=document.get("title") or asked.published.title,
            description=document.get("description"),
            problems=_problems(page, faults, texts),
            captcha=asked.look.captcha,
            provider=asked.look.provider,
            action=asked.visit.address(x.path),
            attaching=asked.visit.address(x.path, "/files"),
            chosen=attaching.CHOSEN,
            posted=shown.posted,
            current=shown.current,
            number=number,
            first=number == 1,
            last=number == len(path),
            length=len(path),
            buttons=document.get("buttons", {}),
            key=key,
            started=_first(shown.entries, "_started") if shown.posted else _STARTED_PLACE,
            resume=_first(shown.entries, "_resume") if shown.posted else "",
            timings=_first(shown.entries, TIMINGS) if shown.posted else "",
            shown=datetime.now(UTC).isoformat(timespec="milliseconds") if shown.posted else _STARTED_PLACE,
            languages=[(tag, language_name(tag)) for tag in asked.offered],
            progress=asked.look.progress,
            required=any(element.get("required") or element.get("required_if") for element in page.elements.values()),
            pages=[
                {
                    "id": each["id"],
                    "title": each.get("title"),
                    "description": each.get("description"),
                    "questions": questions_of(each["elements"], shown.entries, faults.by_name, standing),
                }
                for each in page.pages
            ],
            data={
                "form": _form_name(x),
                "version": asked.published.version,
                "progress": asked.look.progress,
                "logic": page.logic,
                "logic_address": assets.address("/form/logic.js"),
                "upload": _upload_address(x),
                "texts": {name: t(name) for name in _SCRIPT_TEXTS},
            },
        )


def page_problem(error: DomainError, request: Request) -> Answer:
    """A failure as a page; as a problem document for whoever asks for JSON."""
    answer = problem(error, request)
    if _wants_json(request):
        return answer
    visit = Visit.of(request.query_string)
    answer.body = notices.failure(error, visit.language, request.headers.getone("accept-language", None))
    answer.content_type = HTML
    answer.add((("content-security-policy", notices.POLICY),))
    return answer


async def _stored(x: Exchange, asked: _Asked, entries: Entries, key: str | None) -> None:
    """Store once. The second of two clicks waits for what becomes of the first, since its answer is the one shown."""
    for wait_s in _WAITS_S:
        try:
            return await _store(x, asked, entries, key)
        except Conflict as error:
            if key is None or error.code not in _AT_WORK:
                raise
        await asyncio.sleep(wait_s)
    return await _store(x, asked, entries, key)


async def _store(x: Exchange, asked: _Asked, entries: Entries, key: str | None) -> None:
    document: dict[str, Any] = {"answers": asked.page.answers(entries), "meta": {"language": asked.texts.language}}
    if timings := orjson.loads(_first(entries, TIMINGS) or "{}"):
        document["timings"] = timings
    if trap := _first(entries, "_website"):
        document["honeypot"] = trap[:1_000]
    provider = asked.look.provider
    if provider is not None and (solved := _first(entries, provider.field)):
        document["captcha_token"] = solved[:4_096]
    token = _first(entries, "_resume")
    if token:
        # One that has expired meanwhile becomes a response like any other.
        with suppress(NotFound):
            await saving.complete(x, asked.page, document, token, key)
            return
    if started := _moment(_first(entries, "_started")):
        document["started_at"] = started
    command = SubmitResponse(body=orjson.dumps(document), slug=x.path["slug"], idempotency_key=key)
    await submitted(x, command)


def _page(name: str, method: Any, path: str, handler: Any) -> Operation:
    return Operation(
        id=name,
        method=method,
        path=path,
        summary="The hosted form page",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit" if method == "POST" else "api",
        handler=handler,
        response=str,
        response_media_type="text/html",
        documented=False,
        problem=page_problem,
    )


def _html(look: Appearance, body: bytes, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(body, status=status, media_type=HTML, headers=(*notices.headers(look), *headers))


def _packed(x: Exchange, reply: Reply) -> Reply:
    """The page compressed, where the browser takes it so. Only what answers a GET: what answers a post may hold the
    token of saved answers beside what was posted, and its length would tell of it."""
    if not isinstance(reply.value, bytes) or "gzip" not in (x.header("accept-encoding") or ""):
        return reply
    body = gzip.compress(reply.value, _PACKED_LEVEL, mtime=0)
    return replace(reply, value=body, headers=(*reply.headers, ("content-encoding", "gzip")))


def _led(x: Exchange, asked: _Asked) -> Reply:
    """Where the visitor goes when everything is sent."""
    target = asked.look.target or asked.visit.address(x.path, "/sent")
    if _wants_json(x.request):
        return Reply(orjson.dumps({"location": target}))
    return Reply(status=303, headers=(("location", target), *notices.headers(asked.look)))


def _told(asked: _Asked, faults: Iterable[Fault], notice: str = "", key: str = "") -> Reply:
    """The problems of a page for its script."""
    found = tuple(faults)
    texts = (asked.texts(notice),) if notice else ()
    problems = _problems(asked.page, Faults(found, asked.page.elements, asked.texts, asked.page.message), texts)
    document = {"problems": problems, "key": key}
    return Reply(orjson.dumps(document), status=422 if problems else 200)


def _problems(page: FormPage, faults: Faults, texts: Sequence[str]) -> list[dict[str, str]]:
    problems = [{"place": "", "title": "", "text": text, "page": ""} for text in (*texts, *faults.general)]
    for name in sorted(faults.by_name, key=page.position):
        element, _, rest = name.partition(".")
        title = page.title_of(element, rest)
        text = " ".join(faults.by_name[name])
        problems.append({"place": name, "title": title, "text": text, "page": page.page_of[element]})
    return problems


def _timed(page: FormPage, current: str, entries: Entries) -> Entries:
    """The entries with the time on each page so far: measured once, whatever becomes of the request."""
    return {**entries, TIMINGS: [orjson.dumps(spent(entries, current, page.page_ids)).decode()], SHOWN: [""]}


def _first(entries: Entries, name: str) -> str:
    return entries.get(name, [""])[0]


def _key_of(entries: Entries) -> str:
    key = _first(entries, "_key")
    return key if _KEY.fullmatch(key) else secrets.token_urlsafe(18)


def _moment(text: str) -> str | None:
    """The time that a page was opened, if it is one."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _is_answer(page: FormPage, name: str) -> bool:
    return name.partition(".")[0] in page.elements


def _form_name(x: Exchange) -> str:
    return f"{x.path['tenant']}/{x.path['slug']}"


def _upload_address(x: Exchange) -> str | None:
    """Where visitors upload files, if the platform takes them."""
    if not any(operation.path == _UPLOADS for operation in OPERATIONS):
        return None
    return _UPLOADS.format(tenant=x.path["tenant"], slug=x.path["slug"])


def _wants_json(request: Request) -> bool:
    return bool(request.headers.getone("accept", "") == "application/json")
