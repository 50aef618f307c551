"""What calls of the AI models took, as who asks sees it: with the wait for a replica."""

import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from deployments.kit.process_numbers import ModelNumbers
from deployments.models.contracts import ModelsApi

_UNTIMED: Final = frozenset({"close", "installed", "capabilities"})


@dataclass(slots=True)
class _Took:
    calls: int = 0
    duration_s: float = 0.0


class ModelTimes:
    """The times of one process."""

    def __init__(self) -> None:
        self._took: defaultdict[tuple[str, Literal["answered", "failed"]], _Took] = defaultdict(_Took)

    def timed(self, models: ModelsApi) -> ModelsApi:
        """The same models, whose calls are counted here."""
        return cast(ModelsApi, _Timed(models, self))

    def numbers(self) -> list[ModelNumbers]:
        """What was counted."""
        return [
            ModelNumbers(method=method, outcome=outcome, calls=took.calls, duration_s=took.duration_s)
            for (method, outcome), took in sorted(self._took.items())
        ]

    def note(self, method: str, outcome: Literal["answered", "failed"], duration_s: float) -> None:
        """A call ended."""
        took = self._took[method, outcome]
        took.calls += 1
        took.duration_s += duration_s


class _Timed:
    def __init__(self, models: ModelsApi, times: ModelTimes) -> None:
        self._models = models
        self._times = times

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        call: Callable[..., Coroutine[Any, Any, Any]] = getattr(self._models, method)
        if method in _UNTIMED:
            return call

        async def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            outcome: Literal["answered", "failed"] = "failed"
            try:
                answer = await call(*arguments)
                outcome = "answered"
            finally:
                self._times.note(method, outcome, time.perf_counter() - started)
            return answer

        return timed
