"""ray_sender: Ray's failures in the platform's words, and cancellation that reaches the replica."""

import asyncio
import warnings
from typing import Any

import pytest
from structlog.testing import capture_logs

from deployments.kit.errors import DeadlineExceeded, DomainError, TooManyRequests, Unavailable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own modules use what their libraries deprecate
    from ray.exceptions import ActorUnavailableError, RayError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError

    from serve_app.edge.handle import ray_sender


class Response:
    """What a handle call gives back: to be awaited, and to be cancelled apart from that."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.cancelled = False

    def __await__(self) -> Any:
        return self._wait().__await__()

    async def _wait(self) -> bytes:
        if isinstance(self.result, Exception):
            raise self.result
        if self.result is None:
            await asyncio.Event().wait()
        answer: bytes = self.result
        return answer

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    def __init__(self, result: Any) -> None:
        self.response = Response(result)
        self.sent: list[bytes] = []

    @property
    def call(self) -> "Handle":
        return self

    def remote(self, batch: bytes) -> Response:
        self.sent.append(batch)
        return self.response


async def test_bytes_go_and_come() -> None:
    handle: Any = Handle(b"answer")
    assert await ray_sender(handle)(b"batch") == b"answer"
    assert handle.sent == [b"batch"]


async def test_cancelling_cancels_the_work_in_the_replica() -> None:
    handle: Any = Handle(None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ray_sender(handle)(b"batch")
    assert handle.response.cancelled


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BackPressureError(1, 1), Unavailable),
        (BackPressureError(1, 1, 429, 7.0), TooManyRequests),
        (DeploymentUnavailableError.__new__(DeploymentUnavailableError), Unavailable),
        (ActorUnavailableError("gone", None), Unavailable),
        (RequestCancelledError("id"), DeadlineExceeded),
        (RayError("anything"), Unavailable),
    ],
)
async def test_failures_of_ray(error: Exception, expected: type[DomainError]) -> None:
    handle: Any = Handle(error)
    with capture_logs(), pytest.raises(expected) as raised:
        await ray_sender(handle)(b"batch")
    if expected is not DeadlineExceeded:
        assert raised.value.retry_after == (7.0 if expected is TooManyRequests else 1.0)
    assert len(handle.sent) == 1, "nothing is sent twice"
