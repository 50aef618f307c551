"""The Serve deployment that hosts models: which of their faculties is configuration.

Serve imports this once more to build the application, in a process that ends then: what only a replica needs is
imported by the replica.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import ray
import structlog
from ray import serve

from deployments.kit.calls import Done, Failed, Outcome
from deployments.kit.errors import DeadlineExceeded, DomainError, Unavailable
from deployments.kit.spans import Span
from deployments.models.batching import BATCHABLE
from deployments.models.contracts import FACULTIES, Faculty, HeadRef, ModelsApi
from deployments.models.errors import ModelDamaged, ModelMissing
from serve_app.error_tracking import open_tracker
from serve_app.logging import configure
from serve_app.replica_port import keep_to_node
from serve_app.settings import Settings
from serve_app.starting import collect_rarely
from serve_app.tracing.models import ModelSpans, tell
from serve_app.tracing.opening import open_tracer

if TYPE_CHECKING:
    from deployments.models.heads.builtin import Judge

log = structlog.get_logger(__name__)

EVERYWHERE: Final = ("installed", "capabilities")
"""What every host answers."""

_NICENESS: Final = 10
# More at once is not quicker: from eight short texts on, a processor computes as many in a second.
_BATCH_CALLS: Final = 8
# Nobody waits for company: while one batch is computed the next one gathers.
_BATCH_WAIT_S: Final = 0.0
_HEADS: Final = 64
# Of what is not computed in batches, so many at once of each kind.
_ALONE: Final = 2
_WARMING: Final = ("", "warm", "what is computed first takes longer than what follows " * 10)

UNTRACED: Final = ModelSpans(None)

Asked = tuple[str, tuple[Any, ...]]
"""A method and its arguments."""

Seen = tuple[Asked, Span]
"""A call with its span."""


async def answer_together(
    models: object, calls: Sequence[Asked], spans: ModelSpans = UNTRACED, callers: Sequence[Span] = ()
) -> list[Outcome]:
    """The outcome of each call, in their order; calls that ask the same of different texts are computed at once, in one
    of `spans`. `callers` are the spans of the calls."""
    alike: dict[Any, list[int]] = {}
    for index, (method, arguments) in enumerate(calls):
        alike.setdefault((method, BATCHABLE[method].about(arguments)), []).append(index)
    outcomes: dict[int, Outcome] = {}
    for (method, _), indices in alike.items():
        kind = BATCHABLE[method]
        texts = [kind.texts(calls[index][1]) for index in indices]
        every = [text for some in texts for text in some]
        with spans.together(method, [callers[index] for index in indices if callers]) as span:
            span.note(**{"formstream.texts": len(every)})
            outcome = await answer_one(models, (method, kind.asking(calls[indices[0]][1], every)))
            tell(span, outcome)
        end = 0
        for index, some in zip(indices, texts, strict=True):
            start, end = end, end + len(some)
            outcomes[index] = Done(kind.rows(outcome.value, start, end)) if isinstance(outcome, Done) else outcome
    return [outcomes[index] for index in range(len(calls))]


async def answer_one(models: object, call: Asked) -> Outcome:
    """The outcome of a call; what is no DomainError is logged and leaves no detail."""
    method, arguments = call
    ask: Callable[..., Awaitable[Any]] | None = getattr(models, method, None)
    if ask is None:
        return Failed(Unavailable(f"nobody here can {method}", retry_after=60.0))
    try:
        return Done(await ask(*arguments))
    except DomainError as error:
        return Failed(error.with_traceback(None))
    except ModelDamaged as error:
        log.error("a model is damaged", model=error.name, path=str(error.path), reason=error.reason)  # noqa: TRY400
        return Failed(Unavailable(f"the model {error.name} is damaged", retry_after=60.0))
    except Exception:
        log.exception("a model failed", method=method)
        return Failed(DomainError())


async def warm_up(models: ModelsApi) -> None:
    """Have what is installed loaded and use it once, so that nobody waits for that. Raises ModelDamaged, and
    ModelUnusable without the weights that are set."""
    with suppress(ModelMissing):
        await models.embed(_WARMING)


class ModelsHost:
    """Answers for its faculties. Ready when what is installed is loaded and warm; a damaged file keeps it from that, as
    do weights that are set and not installed."""

    async def __init__(self, settings: Settings, faculties: tuple[Faculty, ...]) -> None:  # type: ignore[misc]  # Serve awaits it
        from deployments.kit.objects import ObjectStore
        from deployments.models.deployment import Models
        from deployments.models.heads.store import Heads

        collect_rarely()
        self._tracker = open_tracker(settings, "models")
        keep_to_node()
        configure(settings.log_level, "models", self._tracker)
        self._tracer = open_tracer(settings, "models")
        self._spans = ModelSpans(self._tracer)
        # Whoever submits goes first.
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        objects = ObjectStore(settings.object_store(), **settings.object_store_options())
        self._heads = Heads(objects)
        own = settings.models()
        own = own.model_copy(update={"threads": max(own.threads, _processors())})
        self._models = Models(own, objects, self._load)
        self._methods = frozenset(method for name in faculties for method in FACULTIES[name])
        self._batched = {"embed": self._embed, "classify": self._classify, "extract": self._extract}
        self._alone = {name: asyncio.Semaphore(_ALONE) for name in self._methods}
        self._running = 0
        await warm_up(self._models)

    async def ask(self, method: str, arguments: tuple[Any, ...], timeout_s: float, traceparent: str = "") -> Outcome:
        """Call a method of `ModelsApi`. Never raises a failure of the models: that is the outcome."""
        with self._spans.answering(method, traceparent) as span:
            outcome = await self._answer(method, arguments, timeout_s, span)
            tell(span, outcome)
        return outcome

    async def _answer(self, method: str, arguments: tuple[Any, ...], timeout_s: float, span: Span) -> Outcome:
        if method not in self._methods and method not in EVERYWHERE:
            return Failed(Unavailable(f"nobody here can {method}", retry_after=60.0))
        self._running += 1
        try:
            async with asyncio.timeout(timeout_s):
                if method in self._batched:
                    outcome: Outcome = await self._batched[method](((method, arguments), span))
                    return outcome
                if method in EVERYWHERE:
                    return await answer_one(self._models, (method, arguments))
                async with self._alone[method]:
                    return await answer_one(self._models, (method, arguments))
        except TimeoutError:
            return Failed(DeadlineExceeded())
        finally:
            self._running -= 1

    async def __del__(self) -> None:
        await self._models.close()
        if self._tracker is not None:
            await self._tracker.close()
        if self._tracer is not None:
            await self._tracer.stop()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The calls that run or wait here, for `serve_app.autoscaling`."""
        return {"calls": float(self._running)}

    # A queue for each, so that what is quick does not wait for what is slow.

    @serve.batch(max_batch_size=_BATCH_CALLS, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def _embed(self, calls: list[Seen]) -> list[Outcome]:
        return await self._together(calls)

    @serve.batch(max_batch_size=_BATCH_CALLS, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def _classify(self, calls: list[Seen]) -> list[Outcome]:
        return await self._together(calls)

    @serve.batch(max_batch_size=_BATCH_CALLS, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def _extract(self, calls: list[Seen]) -> list[Outcome]:
        return await self._together(calls)

    async def _together(self, calls: list[Seen]) -> list[Outcome]:
        return await answer_together(
            self._models, [call for call, _ in calls], self._spans, [span for _, span in calls]
        )

    async def _load(self, ref: HeadRef) -> "Judge":
        head: Judge = await self._multiplexed(ref.model_dump_json())
        return head

    @serve.multiplexed(max_num_models_per_replica=_HEADS)  # type: ignore[untyped-decorator]
    async def _multiplexed(self, model_id: str) -> "Judge":
        """Serve sends calls for a head to the replicas that have it."""
        return await self._heads.get(HeadRef.model_validate_json(model_id))


def _processors() -> int:
    """The whole processors that this replica was given; none outside of Ray."""
    return int(ray.get_runtime_context().get_assigned_resources().get("CPU", 0)) if ray.is_initialized() else 0
