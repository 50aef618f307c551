"""O2: one trace from the edge through context, database, stream and consumer to the effect, over OTLP."""

import asyncio
import contextvars
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ray import serve

from db.group_commit import GroupCommit
from db.settings import DatabaseSettings
from deployments.kit.calls import Done, Outcome
from deployments.kit.errors import NotFound
from deployments.models.contracts import Frame
from eventing.events.envelope import Origin
from serve_app.models_client import over_handles
from serve_app.models_host import ModelsHost, Seen
from serve_app.settings import Settings
from serve_app.tracing.database import TracedGroups
from serve_app.tracing.tracer import Tracer
from tests.architecture.rooms import ROOT
from tests.deployments.local_http import answer, serving
from tests.eventing.harness import empty_stream, eventually, is_true
from tests.factories import ANSWERS
from tests.otlp import Collector, collecting
from tests.serve_app.one_process import one_process, settings_for
from tests.serve_app.test_one_process import publish_party

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT = "00f067aa0ba902b7"
REQUEST_ID = "a-submission-of-ada"

# What must be in the trace of a submission, each below the other.
PATH = [
    "POST /api/v1/public/{tenant}/{slug}/responses",
    "call responses.submit",
    "responses.submit",
    "group commit",
    "db transaction",
]
AFTER = [
    "publish response.submitted",
    "webhooks response.submitted",
    "webhook delivery",
    "notifications response.submitted",
]


async def test_a_submission_is_one_trace_from_the_edge_to_its_effects(
    tmp_path: Path, database_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with empty_stream(nats_server):
        pass
    with collecting() as collector:
        settings = settings_for(
            tmp_path,
            database_settings,
            nats_server,
            otlp_endpoint=collector.url,
            otlp_headers="authorization=Basic%20Zm9v,x-scope=forms",
        )
        async with one_process(settings, monkeypatch) as platform, serving(answer("204 No Content")) as receiver:
            client = await platform.sign_up()
            await publish_party(client, send_notification=True, notification_recipients=["team@example.org"])
            hook = {"url": f"http://127.0.0.1:{receiver.port}/hook", "events": ["response.submitted"]}
            assert (await client.post("/api/v1/webhooks", json=hook)).status_code == 201
            submitted = await client.post(
                "/api/v1/public/acme/party/responses",
                json={"answers": ANSWERS},
                headers={"traceparent": f"00-{TRACE}-{CLIENT}-01", "x-correlation-id": REQUEST_ID},
            )
            assert submitted.status_code == 201, submitted.text
            assert submitted.headers["x-correlation-id"] == REQUEST_ID
            async with asyncio.timeout(30):
                await receiver.seen.wait()
            mail = settings.data_dir / "mail"
            await eventually(
                lambda: is_true(lambda: any(b"team@example.org" in path.read_bytes() for path in mail.glob("*.eml")))
            )
        (delivery,) = receiver.requests

    spans = collector.of(TRACE)
    assert {*PATH, *AFTER, "job mail.send", "mail sent"} <= spans.keys(), sorted(spans)
    above = CLIENT
    for name in PATH:
        (span,) = (each for each in collector.spans if (each.name, each.parent_id) == (name, above))
        assert span.trace_id == TRACE
        above = span.span_id
    assert {spans[name].parent_id for name in AFTER} == {spans["responses.submit"].span_id}
    assert spans["job mail.send"].parent_id == spans["notifications response.submitted"].span_id
    assert spans["mail sent"].parent_id == spans["job mail.send"].span_id
    assert {spans[name].service for name in AFTER} == {"formstream-worker"}
    assert spans[PATH[0]].service == "formstream-edge"
    assert spans[PATH[0]].facts["formstream.tenant"] == "acme"
    assert spans[PATH[0]].facts["formstream.request_id"] == REQUEST_ID
    assert spans[PATH[0]].facts["http.response.status_code"] == 201
    # The receiver of the webhook continues it.
    assert delivery.headers["traceparent"] == f"00-{TRACE}-{spans['webhook delivery'].span_id}-01"
    assert delivery.headers["x-correlation-id"] == REQUEST_ID
    assert {span.trace_id for span in collector.spans if span.name.startswith("GET /health")} == set()
    assert collector.headers[0]["authorization"] == "Basic Zm9v"
    assert collector.headers[0]["x-scope"] == "forms"
    # Nothing that somebody wrote, or that opens something, is in a trace.
    sent = b"".join(collector.bodies)
    secret = [
        *(str(value) for value in ANSWERS.values() if isinstance(value, str)),
        "correct horse",
        "team@example.org",
    ]
    assert not [text for text in (*secret, "owner@acme", "Bearer") if text.encode() in sent]


def _tracer(collector: Collector, ratio: float = 1.0) -> Tracer:
    return Tracer(collector.url, {}, ratio, "test")


class TestKeeping:
    """Which traces are kept."""

    async def test_a_client_cannot_make_us_keep_its_trace(self) -> None:
        """Otherwise anybody could fill the collector."""
        with collecting() as collector:
            tracer = _tracer(collector, ratio=0.0)
            with tracer.request("GET /", f"00-{TRACE}-{CLIENT}-01", {}) as span, tracer.here("below", {}):
                assert span.traceparent == f"00-{TRACE}-{CLIENT}-00"
            with tracer.request("GET /", "", {}) as span:
                assert span.traceparent == ""
            # What follows from a request that is not kept begins no trace of its own.
            with tracer.task("reaction", Origin(request_id="not-kept"), {}):
                pass
            await tracer.stop()
        assert collector.spans == []

    async def test_a_client_that_wants_none_has_none(self) -> None:
        with collecting() as collector:
            tracer = _tracer(collector)
            with tracer.request("GET /", f"00-{TRACE}-{CLIENT}-00", {}) as span:
                assert span.traceparent == f"00-{TRACE}-{CLIENT}-00"
            await tracer.stop()
        assert collector.spans == []

    @pytest.mark.parametrize("malformed", [f"ff-{TRACE}-{CLIENT}-01", f"00-{'0' * 32}-{CLIENT}-01", "01", "x" * 500])
    async def test_what_is_no_trace_context_begins_one(self, malformed: str) -> None:
        with collecting() as collector:
            tracer = _tracer(collector)
            with tracer.request("GET /", malformed, {}):
                pass
            await tracer.stop()
        (span,) = collector.spans
        assert (span.parent_id, span.trace_id == TRACE) == ("", False)

    async def test_a_collector_that_is_away_holds_nobody_up(self) -> None:
        tracer = Tracer("http://127.0.0.1:1", {}, 1.0, "test")
        with tracer.request("GET /", "", {}):
            pass
        async with asyncio.timeout(3):
            await tracer.stop(0.2)


class TestModels:
    """Calls of models, which a replica answers in batches."""

    async def test_a_call_is_followed_to_the_batch_that_answered_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "setpriority", lambda *_: None)
        with collecting() as collector:
            host = _Host.__new__(_Host)
            settings = Settings(data_dir=tmp_path, otlp_endpoint=collector.url)
            await host.__init__(settings, ("extraction",))  # type: ignore[misc]
            # Serve gathers batches in its own replicas only.
            host._batched = {"extract": _Gathered(host, (1, 3))}  # type: ignore[dict-item]
            monkeypatch.setattr(serve, "get_deployment_handle", lambda *_: _Handle(host))
            tracer = _tracer(collector)
            models = over_handles({"extraction": "models"}, 20.0, tracer=tracer)
            frame = Frame(moment=datetime(2026, 1, 1, tzinfo=UTC))

            async def ask(name: str) -> None:
                with tracer.request(name, "", {}):
                    await models.extract(["write to ada@example.org"], frame)

            await ask("first")
            # The last of them is in no trace.
            await asyncio.gather(ask("second"), ask("third"), models.extract(["nobody looks"], frame))
            await tracer.stop()
            await ModelsHost.__del__(host)
        spans = {(span.name, span.trace_id): span for span in collector.spans}
        alone, two = (batch for batch in collector.spans if batch.name == "models batch")
        requests = {span.name: span for span in collector.spans if span.name in ("first", "second", "third")}
        for name, batch, size in (("first", alone, 1), ("second", two, 3), ("third", two, 3)):
            trace = requests[name].trace_id
            call, answer = spans["call models.extract", trace], spans["models.extract", trace]
            assert (call.parent_id, answer.parent_id) == (requests[name].span_id, call.span_id)
            assert (call.service, answer.service, batch.service) == ("formstream-test", *["formstream-models"] * 2)
            assert answer.facts["formstream.batch_size"] == batch.facts["formstream.batch_size"] == size
            assert answer.span_id in batch.links
            models_named = {span.facts["gen_ai.response.model"] for span in (call, answer, batch)}
            assert len(models_named) == 1
        assert alone.parent_id == spans["models.extract", requests["first"].trace_id].span_id
        assert two.parent_id == spans["models.extract", requests["second"].trace_id].span_id
        assert (len(alone.links), len(two.links)) == (1, 2)
        assert two.facts["formstream.texts"] == 3
        assert b"ada@example" not in b"".join(collector.bodies)

    async def test_a_replica_is_told_of_no_trace_where_nobody_traces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One of an older version knows none."""
        seen: list[int] = []

        class Old:
            ask: Any

            def remote(self, *call: Any) -> asyncio.Task[Outcome]:
                seen.append(len(call))
                return asyncio.ensure_future(_done())

        async def _done() -> Outcome:
            return Done(())

        old = Old()
        old.ask = old
        monkeypatch.setattr(serve, "get_deployment_handle", lambda *_: old)
        await over_handles({"extraction": "models"}, 5.0).installed()
        with collecting() as collector:
            tracer = _tracer(collector)
            await over_handles({"extraction": "models"}, 5.0, tracer=tracer).installed()
            await tracer.stop()
        assert seen == [3, 3]


class _Host(ModelsHost):
    """Of which nobody waits for the end, as Serve does."""

    def __del__(self) -> None:  # type: ignore[override]
        pass


class _Handle:
    """A handle of Serve to a host in this process."""

    def __init__(self, host: ModelsHost) -> None:
        self._host = host
        self.ask = self

    def remote(self, *call: Any) -> asyncio.Task[Outcome]:
        # As over the wire: nothing of the caller's context comes along.
        return asyncio.get_running_loop().create_task(self._host.ask(*call), context=contextvars.Context())


class _Gathered:
    """Batches of these sizes, one after the other."""

    def __init__(self, host: ModelsHost, sizes: tuple[int, ...]) -> None:
        self._host = host
        self._sizes = iter(sizes)
        self._size = next(self._sizes)
        self._waiting: list[tuple[Seen, asyncio.Future[Outcome]]] = []

    async def __call__(self, call: Seen) -> Outcome:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, answer))
        if len(self._waiting) == self._size:
            batch, self._waiting, self._size = self._waiting, [], next(self._sizes, 0)
            for (_, each), outcome in zip(batch, await self._host._together([seen for seen, _ in batch]), strict=True):
                each.set_result(outcome)
        return await answer


class TestTelling:
    """What a span says."""

    async def test_a_failure_is_told_by_its_type_only(self) -> None:
        """Messages of the database quote what was to be stored."""
        with collecting() as collector:
            tracer = _tracer(collector)
            for error in (ValueError("the answer of Ada"), NotFound("no form of Ada")):
                with suppress(Exception), tracer.request("GET /", "", {}):
                    raise error
            await tracer.stop()
        defect, refusal = collector.spans
        assert (defect.facts["error.type"], defect.status) == ("ValueError", 2)
        assert (refusal.facts["error.type"], refusal.status) == ("NotFound", 0)
        assert b"Ada" not in b"".join(collector.bodies)

    async def test_those_who_share_a_commit_see_it_each_in_its_own_trace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def write(items: Sequence[int]) -> Sequence[int]:
            with tracer.here("transaction", {}):
                return items

        async def add(item: int) -> int:
            with tracer.request(f"request {item}", "", {}):
                return await group.add(item)

        with collecting() as collector:
            tracer = _tracer(collector)
            monkeypatch.setattr(GroupCommit, "watch", TracedGroups(tracer))
            group: GroupCommit[int, int] = GroupCommit(write)
            assert await asyncio.gather(add(1), add(2)) == [1, 2]
            assert await asyncio.gather(group.add(3), add(4)) == [3, 4]
            await tracer.stop()
        commits = {span.parent_id: span for span in collector.spans if span.name == "group commit"}
        first, second, fourth = (
            commits[span.span_id]
            for number in (1, 2, 4)
            for span in collector.spans
            if span.name == f"request {number}"
        )
        assert {span.facts["formstream.group_size"] for span in commits.values()} == {2}
        assert (first.links, second.links, fourth.links) == ((), (first.span_id,), ())
        assert [span.parent_id for span in collector.spans if span.name == "transaction"] == [
            first.span_id,
            fourth.span_id,
        ]

    async def test_who_has_no_trace_is_in_nobodys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The task that writes was made by a request whose trace is over by then."""
        writing, goes_on = asyncio.Event(), asyncio.Event()

        async def write(items: Sequence[int]) -> Sequence[int]:
            writing.set()
            await goes_on.wait()
            with tracer.here(f"transaction of {items[0]}", {}):
                return items

        async def add_traced() -> None:
            with tracer.request("request", "", {}):
                await group.add(1)

        with collecting() as collector:
            tracer = _tracer(collector)
            monkeypatch.setattr(GroupCommit, "watch", TracedGroups(tracer))
            group: GroupCommit[int, int] = GroupCommit(write)
            first = asyncio.create_task(add_traced())
            await writing.wait()
            second = asyncio.create_task(group.add(2))
            await asyncio.sleep(0)
            goes_on.set()
            await asyncio.gather(first, second)
            await tracer.stop()
        assert {span.name for span in collector.spans} == {"request", "group commit", "transaction of 1"}


def test_nothing_of_it_is_loaded_while_traces_are_off() -> None:
    """Ray itself brings OpenTelemetry's interface, so this looks at what is ours, without Ray."""
    program = """
import sys
from pathlib import Path
from serve_app.settings import Settings
from serve_app.runtime import open_database
from serve_app.tracing.calls import traced_contexts
from serve_app.tracing.opening import open_tracer
from serve_app.tracing.work import publications
from db.group_commit import GroupCommit
settings = Settings(data_dir=Path("/nowhere"), secret_key="0123456789abcdef0123456789abcdef")
assert open_tracer(settings, "edge") is None
contexts = {"forms": object()}
assert traced_contexts(contexts, None) is contexts
assert type(open_database(settings.database(), None)).__name__ == "Database"
assert GroupCommit.watch is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
