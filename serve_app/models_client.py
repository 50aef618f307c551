"""The models where they are hosted: `ModelsApi` over handles of Serve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from grpc import RpcError  # type: ignore[import-untyped]
from ray import serve
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError

from deployments.kit.calls import Done, Outcome
from deployments.kit.errors import DeadlineExceeded, Unavailable
from deployments.models.batching import BATCHABLE, parts
from deployments.models.contracts import (
    FACULTIES,
    Applied,
    Capability,
    Embeddings,
    Entities,
    Examined,
    Faculty,
    Frame,
    Generated,
    HeadRef,
    InstalledModel,
    Judgements,
    Prompt,
)
from serve_app.tracing.models import ModelSpans, tell

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer

log = structlog.get_logger(__name__)

_GONE = (DeploymentUnavailableError, ActorDiedError, ActorUnavailableError, WorkerCrashedError)
_RETRY_S: Final = 1.0
# Of one call, so many parts are on their way at a time: the others of the tenant's own do not fill the queue.
_PARTS: Final = 4


class Ask(Protocol):
    """Sends a call of a method of `ModelsApi` to a replica; `model` names the head that is needed, if any."""

    async def __call__(self, method: str, arguments: tuple[Any, ...], timeout_s: float, model: str = "") -> Outcome: ...


class RemoteModels:
    """Satisfies `ModelsApi`. A call that nobody answers within `deadline_s` is cancelled and raises Unavailable; one
    whose replica died is made again, since to answer twice does no harm."""

    def __init__(self, asks: Mapping[str, Ask], deadline_s: float, *, written_s: float = 0.0) -> None:
        """`asks` has a way for each method; what has none raises Unavailable. `written_s` is the time that a text of a
        generating model may take."""
        self._asks = asks
        self._deadline_s = deadline_s
        self._written_s = written_s

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        answer: Embeddings = await self._in_parts("embed", (tuple(texts),))
        return answer

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        answer: Judgements = await self._in_parts("classify", (head, tuple(texts)), head)
        return answer

    async def examine(self, model: HeadRef) -> Examined:
        answer: Examined = await self._whole("examine", (model,), model)
        return answer

    async def apply(self, model: HeadRef, texts: Sequence[str]) -> Applied:
        answer: Applied = await self._whole("apply", (model, tuple(texts)), model)
        return answer

    async def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        answer: Entities = await self._in_parts("extract", (tuple(texts), frame))
        return answer

    async def generate(self, prompt: Prompt) -> Generated:
        # It ends by itself; the rest is for the way there and back.
        answer: Generated = await self._whole("generate", (prompt,), within_s=self._written_s + self._deadline_s)
        return answer

    async def installed(self) -> tuple[InstalledModel, ...]:
        answer: tuple[InstalledModel, ...] = await self._whole("installed", ())
        return answer

    async def capabilities(self) -> tuple[Capability, ...]:
        answer: tuple[Capability, ...] = await self._whole("capabilities", ())
        return answer

    async def close(self) -> None:
        """Nothing is held here."""

    async def _in_parts(self, method: str, arguments: tuple[Any, ...], head: HeadRef | None = None) -> Any:
        kind = BATCHABLE[method]
        places = asyncio.Semaphore(_PARTS)
        model = _name_of(head)

        async def part(texts: Sequence[str]) -> Any:
            async with places:
                return await self._call(method, kind.asking(arguments, texts), model, self._deadline_s)

        tasks = [asyncio.ensure_future(part(texts)) for texts in parts(kind.texts(arguments))]
        try:
            async with asyncio.timeout(self._deadline_s):
                return kind.joined(await asyncio.gather(*tasks))
        except TimeoutError:
            raise _too_late() from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _whole(
        self, method: str, arguments: tuple[Any, ...], head: HeadRef | None = None, *, within_s: float = 0.0
    ) -> Any:
        deadline_s = within_s or self._deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                return await self._call(method, arguments, _name_of(head), deadline_s)
        except TimeoutError:
            raise _too_late() from None

    async def _call(self, method: str, arguments: tuple[Any, ...], model: str, deadline_s: float) -> Any:
        ask = self._asks.get(method)
        if ask is None:
            raise Unavailable(f"nobody here can {method}", retry_after=60.0)
        while True:
            try:
                outcome = await ask(method, arguments, deadline_s, model)
            except _GONE:
                # Bounded by the deadline around it.
                await asyncio.sleep(_RETRY_S)
                continue
            if isinstance(outcome, Done):
                return outcome.value
            if isinstance(outcome.error, DeadlineExceeded):
                raise _too_late()
            raise outcome.error


def _name_of(head: HeadRef | None) -> str:
    # Serve recognises a head by what the host loads it with.
    return head.model_dump_json() if head is not None and head.key else ""


def _too_late() -> Unavailable:
    return Unavailable("The models did not answer in time.", retry_after=5.0)


def over_handles(
    homes: Mapping[Faculty, str], deadline_s: float, *, written_s: float = 0.0, tracer: Tracer | None = None
) -> RemoteModels:
    """The models at these applications: `homes` tells where each faculty is; for the times see `RemoteModels`."""
    spans = ModelSpans(tracer)
    asks: dict[str, Ask] = {}
    for faculty, application in homes.items():
        asks |= dict.fromkeys(FACULTIES[faculty], _asker(application, spans))
    anybody = next(iter(asks.values()))
    return RemoteModels({"installed": anybody, "capabilities": anybody} | asks, deadline_s, written_s=written_s)


def _asker(application: str, spans: ModelSpans) -> Ask:
    handles: list[Any] = []

    def handle() -> Any:
        # Not before it is needed: the models are placed after those who ask them.
        if not handles:
            try:
                handles.append(serve.get_deployment_handle(application, application))
            except KeyError as error:
                raise Unavailable("The models are not there yet.", retry_after=5.0) from error
        return handles[0]

    async def ask(method: str, arguments: tuple[Any, ...], timeout_s: float, model: str = "") -> Outcome:
        """Cancelled, it cancels the work in the replica. Raises what Ray raises for a replica that is gone."""
        way = handle().options(multiplexed_model_id=model) if model else handle()
        with spans.leaving(method) as span:
            # A replica of before knows no trace: where nobody traces it is told of none.
            carried = (span.traceparent,) if span.traceparent else ()
            outcome = await _answer(way.ask.remote(method, arguments, timeout_s, *carried), method)
            tell(span, outcome)
        return outcome

    return ask


async def _answer(response: Any, method: str) -> Outcome:
    try:
        outcome: Outcome = await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except BackPressureError as error:
        raise Unavailable("The models have too much to do.", retry_after=1.0) from error
    except _GONE:
        raise
    except RequestCancelledError as error:
        raise DeadlineExceeded from error
    except (RayError, RpcError) as error:
        log.exception("models cannot be asked", method=method)
        raise Unavailable(retry_after=1.0) from error
    return outcome
