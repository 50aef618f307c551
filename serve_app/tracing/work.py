"""Spans of what happens after the answer: publication, reactions, jobs and mails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final

from db.repositories.outbox import Unpublished
from db.session import UnitOfWork
from deployments.notifications.transport import MailTransport
from eventing.events.envelope import Event
from eventing.jobs import Done, JobKind, JobRun
from eventing.subscription import Subscription

if TYPE_CHECKING:
    from deployments.kit.spans import Fact, Span
    from serve_app.tracing.tracer import Tracer


# The origin's comes before all data, in which a quotation mark is escaped.
_TRACEPARENT: Final = re.compile(r'"traceparent":"([^"]*)"')


def publications(tracer: Tracer) -> Callable[[Sequence[Unpublished], int], None]:
    """What the relay tells of its batches: each event is published in the trace of the request that it comes of."""

    def watch(events: Sequence[Unpublished], started_ns: int) -> None:
        for event in events:
            found = _TRACEPARENT.search(event.envelope)
            facts: dict[str, Fact] = {
                "messaging.system": "nats",
                "messaging.message.id": event.id,
                "messaging.batch.message_count": len(events),
                "formstream.tenant": event.tenant_id,
                "formstream.event.type": event.type,
            }
            tracer.past(f"publish {event.type}", found[1] if found else "", facts, started_ns)

    return watch


def traced_subscriptions(subscriptions: Iterable[Subscription], tracer: Tracer) -> tuple[Subscription, ...]:
    """The same reactions, each of which is a span in the trace of every event that it is about."""
    return tuple(_traced_subscription(each, tracer) for each in subscriptions)


def _traced_subscription(subscription: Subscription, tracer: Tracer) -> Subscription:
    async def handle(unit: UnitOfWork, events: Sequence[Event]) -> None:
        with ExitStack() as spans:
            followed = []
            for event in events:
                span = spans.enter_context(_reaction(subscription, event, tracer))
                origin = replace(event.origin, traceparent=span.traceparent)
                followed.append(replace(event, origin=origin))
            await subscription.handle(unit, followed)

    return replace(subscription, handle=handle)


def _reaction(subscription: Subscription, event: Event, tracer: Tracer) -> AbstractContextManager[Span]:
    facts = {
        "messaging.system": "nats",
        "messaging.consumer.group.name": subscription.name,
        "messaging.message.id": event.id,
        "formstream.tenant": event.tenant_id,
        "formstream.event.type": event.type,
        "formstream.request_id": event.origin.request_id,
    }
    return tracer.task(f"{subscription.name} {event.type}", event.origin, facts)


def traced_jobs(kinds: Iterable[JobKind], tracer: Tracer) -> tuple[JobKind, ...]:
    """The same jobs, each attempt at which is a span in the trace of its order."""
    return tuple(_traced_job(kind, tracer) for kind in kinds)


def _traced_job(kind: JobKind, tracer: Tracer) -> JobKind:
    async def run(job: JobRun) -> Done | None:
        facts: dict[str, Fact] = {
            "formstream.tenant": job.tenant_id,
            "formstream.job.id": job.id,
            "formstream.job.kind": kind.name,
            "formstream.job.queue": kind.queue,
            "formstream.attempt": job.attempt,
            "formstream.request_id": job.origin.request_id,
        }
        with tracer.task(f"job {kind.name}", job.origin, facts):
            return await kind.run(job)

    return replace(kind, run=run)


class TracedMail:
    """A way for mail, each message on which is a span; to whom it goes is not told."""

    def __init__(self, transport: MailTransport, tracer: Tracer) -> None:
        self._transport = transport
        self._tracer = tracer

    async def send(self, message: EmailMessage, idempotency_key: str, return_path: str = "") -> None:
        """See MailTransport."""
        from opentelemetry.trace import SpanKind

        with self._tracer.here("mail sent", {}, SpanKind.CLIENT):
            await self._transport.send(message, idempotency_key, return_path)
